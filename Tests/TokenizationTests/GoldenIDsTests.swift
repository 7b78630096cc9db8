import Formats
import Foundation
import TestSupport
import Testing
import Tokenization

/// Ids and decoded texts against those of Hugging Face `tokenizers`, made by scripts/fixtures/tokenizers.py.
@Suite struct GoldenIDsTests {
  struct Golden {
    var ids: [[Int32]]
    var bare: [[Int32]]
    var decoded: [ByteString]
  }

  static func read(_ file: String) throws -> JSONValue {
    let bytes = try Data(contentsOf: URL(fileURLWithPath: TestData.fixture("tokenizers/\(file)")))
    return try JSONValue.parse(Array(bytes))
  }

  static func texts() throws -> [ByteString] {
    try #require(read("texts.json").array).compactMap(\.byteString)
  }

  static func golden(_ file: String, _ name: ByteString) throws -> Golden {
    let entry = try #require(try read(file)[name])
    func ids(_ key: ByteString) -> [[Int32]] {
      (entry[key]?.array ?? []).map { ($0.array ?? []).compactMap { $0.int.map(Int32.init) } }
    }
    return Golden(
      ids: ids("ids"), bare: ids("bare"), decoded: (entry["decoded"]?.array ?? []).compactMap(\.byteString))
  }

  static func compare(_ tokenizer: Tokenizer, with golden: Golden) throws {
    let texts = try texts()
    try #require(golden.ids.count == texts.count && texts.count > 100)
    for (index, text) in texts.enumerated() {
      #expect(tokenizer.encode(text, addSpecialTokens: true) == golden.ids[index], "text \(index): \(text)")
      #expect(
        Array(tokenizer.decode(golden.ids[index]).utf8) == golden.decoded[index].bytes,
        "text \(index): \(text)")
      if !golden.bare.isEmpty {
        #expect(
          tokenizer.encode(text, addSpecialTokens: false) == golden.bare[index], "text \(index): \(text)")
      }
    }
  }

  @Test(
    "Tokenizers trained by the fixture script, between them with every kind of stage",
    arguments: [
      "byte-level", "byte-level-prefix", "llama3", "fallback", "metaspace", "word-piece", "word-piece-cased",
    ])
  func small(_ name: String) throws {
    let tokenizer = try Tokenizer.load(TestData.fixture("tokenizers/\(name)"))
    try Self.compare(tokenizer, with: try Self.golden("small.json", ByteString(name)))
  }

  @Test(
    "SmolLM2 and stories260k", .enabled(if: TestData.isAvailable, "needs ALINFIK_DATA or ../shared/data"),
    arguments: [("smollm2", "smollm2-135m"), ("stories260k", "stories260k")])
  func real(_ name: String, _ folder: String) throws {
    let tokenizer = try Tokenizer.load(TestData.path(folder))
    try Self.compare(tokenizer, with: try Self.golden("golden.json", ByteString(name)))
  }

  static let miniLMFolder = ProcessInfo.processInfo.environment["ALINFIK_MINILM"]

  @Test(
    "all-MiniLM-L6-v2",
    .enabled(if: GoldenIDsTests.miniLMFolder != nil, "needs ALINFIK_MINILM, a folder with its tokenizer.json")
  )
  func miniLM() throws {
    let tokenizer = try Tokenizer.load(try #require(Self.miniLMFolder))
    try Self.compare(tokenizer, with: try Self.golden("golden.json", "minilm"))
    #expect(tokenizer.maximumLength == 512)
    #expect(tokenizer.padToken == 0)
  }

  static let smolLM2File = ProcessInfo.processInfo.environment["ALINFIK_SMOLLM2"]

  @Test(
    "SmolLM2's tokenizer from GGUF",
    .enabled(if: GoldenIDsTests.smolLM2File != nil, "needs ALINFIK_SMOLLM2, SmolLM2-135M-Instruct as GGUF"))
  func smolLM2FromGGUF() throws {
    let tokenizer = try Tokenizer.load(try #require(Self.smolLM2File))
    try Self.compare(tokenizer, with: try Self.golden("golden.json", "smollm2"))
    #expect(tokenizer.eosToken == tokenizer.id(of: "<|im_end|>"))
    let template = try #require(tokenizer.chatTemplate)
    let known = try #require(try Self.read("chat.json")["templates"]?["smollm2"]?.byteString)
    #expect(template.string.replacing("\\n", with: "\n") == known.string)
  }
}
