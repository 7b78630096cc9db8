import Encoder
import Formats
import Foundation

/// alinfik.sig: whose key has signed alinfik.json, and by its hashes every other file.
package enum ValuatorSignature {
  /// Signs a valuator whose files are as they were saved.
  ///
  /// - Throws: `EncoderError.tampered` where one is not; `FormatError.exists` where it is signed already, without `force`.
  package static func sign(_ files: ValuatorFiles, by key: SigningKey, force: Bool) throws {
    try OutputFile.refuseExisting(files.signaturePath, force: force)
    try files.requireUnchanged()
    try OutputFile.write(
      try key.signature(of: files.cardBytes), to: files.signaturePath, force: force)
  }

  package static func isSigned(_ files: ValuatorFiles) -> Bool {
    FileManager.default.fileExists(atPath: files.signaturePath)
  }

  /// Nil where the signature is this key's, else what is wrong.
  static func complaint(_ files: ValuatorFiles, by key: VerifyingKey) throws -> String? {
    guard isSigned(files) else {
      return "it is not signed (no \(ValuatorFiles.signatureName)), so nothing says who made it"
    }
    let signature = Array(try Data(contentsOf: URL(fileURLWithPath: files.signaturePath)))
    if key.accepts(signature, of: files.cardBytes) { return nil }
    return
      "its signature is not this key's for this \(ValuatorFiles.cardName): another key has signed it, or it was "
      + "changed since; do not use it as if it came from the key's owner"
  }
}
