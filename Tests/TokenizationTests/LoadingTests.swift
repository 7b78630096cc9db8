import Formats
import Foundation
import TestSupport
import Testing
import Tokenization

@Suite struct LoadingTests {
  /// Loads tokenizer.json with this text, and whatever else is to lie beside it.
  static func load(_ text: String, beside: [String: String] = [:]) throws -> Tokenizer {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    for (name, text) in beside.merging(["tokenizer.json": text], uniquingKeysWith: { $1 }) {
      try Data(text.utf8).write(to: folder.appendingPathComponent(name))
    }
    return try Tokenizer.load(folder.path)
  }

  static let model = #""model":{"type":"BPE","vocab":{"a":0,"b":1,"ab":2,"<e>":3},"merges":["a b"]}"#

  @Test(
    "Stages that are not implemented are refused by name",
    arguments: [
      (#"{"normalizer":{"type":"Precompiled"},\#(model)}"#, "normalizer 'Precompiled'"),
      (
        #"{"normalizer":{"type":"Replace","pattern":{"Regex":"a+"},"content":"b"},\#(model)}"#, "pattern 'a+'"
      ),
      (#"{"pre_tokenizer":{"type":"UnicodeScripts"},\#(model)}"#, "pre_tokenizer 'UnicodeScripts'"),
      (
        #"{"pre_tokenizer":{"type":"Split","pattern":{"Regex":"x"},"behavior":"Isolated"},\#(model)}"#,
        "pattern 'x'"
      ),
      (
        #"{"pre_tokenizer":{"type":"Sequence","pretokenizers":[{"type":"ByteLevel"},{"type":"Digits"}]},\#(model)}"#,
        "after ByteLevel"
      ),
      (#"{"post_processor":{"type":"Magic"},\#(model)}"#, "post_processor 'Magic'"),
      (#"{"decoder":{"type":"CTC"},\#(model)}"#, "decoder 'CTC'"),
      (#"{"model":{"type":"Unigram"}}"#, "model 'Unigram'"),
      (#"{"model":{"type":"BPE","dropout":0.1,"vocab":{"a":0},"merges":[]}}"#, "dropout"),
    ])
  func unsupported(_ text: String, _ name: String) {
    let error = #expect(throws: TokenizerError.self) { try Self.load(text) }
    guard case .unsupported(let path, let what, let supported) = error else {
      Issue.record("\(String(describing: error))")
      return
    }
    #expect(path.hasSuffix("tokenizer.json") && what.contains(name) && !supported.isEmpty)
  }

  @Test(
    "Damaged files are refused with a reason",
    arguments: [
      (#"{"model""#, "invalid JSON"), ("{}", "'model' is missing"), (#"{"model":{"type":"BPE"}}"#, "'vocab'"),
      (#"{"model":{"type":"BPE","vocab":{"a":0},"merges":["a b"]}}"#, "merge 1"),
      (#"{"model":{"type":"BPE","vocab":{"a":0},"merges":["a"]}}"#, "merge 1"),
      (#"{"model":{"type":"BPE","vocab":{"a":0,"b":0},"merges":[]}}"#, "'b'"),
      (#"{"model":{"type":"BPE","vocab":{"a":-1},"merges":[]}}"#, "'a'"),
      (#"{"model":{"type":"BPE","vocab":{"a":2000000000},"merges":[]}}"#, "'a'"),
      (#"{"model":{"type":"WordPiece","vocab":{"a":0}}}"#, "[UNK]"),
      (#"{"added_tokens":[{"content":"x"}],\#(model)}"#, "'id' is missing"),
      (#"{"post_processor":{"type":"TemplateProcessing","single":[]},\#(model)}"#, "0 times"),
    ])
  func malformed(_ text: String, _ reason: String) {
    let error = #expect(throws: TokenizerError.self) { try Self.load(text) }
    guard case .malformed(_, let found) = error else {
      Issue.record("\(String(describing: error))")
      return
    }
    #expect(found.contains(reason), "\(found)")
  }

  @Test func missing() {
    #expect(throws: TokenizerError.missing(path: "/nowhere", what: "such file or folder")) {
      try Tokenizer.load("/nowhere")
    }
    #expect(throws: TokenizerError.self) { try Tokenizer.load(TestData.fixture("tokenizers")) }
  }

  @Test("Named tokens, limit and template come from the files beside")
  func configuration() throws {
    let tokenizer = try Self.load(
      "{\(Self.model)}",
      beside: [
        "special_tokens_map.json": #"{"bos_token":"a","eos_token":"b"}"#,
        "tokenizer_config.json":
          #"{"eos_token":{"content":"<e>"},"pad_token":null,"model_max_length":1e30,"chat_template":[{"name":"tool","template":"x"},{"name":"default","template":"y"}]}"#,
      ])
    #expect(tokenizer.bosToken == 0 && tokenizer.eosToken == 3 && tokenizer.padToken == nil)
    #expect(tokenizer.maximumLength == nil)
    #expect(tokenizer.chatTemplate == "y")
    #expect(
      tokenizer.files.map(\.name) == ["tokenizer.json", "special_tokens_map.json", "tokenizer_config.json"])
    let limited = try Self.load(
      "{\(Self.model)}",
      beside: ["tokenizer_config.json": #"{"model_max_length":512}"#, "chat_template.jinja": "z"])
    #expect(limited.maximumLength == 512 && limited.chatTemplate == "z")
  }

  @Test("Tokens and ids by each other")
  func vocabulary() throws {
    let tokenizer = try Self.load(
      #"{"added_tokens":[{"id":9,"content":"<x>","special":true}],\#(Self.model)}"#)
    #expect(tokenizer.vocabularySize == 10)
    #expect(tokenizer.id(of: "ab") == 2 && tokenizer.id(of: "<x>") == 9 && tokenizer.id(of: "zz") == nil)
    #expect(tokenizer.token(2) == "ab" && tokenizer.token(9) == "<x>" && tokenizer.token(5) == nil)
    #expect(tokenizer.isSpecial(9) && !tokenizer.isSpecial(2))
    // Characters without a token are dropped where the model has no unknown token.
    #expect(tokenizer.encode("abz<x>b", addSpecialTokens: true) == [2, 9, 1])
  }

  @Test("Canonically equal tokens are different tokens")
  func bytesAsKeys() throws {
    let tokenizer = try Self.load(
      "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"\u{E9}\":0,\"e\":1,\"\u{301}\":2,\"e\u{301}\":3},\"merges\":[[\"e\",\"\u{301}\"]]}}"
    )
    #expect(tokenizer.encode("\u{E9}", addSpecialTokens: false) == [0])
    #expect(tokenizer.encode("e\u{301}", addSpecialTokens: false) == [3])
  }

  @Test("Bytes that are no UTF-8 count as U+FFFD")
  func invalidUTF8() throws {
    let tokenizer = try Tokenizer.load(TestData.fixture("tokenizers/byte-level"))
    #expect(
      tokenizer.encode([0x61, 0xFF, 0x62], addSpecialTokens: false)
        == tokenizer.encode("a\u{FFFD}b", addSpecialTokens: false))
  }
}

@Suite struct PairMergerTests {
  /// Merges by the definition: again and again the pair of lowest rank, of those the leftmost.
  static func slow(_ symbols: [Int32], _ table: [String: (rank: Int, id: Int32)]) -> [Int32] {
    var symbols = symbols
    while true {
      let found = symbols.indices.dropLast().compactMap { index in
        table["\(symbols[index]) \(symbols[index + 1])"].map { (rank: $0.rank, id: $0.id, index: index) }
      }
      guard let best = found.min(by: { ($0.rank, $0.index) < ($1.rank, $1.index) }) else { return symbols }
      symbols.replaceSubrange(best.index...best.index + 1, with: [best.id])
    }
  }

  @Test("Short and long pieces merge as the definition says", arguments: [2, 7, 31, 32, 33, 64, 300])
  func definition(_ length: Int) throws {
    var state: UInt64 = UInt64(length)
    func random(_ bound: Int) -> Int {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return Int(state >> 33) % bound
    }
    // A vocabulary of strings over three letters, closed under its merges.
    var tokens = ["a", "b", "c"]
    var merges: [(String, String)] = []
    while tokens.count < 60 {
      let pair = (tokens[random(tokens.count)], tokens[random(tokens.count)])
      if tokens.contains(pair.0 + pair.1) { continue }
      merges.append(pair)
      tokens.append(pair.0 + pair.1)
    }
    let ids = Dictionary(uniqueKeysWithValues: tokens.enumerated().map { ($1, Int32($0)) })
    var table: [String: (rank: Int, id: Int32)] = [:]
    for (rank, (left, right)) in merges.enumerated() {
      table["\(ids[left]!) \(ids[right]!)"] = (rank, ids[left + right]!)
    }
    let vocabulary = tokens.enumerated().map { "\"\($1)\":\($0)" }.joined(separator: ",")
    let pairs = merges.map { "[\"\($0)\",\"\($1)\"]" }.joined(separator: ",")
    let tokenizer = try LoadingTests.load(
      "{\"model\":{\"type\":\"BPE\",\"vocab\":{\(vocabulary)},\"merges\":[\(pairs)]}}")
    for _ in 0..<50 {
      let symbols = (0..<length).map { _ in Int32(random(3)) }
      let text = symbols.map { tokens[Int($0)] }.joined()
      #expect(tokenizer.encode(text, addSpecialTokens: false) == Self.slow(symbols, table))
    }
  }
}
