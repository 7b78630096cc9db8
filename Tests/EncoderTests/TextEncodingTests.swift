import Encoder
import Formats
import Foundation
import Records
import TestSupport
import Testing
import Tokenization

@Suite struct TextEncodingTests {
  /// The small byte-level tokenizer of the fixtures, with ChatML as template.
  private func tokenizer(_ folder: TemporaryFolder) throws -> Tokenizer {
    let source = TestData.fixture("tokenizers/byte-level/tokenizer.json")
    try FileManager.default.copyItem(atPath: source, toPath: folder.path + "/tokenizer.json")
    let template =
      "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}"
      + "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
    let config: JSONValue = ["eos_token": "<|im_end|>", "chat_template": JSONValue(template)]
    _ = try folder.file("tokenizer_config.json", String(decoding: config.serialized(), as: UTF8.self))
    return try Tokenizer.load(folder.path)
  }

  @Test func aRecordIsReadAsTheModelReadsIt() throws {
    let folder = try TemporaryFolder()
    let tokenizer = try tokenizer(folder)
    let record = Record.exchange(prompt: "the cat", completion: "sat")
    let encoded = try TextEncoding(tokenizer: tokenizer, maxTokens: 512, reading: .record).encode(record)
    let sample = try SampleEncoder(tokenizer: tokenizer).encode(record)
    #expect(encoded.ids == sample.tokens.map { Int($0) } && encoded.isScored == sample.scored)
    #expect(encoded.rootLength == Double(sample.scoredCount).squareRoot())
    let opening = tokenizer.encode("<|im_start|>user\n", addSpecialTokens: false)
    #expect(encoded.sharedCount == opening.count)
    #expect(encoded.ownIDs.first == encoded.ids[opening.count])
    let text = try TextEncoding(tokenizer: tokenizer, maxTokens: 512, reading: .record).encode(
      .text("the cat"))
    #expect(text.sharedCount == 0 && !text.isScored[0] && text.isScored[1])
  }

  @Test func whereTheCutLeavesNothingScoredAllIs() throws {
    let folder = try TemporaryFolder()
    let encoding = TextEncoding(tokenizer: try tokenizer(folder), maxTokens: 8, reading: .record)
    let cut = try encoding.encode(.exchange(prompt: "the cat sat on the mat", completion: "and slept"))
    #expect(cut.isTruncated && cut.ids.count == 8 && cut.isScored.allSatisfy { $0 })
    let empty = try encoding.encode(.text(""))
    #expect(empty.ids == [0] && empty.isScored == [true])
  }

  @Test func messagesWithoutATemplateAreRefused() throws {
    let folder = try TemporaryFolder()
    let encoding = TextEncoding(tokenizer: try tinyTokenizer(in: folder), maxTokens: 12, reading: .record)
    let messages = try RecordParser().parse(
      Array(#"{"messages": [{"role": "assistant", "content": "a"}]}"#.utf8), file: "f", line: 1)
    #expect(throws: RecordError.self) { try encoding.encode(messages) }
  }
}
