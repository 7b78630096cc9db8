import Formats
import Foundation
import TestSupport
import Testing
import Tokenization

@Suite(
  "Tokenizers embedded in GGUF files",
  .enabled(if: TestData.isAvailable, "needs ALINFIK_DATA or ../shared/data"))
struct GGUFTokenizerTests {
  /// Cases and ids of the golden pair beside a vocabulary.
  static func golden(_ name: String) throws -> [(text: [UInt8], ids: [Int32])] {
    func read(_ suffix: String) throws -> [UInt8] {
      Array(
        try Data(
          contentsOf: URL(fileURLWithPath: TestData.path("tokenizers/ggml-vocab-\(name).gguf.\(suffix)"))))
    }
    let lines = try read("out").split(separator: 0x0A, omittingEmptySubsequences: false)
    let mark = Array("\n__ggml_vocab_test__\n".utf8)
    var input = try read("inp")[...]
    var texts: [[UInt8]] = []
    while let place = input.firstRange(of: mark) {
      texts.append(Array(input[..<place.lowerBound]))
      input = input[place.upperBound...]
    }
    return zip(texts, lines).map { text, line in
      (text, String(decoding: line, as: UTF8.self).split(separator: " ").compactMap { Int32($0) })
    }
  }

  @Test("Ids of the golden pairs", arguments: ["gpt-2", "llama-bpe", "qwen2", "llama-spm", "bert-bge"])
  func goldenPairs(_ name: String) throws {
    let tokenizer = try Tokenizer.load(TestData.path("tokenizers/ggml-vocab-\(name).gguf"))
    let golden = try Self.golden(name)
    try #require(golden.count > 40)
    for (text, ids) in golden {
      #expect(tokenizer.encode(text, addSpecialTokens: false) == ids, "\(ByteString(text))")
      // BERT's vocabulary does not keep case and spaces.
      if name != "bert-bge" { #expect(Array(tokenizer.decode(ids).utf8) == text) }
    }
  }

  /// What a valuator carries of a GGUF file's tokenizer gives the same ids.
  @Test(arguments: ["gpt-2", "llama-bpe", "qwen2", "llama-spm", "bert-bge"])
  func exportedAsTokenizerJSON(_ name: String) throws {
    let path = TestData.path("tokenizers/ggml-vocab-\(name).gguf")
    let original = try Tokenizer.load(carrying: path)
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("alinfik-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    for file in original.files { try Data(file.bytes).write(to: folder.appendingPathComponent(file.name)) }
    let exported = try Tokenizer.load(folder.path)
    #expect(exported.vocabularySize == original.vocabularySize)
    for (text, ids) in try Self.golden(name) {
      #expect(exported.encode(text, addSpecialTokens: false) == ids, "\(ByteString(text))")
      #expect(exported.encode(text, addSpecialTokens: true) == original.encode(text, addSpecialTokens: true))
    }
  }

  @Test func special() throws {
    let gpt2 = try Tokenizer.load(TestData.path("tokenizers/ggml-vocab-gpt-2.gguf"))
    #expect(gpt2.eosToken == 50256)
    #expect(gpt2.vocabularySize == 50257)
    #expect(gpt2.encode("a<|endoftext|>", addSpecialTokens: true) == [64, 50256])
    let llama = try Tokenizer.load(TestData.path("tokenizers/ggml-vocab-llama-bpe.gguf"))
    #expect(llama.encode("a", addSpecialTokens: true) == [128000, 64])
    let qwen = try Tokenizer.load(TestData.path("tokenizers/ggml-vocab-qwen2.gguf"))
    #expect(qwen.chatTemplate?.string.contains("<|im_start|>") == true)
    let spm = try Tokenizer.load(TestData.path("tokenizers/ggml-vocab-llama-spm.gguf"))
    // A space goes before each text, as before each stretch between special tokens.
    #expect(spm.encode("Hello", addSpecialTokens: true) == [1, 15043])
    #expect(spm.encode("<s>Hello", addSpecialTokens: false) == [1, 15043])
    #expect(spm.encode("\u{1F999}", addSpecialTokens: false) == [29871, 243, 162, 169, 156])
    let bert = try Tokenizer.load(TestData.path("tokenizers/ggml-vocab-bert-bge.gguf"))
    #expect(bert.encode("hello", addSpecialTokens: true) == [101, 7592, 102])
  }

  /// The SentencePiece file with another word of five letters for its kind.
  @Test("Kinds that are not supported are named")
  func refused() throws {
    var data = try Data(
      contentsOf: URL(fileURLWithPath: TestData.path("tokenizers/ggml-vocab-llama-spm.gguf")))
    let key = try #require(data.range(of: Data("tokenizer.ggml.model".utf8)))
    // After the key the type of the value and its length.
    data.replaceSubrange(key.upperBound + 12..<key.upperBound + 17, with: Data("plamo".utf8))
    let file = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID().uuidString).gguf")
    try data.write(to: file)
    defer { try? FileManager.default.removeItem(at: file) }
    let error = #expect(throws: TokenizerError.self) { try Tokenizer.load(file.path) }
    #expect(error?.description.contains("tokenizer.ggml.model 'plamo'") == true)
    #expect(error?.description.contains("supported: gpt2, llama, bert") == true)
  }
}
