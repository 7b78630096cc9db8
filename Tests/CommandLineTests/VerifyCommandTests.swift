import Formats
import Foundation
import TestSupport
import Testing

/// `verify`, `sign` and `drift`, as a user meets them.
@Suite struct VerifyCommandTests {
  private let folder: TemporaryFolder
  private let valuator: String

  init() throws {
    folder = try TemporaryFolder()
    valuator = folder.path("valuator")
    let rows = try folder.file("rows.jsonl", tinyRows(240))
    let model = try folder.tinyModel()
    let labels = folder.path("labels.h5")
    for arguments in [
      ["label", "--model", model, "--target", try folder.tinyTarget(), "--sample", rows, "--output", labels],
      ["train", labels, "--output", valuator, "--init", model, "--size", "small", "--test-rows", "80"],
    ] {
      let run = try Command.run(arguments: arguments)
      #expect(run.status == 0, "\(run.errors)")
    }
  }

  private func expect(
    _ status: Int32, _ said: String, _ arguments: String..., sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    let run = try Command.run(arguments: arguments)
    #expect(run.status == status, "\(run.status): \(run.errors)", sourceLocation: sourceLocation)
    #expect((run.output + run.errors).contains(said), "\(run.errors)", sourceLocation: sourceLocation)
  }

  @Test func aValuatorIsVerifiedAndSigned() throws {
    let (key, other) = (folder.path("key.pem"), folder.path("other.pem"))
    try expect(0, "not where they come from", "verify", valuator)
    try expect(65, "not signed", "verify", valuator, "--public-key", try madeKey(key))
    try expect(0, "alinfik.sig would be written", "sign", valuator, "--key", key, "--dry-run")
    let plan = try Command.run("sign", valuator, "--key", key, "--dry-run", "--json")
    let signature = try JSONValue.parse(Array(plan.output.utf8))["signature"]?.string
    #expect(signature?.hasSuffix("alinfik.sig") == true && !folder.exists("valuator/alinfik.sig"))
    let keys = try Command.run("sign", "--make-key", folder.path("planned.pem"), "--dry-run", "--json")
    #expect(
      try JSONValue.parse(Array(keys.output.utf8))["public_key"]?.string == folder.path("planned.pem.pub"))
    #expect(!folder.exists("planned.pem"))
    try expect(0, "signed", "sign", valuator, "--key", key, "--json")
    try expect(0, "ok signature", "verify", valuator, "--public-key", key + ".pub")
    try expect(65, "not this key's", "verify", valuator, "--public-key", try madeKey(other))
    try expect(64, "is signed already, by another key", "sign", valuator, "--key", other)
    try expect(64, "is signed already, by this very key", "sign", valuator, "--key", key, "--dry-run")
    try expect(65, "this is a public key", "sign", valuator, "--key", key + ".pub")
    try expect(64, "a key that is overwritten is lost", "sign", "--make-key", key)
    try expect(65, "give the public one (\(key).pub", "verify", valuator, "--public-key", key)
    try FileManager.default.setAttributes([.posixPermissions: 0o644], ofItemAtPath: key)
    try expect(65, "chmod 600", "sign", valuator, "--key", key, "--force")
    let found = try Command.run("verify", valuator, "--json", "--quiet")
    let json = try JSONValue.parse(Array(found.output.utf8))
    #expect(found.errors.isEmpty && json["passed"]?.bool == true)
    #expect(json["checks"]?["self-test"]?["outcome"]?.string == "passed")
    // The secret is nowhere but in its file.
    let secret = try String(contentsOfFile: other, encoding: .utf8).split(separator: "\n")[1]
    let said = try Command.run("sign", valuator, "--key", other, "--force", "--json")
    #expect(said.status == 0 && !(said.output + said.errors).contains(secret))
    _ = try folder.file("valuator/README.md", "another")
    try expect(65, "files: changed since it was saved: README.md", "verify", valuator)
    try expect(66, "no valuator", "verify", folder.path("absent"))
  }

  /// Makes a key; gives its public part's path.
  private func madeKey(_ path: String) throws -> String {
    try expect(0, "fingerprint", "sign", "--make-key", path)
    return path + ".pub"
  }

  @Test func scoredRowsAreVerified() throws {
    let input = try folder.file("input.jsonl", tinyRows(300))
    let out = folder.path("scored")
    try expect(0, "records/s", "score", valuator, input, "--output-dir", out, "--pooling", "mean")
    let scored = out + "/input.jsonl"
    try expect(0, "at most 3 % of all rows", "verify", scored, "--valuator", valuator, "-n", "100")
    try expect(0, "one would have been drawn", "verify", scored, "--valuator", valuator, "-n", "100")
    try expect(64, "--pooling max", "verify", scored, "--valuator", valuator, "--pooling", "max")
    try expect(0, #"pooling "mean""#, "verify", scored, "--valuator", valuator, "-n", "10")
    try expect(64, "--valuator says which", "verify", scored)
    // What a mark says beside the defaults is not taken from it.
    let most = folder.path("most")
    try expect(0, "records/s", "score", valuator, input, "--output-dir", most, "--pooling", "max")
    let marked = most + "/input.jsonl"
    try expect(64, "says --pooling max; give it", "verify", marked, "--valuator", valuator)
    try expect(0, #"pooling "max""#, "verify", marked, "--valuator", valuator, "--pooling", "max")
    try expect(64, "want --valuator", "verify", valuator, "--allow-missing")
    try expect(66, "absent.jsonl", "verify", folder.path("absent.jsonl"), "--valuator", valuator)
    // Without its mark, and with a score that is not the valuator's.
    let reader = try LineReader(path: scored)
    var bytes: [UInt8] = []
    while let line = try reader.next() {
      let change = [(key: ByteString("alinfik_score"), value: Optional(JSONValue(123.5)))]
      bytes += (line.number == 17 ? try JSONObjectScanner(line.bytes).changing(change) : line.bytes) + [0x0A]
    }
    let tampered = try folder.file("tampered.jsonl", bytes)
    try expect(
      65, "tampered.jsonl:17 'row-16': alinfik_score 123.5, the valuator says", "verify", tampered,
      "--valuator",
      valuator, "--pooling", "mean", "-n", "300")
    // Twice the same rows; other ones without a seed.
    func drawn(_ arguments: String...) throws -> JSONValue {
      let run = try Command.run(
        arguments: ["verify", tampered, "--valuator", valuator, "-n", "150", "--json"] + arguments)
      return try JSONValue.parse(Array(run.output.utf8))
    }
    #expect(try drawn("--seed", "4") == drawn("--seed", "4"))
    #expect(try drawn()["seed"] != drawn()["seed"])
  }

  @Test func driftHasAnExitCodeOfItsOwn() throws {
    let same = try folder.file("same.jsonl", tinyRows(240))
    try expect(
      0, "no drift: no difference is more than chance", "drift", valuator, same, "--fail-over", "0.2")
    let other = try folder.file(
      "other.jsonl",
      (0..<120).map { #"{"text": "zz zz qq \#($0) zz, zz, qq zz zz qq zz xx zz qq jj jj zz qq."}"# + "\n" }
        .joined())
    try expect(1, "drift over 0.2 (stability index): ", "drift", valuator, other, "--fail-over", "0.2")
    try expect(0, "large drift: ", "drift", valuator, other)
    let run = try Command.run("drift", valuator, other, "--fail-over", "0.2", "--json", "--quiet")
    let json = try JSONValue.parse(Array(run.output.utf8))
    #expect(run.status == 1 && json["over_limit"]?.array?.isEmpty == false && json["rows"]?.int == 120)
    #expect(json["drifted"]?.array?.isEmpty == false && json["has_drifted"]?.bool == true)
    #expect(json["size"]?.string == "large")
    let plan = try Command.run("drift", valuator, other, "-n", "50", "--dry-run", "--json")
    #expect(try JSONValue.parse(Array(plan.output.utf8))["rows"]?.int == 50)
    #expect(json["tests"]?["embedding 8"]?["p_corrected"]?.double != nil)
    try expect(66, "absent", "drift", valuator, folder.path("absent"))
    try expect(64, "at least 0", "drift", valuator, other, "--fail-over=-1")
    let broken = try folder.file("broken.jsonl", #"{"text": "a"}"# + "\nnonsense\n")
    try expect(65, "broken.jsonl:2", "drift", valuator, broken)
    try expect(65, "there is no row", "drift", valuator, try folder.file("none.jsonl", ""))
  }

  /// What one instruction set wrote and scored, another finds true.
  @Test func anotherInstructionSetFindsTheSame() throws {
    let scored = folder.path("scored.jsonl")
    try expect(0, "records/s", "score", valuator, folder.path("rows.jsonl"), "--output", scored)
    for arguments in [["verify", valuator], ["verify", scored, "--valuator", valuator, "-n", "240"]] {
      let run = try Command.run(
        arguments: arguments, environment: ["ALINFIK_INSTRUCTION_SET": "baseline"])
      #expect(run.status == 0, "\(run.errors)")
    }
  }

  /// A valuator of an earlier version is verified as far as it goes, and becomes one with a self-test.
  @Test func anOldValuatorIsToldHowToHaveASelfTest() throws {
    let path = valuator + "/alinfik.json"
    let members = try #require(JSONValue.read(path: path).members).filter { $0.key != "self_test" }
    try OutputFile.write(JSONValue.object(members).serialized(), to: path, force: true)
    try expect(0, "saved without one", "verify", valuator)
    let again = folder.path("again")
    try expect(0, "written", "quantize", valuator, "--precision", "f32", "--output", again)
    try expect(0, "last bit", "verify", again)
  }
}
