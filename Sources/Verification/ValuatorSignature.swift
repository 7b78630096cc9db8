import Encoder
import Formats
import Foundation

/// alinfik.sig: whose key has signed alinfik.json, and by its hashes every other file.
package enum ValuatorSignature {
  /// Signs a valuator whose files are as they were saved.
  ///
  /// - Throws: what `check` throws.
  package static func sign(_ files: ValuatorFiles, by key: SigningKey, force: Bool) throws {
    try check(files, by: key, force: force)
    try OutputFile.write(
      try key.signature(of: files.cardBytes), to: files.signaturePath, force: force)
  }

  /// Whether it could be signed. Throws `EncoderError.tampered` where a file is not as it was saved; `VerificationError.signed` where it is
  /// signed already, without `force`.
  package static func check(_ files: ValuatorFiles, by key: SigningKey, force: Bool) throws {
    if isSigned(files), !force {
      let isOurs = try complaint(files, by: key.publicKey) == nil
      throw VerificationError.signed(files.directory, by: isOurs ? key.publicKey.fingerprint : nil)
    }
    try OutputFile.refuseExisting(files.signaturePath, force: force)
    try files.requireUnchanged()
  }

  package static func isSigned(_ files: ValuatorFiles) -> Bool {
    FileManager.default.fileExists(atPath: files.signaturePath)
  }

  /// Nil where the signature is this key's, else what is wrong.
  static func complaint(_ files: ValuatorFiles, by key: VerifyingKey) throws -> String? {
    guard isSigned(files) else {
      return
        "it is not signed (no \(ValuatorFiles.signatureName)), so nothing says who made it; its maker signs it with alinfik sign"
    }
    let signature = Array(try Data(contentsOf: URL(fileURLWithPath: files.signaturePath)))
    if key.accepts(signature, of: files.cardBytes) { return nil }
    return
      "its signature is not this key's (\(key.fingerprint.prefix(16))) for this \(ValuatorFiles.cardName): another key has signed it, "
      + "or it was changed since; do not use it as if it came from the key's owner"
  }
}
