import Crypto
import Formats
import Foundation

/// An Ed25519 key (RFC 8032) with which valuators are signed. In files it is what openssl reads and writes: PKCS#8 in PEM (RFC 8410).
package struct SigningKey {
  private let key: Curve25519.Signing.PrivateKey

  private static let label = "PRIVATE KEY"
  /// What stands before the 32 secret bytes: version 0, the algorithm 1.3.101.112, an octet string in an octet string.
  private static let prefix: [UInt8] = [
    0x30, 0x2E, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2B, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
  ]

  /// A new key.
  package init() { key = Curve25519.Signing.PrivateKey() }

  /// Reads a key. Throws where others than its owner may read the file, or it holds no such key.
  package init(path: String) throws {
    let pem = try PEM.read(path)
    if pem.label == VerifyingKey.label {
      let its = path.hasSuffix(".pub") ? " (\(path.dropLast(4)), where it lies beside this one)" : ""
      throw VerificationError.key(
        path, "this is a public key, which checks signatures; signing wants the private one\(its)")
    }
    try Self.requirePrivacy(of: path)
    if pem.label == "ENCRYPTED PRIVATE KEY" {
      throw VerificationError.key(
        path, "the key is encrypted; `openssl pkey -in KEY -out OTHER` decrypts it into a file, mode 600")
    }
    guard pem.label == Self.label, pem.bytes.starts(with: Self.prefix),
      pem.bytes.count == Self.prefix.count + 32
    else { throw VerificationError.key(path, "no Ed25519 key as `alinfik sign --make-key` makes them") }
    key = try Curve25519.Signing.PrivateKey(rawRepresentation: pem.bytes.dropFirst(Self.prefix.count))
  }

  private static func requirePrivacy(of path: String) throws {
    var status = stat()
    guard stat(path, &status) == 0 else { throw FormatError.missing(path: path) }
    guard status.st_mode & 0o077 == 0 else {
      throw VerificationError.key(
        path,
        "others than its owner may read this private key (mode \(String(status.st_mode & 0o777, radix: 8))): chmod 600 it, "
          + "and make another where somebody may have")
    }
  }

  /// Writes the key, readable by its owner alone.
  package func write(to path: String, force: Bool = false) throws {
    let pem = PEM(label: Self.label, bytes: Self.prefix + key.rawRepresentation)
    try OutputFile.write(Array(pem.text.utf8), to: path, force: force, isPrivate: true)
  }

  package var publicKey: VerifyingKey { VerifyingKey(key.publicKey) }

  /// 64 bytes.
  package func signature(of bytes: [UInt8]) throws -> [UInt8] { Array(try key.signature(for: bytes)) }
}

/// What checks the signatures of one `SigningKey`. In files: SubjectPublicKeyInfo in PEM (RFC 8410).
package struct VerifyingKey: Sendable {
  private let key: Curve25519.Signing.PublicKey

  static let label = "PUBLIC KEY"
  private static let prefix: [UInt8] = [
    0x30, 0x2A, 0x30, 0x05, 0x06, 0x03, 0x2B, 0x65, 0x70, 0x03, 0x21, 0x00,
  ]

  fileprivate init(_ key: Curve25519.Signing.PublicKey) { self.key = key }

  /// Reads a key. Throws where the file holds no such key.
  package init(path: String) throws {
    let pem = try PEM.read(path)
    guard pem.label == Self.label else {
      throw VerificationError.key(
        path,
        pem.label.hasSuffix("PRIVATE KEY")
          ? "this is a private key, which only signing wants; give the public one (\(path).pub, if sign --make-key made it)"
          : "no public key (its label is '\(pem.label)')")
    }
    guard pem.bytes.starts(with: Self.prefix), pem.bytes.count == Self.prefix.count + 32 else {
      throw VerificationError.key(path, "no Ed25519 key as `alinfik sign --make-key` makes them")
    }
    key = try Curve25519.Signing.PublicKey(rawRepresentation: pem.bytes.dropFirst(Self.prefix.count))
  }

  package func write(to path: String, force: Bool = false) throws {
    try OutputFile.write(
      Array(PEM(label: Self.label, bytes: encoded).text.utf8), to: path, force: force)
  }

  private var encoded: [UInt8] { Self.prefix + key.rawRepresentation }

  /// SHA-256 of the key's encoding, to be told apart and read out to others.
  package var fingerprint: String { FileHash.sha256(encoded) }

  package func accepts(_ signature: [UInt8], of bytes: [UInt8]) -> Bool {
    key.isValidSignature(signature, for: bytes)
  }
}

extension PEM {
  /// A key file is a few lines.
  private static let mostBytes = 1 << 16

  fileprivate static func read(_ path: String) throws -> PEM {
    var isFolder: ObjCBool = false
    guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) else {
      throw FormatError.missing(path: path)
    }
    if isFolder.boolValue { throw VerificationError.key(path, "this is a folder; a key is a file") }
    let data = try Data(contentsOf: URL(fileURLWithPath: path))
    guard data.count <= mostBytes, let pem = PEM(String(decoding: data, as: UTF8.self)) else {
      throw VerificationError.key(path, "no key in PEM (\"-----BEGIN ... KEY-----\")")
    }
    return pem
  }
}
