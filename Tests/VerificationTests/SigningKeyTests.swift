import Formats
import Foundation
import TestSupport
import Testing
import Verification

@Suite struct SigningKeyTests {
  private let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  /// RFC 8032, section 7.1, test 2, as `openssl pkey` writes these keys.
  private static let privatePEM = """
    -----BEGIN PRIVATE KEY-----
    MC4CAQAwBQYDK2VwBCIEIEzNCJso/5banbbDRuwRTg9bijGfNaumJNqM9u1PuKb7
    -----END PRIVATE KEY-----

    """
  private static let publicPEM = """
    -----BEGIN PUBLIC KEY-----
    MCowBQYDK2VwAyEAPUAXw+hDiVqStwqnTRt+vJyYLM8uxJaMwM1V8Sr0Zgw=
    -----END PUBLIC KEY-----

    """

  private func keyFile(_ text: String, mode: Int = 0o600, _ name: String = "key.pem") throws -> String {
    let path = try folder.file(name, text)
    try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: path)
    return path
  }

  private func mode(_ path: String) throws -> Int? {
    try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
  }

  @Test func signsAsTheStandardSays() throws {
    let key = try SigningKey(path: keyFile(Self.privatePEM))
    let signature = try key.signature(of: [0x72])
    let known =
      "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
    #expect(signature.map { String(format: "%02x", $0) }.joined() == known)
    let path = folder.path("key.pub")
    try key.publicKey.write(to: path)
    #expect(try String(contentsOfFile: path, encoding: .utf8) == Self.publicPEM)
    let other = try VerifyingKey(path: keyFile(Self.publicPEM, mode: 0o644, "theirs.pub"))
    #expect(other.accepts(signature, of: [0x72]))
    #expect(!other.accepts(signature, of: [0x73]) && !other.accepts(signature.reversed(), of: [0x72]))
    #expect(!other.accepts([], of: [0x72]) && other.fingerprint == key.publicKey.fingerprint)
  }

  @Test func aKeyIsItsOwnersAlone() throws {
    let path = folder.path("new.pem")
    // Left by a run that was broken off.
    _ = try keyFile("", mode: 0o644, "new.pem.tmp")
    let key = SigningKey()
    try key.write(to: path)
    #expect(try mode(path) == 0o600)
    #expect(try SigningKey(path: path).publicKey.fingerprint == key.publicKey.fingerprint)
    #expect(throws: FormatError.exists(path: path)) { try key.write(to: path) }
    for mode in [0o640, 0o604, 0o666] {
      let open = try keyFile(Self.privatePEM, mode: mode, "open.pem")
      let error = #expect(throws: VerificationError.self) { try SigningKey(path: open) }
      #expect("\(try #require(error))".contains("chmod 600"))
    }
    #expect(SigningKey().publicKey.fingerprint != SigningKey().publicKey.fingerprint)
  }

  @Test(
    arguments: [
      (publicPEM, "public key"), ("hello", "no key in PEM"),
      (privatePEM.replacingOccurrences(of: "PRIVATE", with: "ENCRYPTED PRIVATE"), "encrypted"),
      (privatePEM.replacingOccurrences(of: "MC4CAQ", with: "MC4CAA"), "no Ed25519 key"),
      (privatePEM.replacingOccurrences(of: "END PRIVATE", with: "END PUBLIC"), "no key in PEM"),
    ])
  func whatIsNoPrivateKeyIsRefused(_ text: String, said: String) throws {
    let path = try keyFile(text)
    let error = #expect(throws: VerificationError.self) { try SigningKey(path: path) }
    #expect("\(try #require(error))".contains(said), "\(error!)")
  }

  /// A public key may be read by all, and that is not what is wrong with it.
  @Test func aPublicKeySignsNothing() throws {
    let path = try keyFile(Self.publicPEM, mode: 0o644, "ours.pem.pub")
    let error = #expect(throws: VerificationError.self) { try SigningKey(path: path) }
    let said = "\(try #require(error))"
    #expect(
      said.contains("wants the private one (\(folder.path("ours.pem"))") && !said.contains("chmod"), "\(said)"
    )
  }

  @Test func whatIsNoPublicKeyIsRefused() throws {
    for (text, said) in [
      (Self.privatePEM, "private key"), ("", "no key in PEM"),
      (Self.publicPEM.replacingOccurrences(of: "MCow", with: "MCox"), "no Ed25519 key"),
    ] {
      let path = try keyFile(text, mode: 0o644)
      let error = #expect(throws: VerificationError.self) { try VerifyingKey(path: path) }
      #expect("\(try #require(error))".contains(said), "\(error!)")
    }
    #expect(throws: VerificationError.key(folder.path("."), "this is a folder; a key is a file")) {
      try VerifyingKey(path: folder.path("."))
    }
    #expect(throws: FormatError.missing(path: folder.path("absent"))) {
      try VerifyingKey(path: folder.path("absent"))
    }
  }
}
