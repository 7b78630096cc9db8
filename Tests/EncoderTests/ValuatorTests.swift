import Encoder
import Formats
import Foundation
import Records
import TestSupport
import Testing

@Suite struct ValuatorTests {
  private let texts = ["a b c", "hello world", "zz", "x y z x y z x y z x y z x y z"].map { Record.text($0) }

  @Test func directoryRoundTrips() throws {
    let folder = try TemporaryFolder()
    let valuator = try tinyValuator(in: folder)
    let directory = folder.path + "/valuator"
    try valuator.save(to: directory, log: [["event": "prepared"]])
    let loaded = try Valuator.load(directory: directory)
    let before = try valuator.scores(of: texts)
    let after = try loaded.scores(of: texts)
    #expect(before.map(\.raw) == after.map(\.raw))
    #expect(before.map(\.value) == after.map(\.value))
    #expect(loaded.card.rows == valuator.card.rows)
    #expect(loaded.card.domain != nil && loaded.card.domain == valuator.card.domain)
    #expect(loaded.card.intervals != nil && loaded.card.intervals == valuator.card.intervals)
    #expect(loaded.card.calibration == valuator.card.calibration)
    #expect(loaded.card.seed == 7)
    #expect(loaded.card.metrics["test_spearman"]?.double == 0.5)
    #expect(!FileManager.default.fileExists(atPath: directory + ".tmp"))
  }

