import Formats
import Foundation
import Records
import TestSupport
import Testing
import Tokenization

@Suite struct SampleEncoderTests {
  /// The small byte-level tokenizer of the fixtures, with a configuration beside it.
  static func tokenizer(_ scratch: Scratch, config: String? = nil) throws -> Tokenizer {
    let data = try Data(
      contentsOf: URL(fileURLWithPath: TestData.fixture("tokenizers/byte-level/tokenizer.json")))
    try data.write(to: URL(fileURLWithPath: scratch.path("tokenizer.json")))
    if let config { _ = try scratch.write(config, to: "tokenizer_config.json") }
    return try Tokenizer.load(scratch.folder.path)
  }

  static func smollmConfig() throws -> String {
    let template = try #require(try ChatTemplateTests.fixture()["templates"]?["smollm2"])
    let config = JSONValue.object([("eos_token", "<|im_end|>"), ("chat_template", template)])
    return String(decoding: config.serialized(), as: UTF8.self)
  }

  static func record(_ line: String) throws -> Record {
    try RecordParser().parse(Array(line.utf8), file: "f", line: 3)
  }

  static func scoredText(_ sample: TokenizedSample, _ tokenizer: Tokenizer) -> String {
    let kept = zip(sample.tokens, sample.scored).filter(\.1).map(\.0)
    return tokenizer.decode(kept, skipSpecialTokens: false)
  }

  @Test("Text: the post-processor's tokens, all but the first scored")
  func text() throws {
    let tokenizer = try Tokenizer.load(TestData.fixture("tokenizers/fallback"))
    let sample = try SampleEncoder(tokenizer: tokenizer).encode(try Self.record(#"{"text":"the cat"}"#))
    #expect(sample.tokens == tokenizer.encode("the cat", addSpecialTokens: true))
    #expect(sample.tokens.first == 1)
    #expect(sample.scored == [false] + Array(repeating: true, count: sample.tokens.count - 1))
    #expect(!sample.truncated)
  }

  @Test("Prompt and completion by the template: the answer and its end of turn scored")
  func exchange() throws {
    let scratch = try Scratch()
    let tokenizer = try Self.tokenizer(scratch, config: try Self.smollmConfig())
    let sample = try SampleEncoder(tokenizer: tokenizer).encode(
      try Self.record(#"{"prompt":"the cat","completion":"\n sat"}"#))
    let prompt =
      "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n"
      + "<|im_start|>user\nthe cat<|im_end|>\n<|im_start|>assistant\n"
    let parts = [prompt, "\n sat<|im_end|>", "\n"].map { tokenizer.encode($0, addSpecialTokens: false) }
    #expect(sample.tokens == parts[0] + parts[1] + parts[2])
    #expect(
      sample.scored == parts[0].map { _ in false } + parts[1].map { _ in true } + parts[2].map { _ in false })
    #expect(Self.scoredText(sample, tokenizer) == "\n sat<|im_end|>")
  }

  @Test("Messages: every assistant turn scored; an instruction is an exchange")
  func messages() throws {
    let scratch = try Scratch()
    let tokenizer = try Self.tokenizer(scratch, config: try Self.smollmConfig())
    let encoder = SampleEncoder(tokenizer: tokenizer)
    let sample = try encoder.encode(
      try Self.record(
        #"{"messages":[{"role":"system","content":"s"},{"role":"user","content":"a"},{"role":"assistant","content":"b"},"#
          + #"{"role":"user","content":"c"},{"role":"assistant","content":"d"}]}"#))
    #expect(Self.scoredText(sample, tokenizer) == "b<|im_end|>d<|im_end|>")
    #expect(!tokenizer.decode(sample.tokens).contains("SmolLM"))
    let instruction = try Self.record(#"{"instruction":"i","input":"n","output":"o"}"#)
    let exchange = try Self.record(#"{"prompt":"i\nn","completion":"o"}"#)
    #expect(try encoder.encode(instruction) == encoder.encode(exchange))
  }

  @Test("Without a template: prompt, completion, end of sequence")
  func verbatim() throws {
    let scratch = try Scratch()
    let tokenizer = try Self.tokenizer(scratch, config: #"{"eos_token":{"content":"<|endoftext|>"}}"#)
    let sample = try SampleEncoder(tokenizer: tokenizer).encode(
      try Self.record(#"{"prompt":"the cat","completion":" sat"}"#))
    let prompt = tokenizer.encode("the cat", addSpecialTokens: false)
    let completion = tokenizer.encode(" sat", addSpecialTokens: false)
    #expect(sample.tokens == prompt + completion + [0])
    #expect(sample.scored == prompt.map { _ in false } + completion.map { _ in true } + [true])
    // Position 0 has nothing to be predicted from.
    let bare = try SampleEncoder(tokenizer: tokenizer).encode(
      try Self.record(#"{"prompt":"","completion":"t"}"#))
    #expect(bare.scored.first == false && bare.scored.last == true)
  }

  @Test func truncation() throws {
    let scratch = try Scratch()
    let tokenizer = try Self.tokenizer(scratch, config: try Self.smollmConfig())
    let record = try Self.record(#"{"text":"the cat sat on the mat and the dog"}"#)
    let whole = try SampleEncoder(tokenizer: tokenizer).encode(record)
    let cut = try SampleEncoder(tokenizer: tokenizer, maximumTokens: 4, contextLength: 5).encode(record)
    #expect(cut.tokens == Array(whole.tokens.prefix(4)) && cut.truncated && cut.scoredCount == 3)
    let same = try SampleEncoder(tokenizer: tokenizer, maximumTokens: whole.tokens.count).encode(record)
    #expect(same == whole)
    func message(_ encoder: SampleEncoder, _ record: Record) -> String {
      do { return "\(try encoder.encode(record))" } catch { return error.description }
    }
    let short = SampleEncoder(tokenizer: tokenizer, contextLength: 5)
    #expect(message(short, record).contains("f:3: \(whole.tokens.count) tokens, and the model reads 5"))
    let exchange = try Self.record(#"{"prompt":"the cat","completion":"sat"}"#)
    let early = SampleEncoder(tokenizer: tokenizer, maximumTokens: 10)
    #expect(message(early, exchange).contains("f:3: no token is scored among the first 10"))
    #expect(
      message(SampleEncoder(tokenizer: tokenizer), try Self.record(#"{"text":"a"}"#)).contains(
        "no token is scored"))
    let unanswered = try Self.record(#"{"messages":[{"role":"user","content":"a"}]}"#)
    #expect(message(SampleEncoder(tokenizer: tokenizer), unanswered).contains("no token is scored"))
  }

  @Test("An unknown template matters only to records that need one")
  func unknownTemplate() throws {
    let scratch = try Scratch()
    let tokenizer = try Self.tokenizer(scratch, config: #"{"chat_template":"{{ bos_token }}"}"#)
    let encoder = SampleEncoder(tokenizer: tokenizer)
    #expect(try encoder.encode(try Self.record(#"{"text":"the cat"}"#)).scoredCount > 0)
    let exchange = try Self.record(#"{"prompt":"a","completion":"b"}"#)
    #expect(throws: RecordError.self) { try encoder.encode(exchange) }
    let bare = try Scratch()
    let plain = SampleEncoder(tokenizer: try Self.tokenizer(bare))
    #expect(throws: RecordError.noEndOfSequence) { try plain.encode(exchange) }
    let messages = try Self.record(#"{"messages":[{"role":"assistant","content":"a"}]}"#)
    #expect(throws: RecordError.self) { try plain.encode(messages) }
  }
}
