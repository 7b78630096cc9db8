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

  /// Window after window gives every token once, what is asked of the model told from what is not.
  @Test func windowsAreTheWholeRecord() throws {
    let folder = try TemporaryFolder()
    let tokenizer = try tokenizer(folder)
    let record = Record.exchange(
      prompt: "the cat sat on the mat", completion: "and slept, and slept, and slept")
    let whole = try SampleEncoder(tokenizer: tokenizer).encode(record)
    let encoding = TextEncoding(tokenizer: tokenizer, maxTokens: 24, reading: .record)
    let windows = try encoding.windows(of: record)
    #expect(windows.count == (whole.tokens.count + 23) / 24 && windows.count > 1)
    #expect(windows.flatMap(\.ids) == whole.tokens.map { Int($0) })
    #expect(windows[0].ids == (try encoding.encode(record)).ids && windows.allSatisfy { !$0.isTruncated })
    #expect(windows.flatMap(\.isScored) == whole.scored)
    // Where the first run is all prompt it says nothing of the label.
    let short = TextEncoding(tokenizer: tokenizer, maxTokens: 8, reading: .record)
    let scored = try short.windows(of: record)
    #expect(scored.allSatisfy { !$0.hasNoLabel } && scored.count < (whole.tokens.count + 7) / 8)
    #expect(scored.reduce(0) { $0 + $1.isScored.count { $0 } } == whole.scoredCount)
    #expect(scored.allSatisfy { $0.isTruncated }, "what is left out is said")
    // What stands behind all that is asked, as the end of a turn does, is no part of it that is left out.
    let asked = 1 + (try #require(whole.scored.lastIndex(of: true)))
    #expect(asked < whole.tokens.count)
    let exact = try TextEncoding(tokenizer: tokenizer, maxTokens: asked, reading: .record).windows(of: record)
    #expect(exact.count == 1 && !exact[0].isTruncated && exact[0].tokenCount == whole.tokens.count)
    let silent = Record.exchange(prompt: "the cat sat on the mat and slept", completion: "")
    #expect(try short.windows(of: silent).map(\.isTruncated) == [true])
  }

  @Test func windowsOfTextHaveTheirSpecialTokens() throws {
    let folder = try TemporaryFolder()
    let tokenizer = try tinyTokenizer(in: folder)
    let encoding = TextEncoding(tokenizer: tokenizer, maxTokens: 6, reading: .text)
    let record = Record.text("a b c d e f g h i j")
    let windows = try encoding.windows(of: record)
    let inner = tokenizer.encode(record.text.bytes, addSpecialTokens: true).dropFirst().dropLast()
    #expect(windows.count == 3 && windows.allSatisfy { $0.ids.first == 2 && $0.ids.last == 3 })
    #expect(windows.flatMap { $0.ids.dropFirst().dropLast() } == inner.map { Int($0) })
    #expect(windows[0].ids == (try encoding.encode(record)).ids)
    #expect(try encoding.windows(of: .text("a b")).map(\.ids) == [try encoding.encode(.text("a b")).ids])
  }

  @Test func messagesWithoutATemplateAreRefused() throws {
    let folder = try TemporaryFolder()
    let encoding = TextEncoding(tokenizer: try tinyTokenizer(in: folder), maxTokens: 12, reading: .record)
    let messages = try RecordParser().parse(
      Array(#"{"messages": [{"role": "assistant", "content": "a"}]}"#.utf8), file: "f", line: 1)
    #expect(throws: RecordError.self) { try encoding.encode(messages) }
  }
}
