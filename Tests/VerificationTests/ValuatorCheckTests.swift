import Encoder
import Formats
import Foundation
import TestSupport
import Testing
import Verification

@Suite struct ValuatorCheckTests {
  private let folder: TemporaryFolder
  private let directory: String

  init() throws {
    folder = try TemporaryFolder()
    directory = folder.path("valuator")
    try letterValuator(in: folder).save(to: directory)
  }

  private func check(_ key: VerifyingKey? = nil) throws -> ValuatorCheck {
    try ValuatorCheck(directory: directory, key: key)
  }

  /// What the only failure says.
  private func failure(_ key: VerifyingKey? = nil) throws -> String {
    let failures = try check(key).failures
    #expect(failures.count == 1, "\(failures)")
    return failures.first?.words ?? ""
  }

  private func changeCard(_ key: ByteString, _ change: (JSONValue) throws -> JSONValue) throws {
    let path = directory + "/alinfik.json"
    let members = try #require(JSONValue.read(path: path).members).map { member in
      member.key == key ? (key: member.key, value: try change(member.value)) : member
    }
    try OutputFile.write(JSONValue.object(members).serialized(pretty: true), to: path, force: true)
  }

  private func changeSelfTest(_ key: ByteString, _ change: (JSONValue) -> JSONValue) throws {
    try changeCard("self_test") { test in
      .object(test.members!.map { $0.key == key ? (key: $0.key, value: change($0.value)) : $0 })
    }
  }

  @Test func whatWasSavedPasses() throws {
    let check = try check()
    #expect(check.failures.isEmpty && check.unlisted.isEmpty)
    #expect(check.findings.map(\.subject) == ["files", "signature", "format", "self-test"])
    #expect(check.findings.map(\.outcome) == [.passed, .unknown, .passed, .passed])
    #expect(check.findings[1].words.contains("not where they come from"))
    #expect(check.findings[3].words.contains("last bit"))
  }

  @Test func everyFileThatDiffersIsNamed() throws {
    _ = try folder.file("valuator/README.md", "another card")
    try FileManager.default.removeItem(atPath: directory + "/tokenizer_config.json")
    _ = try folder.file("valuator/note.txt", "hello")
    let check = try check()
    #expect(check.failures.count == 1 && check.failures[0].subject == "files")
    #expect(check.failures[0].words.contains("missing: tokenizer_config.json"))
    #expect(check.failures[0].words.contains("changed since it was saved: README.md"))
    #expect(check.unlisted == ["note.txt"])
    // Nothing of it is read any more.
    #expect(!check.findings.contains { $0.subject == "format" })
  }

  /// A file that was not saved and that loading would read is no stray one.
  @Test(arguments: ["chat_template.jinja", "special_tokens_map.json"])
  func whatWouldBeReadMustBeListed(_ name: String) throws {
    let key = SigningKey()
    try ValuatorSignature.sign(ValuatorFiles(directory: directory), by: key, force: false)
    _ = try folder.file("valuator/" + name, "{}")
    let words = try failure(key.publicKey)
    #expect(words.contains("remove it: \(name)"), "\(words)")
    #expect(throws: EncoderError.self) {
      try ValuatorSignature.sign(ValuatorFiles(directory: directory), by: key, force: true)
    }
  }

  @Test func hashesThatWereMadeAgainDoNotHideABrokenFile() throws {
    _ = try folder.file("valuator/config.json", "{}")
    let hash = try FileHash.sha256(path: directory + "/config.json")
    try changeCard("files") { files in
      .object(files.members!.map { $0.key == "config.json" ? (key: $0.key, value: JSONValue(hash)) : $0 })
    }
    let failures = try check().failures
    #expect(failures.map(\.subject) == ["format"] && failures[0].words.contains("config.json"))
  }

  @Test func theSelfTestHasATolerance() throws {
    func moved(by share: Double) throws {
      let range = 2.0  // Of the calibration's inputs; the outputs below are set to lie within it.
      try changeSelfTest("outputs") { outputs in
        .array(outputs.array!.map { JSONValue($0.double! + share * range) })
      }
    }
    try moved(by: 2e-6)
    let near = try check()
    #expect(near.failures.isEmpty && near.findings[3].words.contains("as instruction sets may"))
    try moved(by: 0.5)
    #expect(try failure().contains("do not trust scores made here"))
  }

  @Test func otherTokensAndNoSelfTestAreToldApart() throws {
    try changeSelfTest("tokens_sha256") { _ in JSONValue("0") }
    #expect(try failure().contains("other tokens"))
    try changeCard("self_test") { _ in .null }
    let old = try check()
    #expect(old.failures.isEmpty && old.findings[3].outcome == .unknown)
  }

  @Test func aSignatureSaysWhoHasMadeIt() throws {
    let (key, other) = (SigningKey(), SigningKey())
    #expect(try failure(key.publicKey).contains("not signed"))
    try ValuatorSignature.sign(ValuatorFiles(directory: directory), by: key, force: false)
    let signed = try check(key.publicKey)
    #expect(signed.failures.isEmpty && signed.unlisted.isEmpty && signed.findings[1].outcome == .passed)
    #expect(try check().findings[1].words.contains("--public-key says by whom"))
    #expect(try failure(other.publicKey).contains("not this key's"))
    for (signer, known) in [(other, nil), (key, key.publicKey.fingerprint)] {
      #expect(throws: VerificationError.signed(directory, by: known)) {
        try ValuatorSignature.sign(ValuatorFiles(directory: directory), by: signer, force: false)
      }
    }
    // A valuator with a signature is loaded, and replaced, as others; the signature is not that of the new one.
    let loaded = try Valuator.load(directory: directory)
    try loaded.save(to: directory, force: true)
    #expect(!FileManager.default.fileExists(atPath: directory + "/alinfik.sig"))
    try ValuatorSignature.sign(ValuatorFiles(directory: directory), by: key, force: false)
    // A single byte of what is signed.
    try changeCard("score_unit") { _ in JSONValue("natS") }
    #expect(try failure(key.publicKey).contains("not this key's"))
    _ = try folder.file("valuator/alinfik.sig", "short")
    #expect(try failure(key.publicKey).contains("not this key's"))
  }

  @Test func whatWasChangedIsNotSigned() throws {
    _ = try folder.file("valuator/README.md", "another card")
    #expect(throws: EncoderError.tampered(directory: directory, file: "README.md")) {
      try ValuatorSignature.sign(ValuatorFiles(directory: directory), by: SigningKey(), force: false)
    }
    #expect(!FileManager.default.fileExists(atPath: directory + "/alinfik.sig"))
  }

  @Test func everyPrecisionPassesItsOwnTest() throws {
    for precision in [ValuatorPrecision.bf16, .int8] {
      try letterValuator(in: folder, precision: precision).save(to: directory, force: true)
      let check = try check()
      #expect(check.failures.isEmpty && check.findings[3].words.contains("last bit"), "\(check.findings)")
    }
  }
}
