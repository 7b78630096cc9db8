import Formats
import Foundation
import Records
import Testing

/// A folder that goes when the test ends.
final class Scratch {
  let folder: URL

  init() throws {
    folder = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(at: folder) }

  func path(_ name: String) -> String { folder.appendingPathComponent(name).path }

  func write(_ text: String, to name: String = "in.jsonl") throws -> String {
    try Data(text.utf8).write(to: URL(fileURLWithPath: path(name)))
    return path(name)
  }
}

@Suite struct RecordParserTests {
  static func parse(_ line: String, _ options: RecordOptions = RecordOptions()) throws -> Record {
    try RecordParser(options).parse(Array(line.utf8), file: "f", line: 7)
  }

  @Test("White space alone is no text, whatever alphabet it is of")
  func blankTexts() throws {
    for line in [#"{"text": " \t\n"}"#, #"{"text":"\u3000\u00a0"}"#, #"{"prompt": " ", "completion": "\n"}"#]
    {
      let error = #expect(throws: RecordError.self) { try Self.parse(line) }
      #expect("\(try #require(error))".contains("f:7: the text is empty: white space alone"), "\(line)")
    }
    #expect(try Self.parse(#"{"text": " \u3000\u00e9"}"#).text == " \u{3000}\u{e9}")
    #expect(try Self.parse(#"{"prompt": " ", "completion": "c"}"#).parts == [" ", "c"])
  }

  @Test("A line that is no object is told so, whatever it begins with")
  func noObjects() throws {
    for line in ["nonsense", "true", "[1]", "\"{}\"", " 7"] {
      let error = #expect(throws: RecordError.self) { try Self.parse(line) }
      #expect("\(try #require(error))".contains("the line is no JSON object"), "\(line)")
    }
  }

  @Test("Each shape gives its text and parts")
  func shapes() throws {
    let text = try Self.parse(#"{"text":"a\nb","id":"x","source":"s"}"#)
    #expect(text.shape == .text && text.text == "a\nb" && text.id == "x" && text.source == "s")
    #expect(text.hasGivenID && text.line == 7)
    let exchange = try Self.parse(#"{"prompt":"p","completion":"c"}"#)
    #expect(exchange.shape == .exchange && exchange.text == "p\nc" && exchange.parts == ["p", "c"])
    let instruction = try Self.parse(#"{"instruction":"i","input":"n","output":"o"}"#)
    #expect(
      instruction.shape == .instruction && instruction.content == .exchange(prompt: "i\nn", completion: "o"))
    for line in [
      #"{"instruction":"i","input":"","output":"o"}"#, #"{"instruction":"i","output":"o","input":null}"#,
    ] {
      #expect(try Self.parse(line).content == .exchange(prompt: "i", completion: "o"))
    }
    let messages = try Self.parse(
      #"{"messages":[{"role":"user","content":"u"},{"role":"assistant","content":"a","name":"n"}]}"#)
    #expect(messages.shape == .messages && messages.text == "u\na")
    #expect(
      messages.content
        == .messages([.init(role: "user", content: "u"), .init(role: "assistant", content: "a")]))
  }

  @Test("Dot paths reach inside; a key with the dot itself comes first")
  func fields() throws {
    var options = RecordOptions()
    options.textField = "a.b"
    options.idField = "meta.id"
    options.sourceField = "meta.from"
    let record = try Self.parse(#"{"a":{"b":"t"},"meta":{"id":12.50,"from":"web"}}"#, options)
    #expect(record.text == "t" && record.id == "12.50" && record.source == "web")
    #expect(try Self.parse(#"{"a.b":"flat","a":{"b":"t"}}"#, options).text == "flat")
  }

  @Test("A missing id is the beginning of the text's SHA-256")
  func madeID() throws {
    // printf 'p\nc' | sha256sum
    let record = try Self.parse(#"{"prompt":"p","completion":"c"}"#)
    #expect(record.id == ByteString(String(FileHash.sha256(Array("p\nc".utf8)).prefix(16))))
    #expect(!record.hasGivenID)
    #expect(try Self.parse(#"{"text":"abc","id":null}"#).id == "ba7816bf8f01cfea")
  }

  @Test(
    "Bad lines say where and why",
    arguments: [
      ("", "blank"), ("nonsense", "no JSON object"), ("{nonsense", "invalid JSON"), ("[1]", "no JSON object"),
      (#"{"text":""}"#, "empty"),
      (#"{"text":5}"#, "'text' is no string"), (#"{"prompt":"a"}"#, "'completion' is missing"),
      (#"{"instruction":"a"}"#, "'output' is missing"), (#"{"txt":"a"}"#, "none of 'text'"),
      (#"{"messages":[]}"#, "empty"), (#"{"messages":"a"}"#, "no list"),
      (#"{"prompt":"","completion":""}"#, "empty"),
      (#"{"messages":[{"role":"user"}]}"#, "message 1 has no 'content'"),
      (#"{"text":"a","id":[1]}"#, "'id' is neither"),
      (#"{"text":"a","source":{}}"#, "'source' is neither"),
    ])
  func bad(_ line: String, _ reason: String) throws {
    let error = #expect(throws: RecordError.self) { try Self.parse(line) }
    #expect(error?.description.hasPrefix("f:7: ") == true)
    #expect(error?.description.contains(reason) == true, "\(error?.description ?? "")")
  }

  @Test func invalidUTF8() throws {
    let line = Array(#"{"text":"a"#.utf8) + [0xFF] + Array(#""}"#.utf8)
    #expect(throws: RecordError.self) { try RecordParser().parse(line, file: "f", line: 1) }
  }
}

@Suite struct RecordReaderTests {
  @Test("Files in the order of the arguments; shapes reported once each")
  func order() throws {
    let scratch = try Scratch()
    let first = try scratch.write("{\"text\":\"a\"}\n{\"text\":\"b\"}\r\n", to: "1.jsonl")
    let second = try scratch.write("{\"prompt\":\"c\",\"completion\":\"d\"}\n{\"text\":\"e\"}", to: "2.jsonl")
    var seen: [String] = []
    let (records, summary) = try RecordReader.readAll([second, first]) { seen.append("\($0) \($1)") }
    #expect(records.map(\.text) == ["c\nd", "e", "a", "b"])
    #expect(records.map(\.line) == [1, 2, 1, 2])
    #expect(seen == ["exchange \(second):1", "text \(second):2"])
    #expect(summary.records == 4 && summary.badLines == 0 && summary.shapes == [.exchange, .text])
  }

  @Test("Repeats of a made id are numbered; given ids are compared as bytes")
  func identifiers() throws {
    let scratch = try Scratch()
    let path = try scratch.write(
      """
      {"text":"abc"}
      {"text":"abc"}
      {"text":"x","id":"ba7816bf8f01cfea-3"}
      {"text":"abc"}
      {"text":"y","id":"caf\u{E9}"}
      {"text":"z","id":"cafe\u{301}"}
      """)
    let (records, _) = try RecordReader.readAll([path])
    #expect(
      records.map(\.id) == [
        "ba7816bf8f01cfea", "ba7816bf8f01cfea-2", "ba7816bf8f01cfea-3", "ba7816bf8f01cfea-4", "caf\u{E9}",
        "cafe\u{301}",
      ])
  }

  @Test func duplicate() throws {
    let scratch = try Scratch()
    let path = try scratch.write("{\"text\":\"a\",\"id\":1}\n{\"text\":\"b\",\"id\":\"1\"}\n")
    let error = #expect(throws: RecordError.self) { try RecordReader.readAll([path]) }
    #expect(error?.description == "\(path):2: the id '1' was used before, in \(path):1")
  }

  @Test("With fail all bad lines are counted, ten are shown")
  func fail() throws {
    let scratch = try Scratch()
    let path = try scratch.write(String(repeating: "{}\n", count: 25) + "{\"text\":\"a\"}\n")
    let error = #expect(throws: RecordError.self) { try RecordReader.readAll([path]) }
    guard case .badLines(let messages, 25) = error else {
      Issue.record("\(String(describing: error))")
      return
    }
    #expect(messages.count == 10)
    #expect(error?.description.hasSuffix("and 15 more bad lines") == true)
  }

  @Test("Skipped and quarantined lines, also those the caller rejects")
  func skipAndQuarantine() throws {
    let scratch = try Scratch()
    let path = try scratch.write("{\"text\":\"a\"}\nbad\n{\"text\":\"reject\"}\n{\"text\":\"b\"}\n")
    var options = RecordOptions()
    options.onError = .skip
    #expect(try RecordReader.readAll([path], options: options).records.map(\.text) == ["a", "reject", "b"])
    let quarantine = scratch.path("bad.jsonl")
    options.onError = .quarantine(path: quarantine, force: false)
    var kept: [ByteString] = []
    let summary = try RecordReader(paths: [path], options: options).forEach { record in
      if record.text == "reject" { throw record.failure("unwanted") }
      kept.append(record.text)
    }
    #expect(kept == ["a", "b"])
    #expect(summary.records == 2 && summary.badLines == 2)
    #expect(summary.messages.last == "\(path):3: unwanted")
    #expect(try String(contentsOfFile: quarantine, encoding: .utf8) == "bad\n{\"text\":\"reject\"}\n")
    #expect(throws: FormatError.exists(path: quarantine)) {
      try RecordReader.readAll([path], options: options)
    }
  }

  @Test("A file that is not there is missing input, not bad data")
  func missing() {
    #expect(throws: FormatError.missing(path: "/nowhere.jsonl")) {
      try RecordReader.readAll(["/nowhere.jsonl"])
    }
  }
}