  @Test func directoryIsWhatSentenceTransformersReads() throws {
    let folder = try TemporaryFolder()
    let directory = folder.path + "/valuator"
    try tinyValuator(in: folder).save(to: directory)
    func json(_ name: String) throws -> JSONValue { try JSONValue.read(path: directory + "/" + name) }
    let modules = try #require(try json("modules.json").array)
    #expect(
      modules.map { $0["type"]?.string?.split(separator: ".").last } == ["Transformer", "Pooling", "Dense"])
    let pooling = try json("1_Pooling/config.json")
    #expect(pooling["pooling_mode_mean_tokens"]?.bool == true)
    #expect(pooling["pooling_mode_mean_sqrt_len_tokens"]?.bool == true)
    #expect(pooling["pooling_mode_cls_token"]?.bool == false)
    let dense = try json("2_Dense/config.json")
    #expect(dense["in_features"]?.int == 32)
    #expect(dense["activation_function"]?.string == "torch.nn.modules.linear.Identity")
    #expect(try json("sentence_bert_config.json")["max_seq_length"]?.int == 12)
    #expect(try json("tokenizer_config.json")["model_max_length"]?.int == 12)
    #expect(try json("tokenizer.json")["truncation"]?.isNull == true)
    let head = try SafetensorsFile(path: directory + "/2_Dense/model.safetensors")
    #expect(head.tensor(named: "linear.weight")?.shape == [1, 32])
    #expect(head.tensor(named: "linear.bias")?.shape == [1])
  }

  @Test func everyFileIsInTheHashes() throws {
    let folder = try TemporaryFolder()
    let directory = folder.path + "/valuator"
    try tinyValuator(in: folder).save(to: directory)
    let card = try JSONValue.read(path: directory + "/alinfik.json")
    let named = Set((card["files"]?.members ?? []).map(\.key.string) + ["alinfik.json"])
    let found = try FileManager.default.subpathsOfDirectory(atPath: directory).filter {
      var isDirectory: ObjCBool = false
      return FileManager.default.fileExists(atPath: directory + "/" + $0, isDirectory: &isDirectory)
        && !isDirectory.boolValue
    }
    #expect(named == Set(found))
  }

  @Test(arguments: ["config.json", "2_Dense/model.safetensors", "README.md"])
  func changedFileIsNamed(name: String) throws {
    let folder = try TemporaryFolder()
    let directory = folder.path + "/valuator"
    try tinyValuator(in: folder).save(to: directory)
    let path = URL(fileURLWithPath: directory + "/" + name)
    try (Data(contentsOf: path) + Data([0x20])).write(to: path)
    #expect(throws: EncoderError.tampered(directory: directory, file: name)) {
      try Valuator.load(directory: directory)
    }
  }

  /// A directory whose hashes were made to fit what is wrong in it.
  @Test(arguments: [
    ("domain.bin", "domain.bin"), ("no threshold", "domain.bin"), ("unlisted", "model.safetensors"),
    ("intervals", "intervals"), ("encoder", "not known"),
  ])
  func damageThatTheHashesDoNotShow(_ damage: String, _ said: String) throws {
    let folder = try TemporaryFolder()
    let directory = folder.path + "/valuator"
    try tinyValuator(in: folder).save(to: directory)
    let cardPath = URL(fileURLWithPath: directory + "/alinfik.json")
    var members = try #require(try JSONValue.read(path: cardPath.path).members)
    func change(_ key: ByteString, _ value: JSONValue) {
      let place = members.firstIndex { $0.key == key }!
      members[place] = (key: key, value: value)
    }
    let files = members.first { $0.key == "files" }!.value.members!
    switch damage {
    case "domain.bin":
      let path = directory + "/domain.bin"
      try Data(repeating: 7, count: 100).write(to: URL(fileURLWithPath: path))
      change(
        "files",
        .object(
          try files.map { $0.key == "domain.bin" ? ($0.key, JSONValue(try FileHash.sha256(path: path))) : $0 }
        ))
    case "no threshold": change("out_of_domain", ["tokens": 10])
    case "unlisted": change("files", .object(files.filter { $0.key != "model.safetensors" }))
    case "intervals": change("intervals", ["spread": ["bias": 1], "residuals": [1, -1]])
    default: change("encoder", "astrology")
    }
    try Data(JSONValue.object(members).serialized()).write(to: cardPath)
    let error = #expect(throws: EncoderError.self) { try Valuator.load(directory: directory) }
    #expect("\(try #require(error))".contains(said))
  }

  @Test(arguments: ["chat_template.jinja", "special_tokens_map.json"])
  func anUnlistedFileThatWouldBeReadIsRefused(_ name: String) throws {
    let folder = try TemporaryFolder()
    let directory = folder.path + "/valuator"
    try tinyValuator(in: folder).save(to: directory)
    // Nothing reads this one.
    try Data("hello".utf8).write(to: URL(fileURLWithPath: directory + "/note.txt"))
    _ = try Valuator.load(directory: directory)
    let path = directory + "/" + name
    let cardPath = directory + "/alinfik.json"
    let files = try #require(try JSONValue.read(path: cardPath)["files"]?.members)
    #expect(!files.contains { $0.key.string == name })
    try Data("{}".utf8).write(to: URL(fileURLWithPath: path))
    let error = #expect(throws: EncoderError.self) { try Valuator.load(directory: directory) }
    let words = "\(try #require(error))"
    #expect(words.contains(name) && words.contains("remove it"))
  }

  @Test func aBrokenCardIsLocated() throws {
    let folder = try TemporaryFolder()
    let directory = folder.path + "/valuator"
    try tinyValuator(in: folder).save(to: directory)
    let path = directory + "/alinfik.json"
    try Data("{\n\"files\": nonsense}".utf8).write(to: URL(fileURLWithPath: path))
    let error = #expect(throws: FormatError.self) { try ValuatorFiles(directory: directory) }
    #expect("\(try #require(error))".contains(path + ":2"))
  }

  @Test func folderThatIsNoValuatorIsRefused() throws {
    let folder = try TemporaryFolder()
    #expect(throws: EncoderError.self) { try Valuator.load(directory: folder.path) }
    #expect(throws: (any Error).self) { try Valuator.load(directory: folder.path + "/absent") }
  }

  @Test func existingFolderIsKeptWithoutForce() throws {
    let folder = try TemporaryFolder()
    let directory = folder.path + "/valuator"
    let valuator = try tinyValuator(in: folder)
    try valuator.save(to: directory)
    #expect(throws: FormatError.exists(path: directory)) { try valuator.save(to: directory) }
    try valuator.save(to: directory, force: true)
    _ = try Valuator.load(directory: directory)
  }

  @Test func longTextKeepsItsClosingToken() throws {
    let folder = try TemporaryFolder()
    let encoding = try tinyValuator(in: folder).encoding
    let long = try encoding.encode(.text("a b c d e f g h i j k l m n"))
    let whole = encoding.tokenizer.encode("a b c d e f g h i j k l m n", addSpecialTokens: true).map {
      Int($0)
    }
    #expect(long.isTruncated)
    #expect(long.ids == whole.prefix(11) + [3])
    let short = try encoding.encode(.text("a b"))
    #expect(!short.isTruncated)
    #expect(short.ids.first == 2 && short.ids.last == 3 && short.ids.count == 4)
  }

  @Test func scoresDoNotDependOnWorkersOrOrderIsKept() throws {
    let folder = try TemporaryFolder()
    let valuator = try tinyValuator(in: folder)
    let many = (0..<200).map { Record.text(ByteString(String(repeating: "ab ", count: $0 % 9 + 1))) }
    let one = try valuator.scores(of: many, workers: 1)
    let three = try valuator.scores(of: many, workers: 3)
    #expect(one.map(\.raw) == three.map(\.raw))
    // Texts of five lengths once truncated; equal texts have equal bits whatever batch they are in.
    #expect(Set(one.map(\.raw)).count == 5)
    #expect(zip(one, many).allSatisfy { $0.tokens == min(12, 2 * ($1.text.count / 3) + 2) })
  }

  @Test func valueIsTheCalibratedOutput() throws {
    let folder = try TemporaryFolder()
    let valuator = try tinyValuator(in: folder)
    for score in try valuator.scores(of: texts) {
      #expect(score.value == valuator.card.calibration(Double(score.raw)))
    }
  }
}
