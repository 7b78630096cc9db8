import Formats
import Records
import TestSupport
import Testing

@Suite("Chat templates against Jinja, fixtures by scripts/fixtures/tokenizers.py")
struct ChatTemplateTests {
  static func fixture() throws -> JSONValue {
    try JSONValue.read(path: TestData.fixture("tokenizers/chat.json"))
  }

  @Test("Rendered text is Jinja's", arguments: ["smollm2", "plain", "spread", "text_between"])
  func rendered(_ name: ByteString) throws {
    let fixture = try Self.fixture()
    let template = try ChatTemplate(try #require(fixture["templates"]?[name]?.byteString))
    let conversations = try #require(fixture["conversations"]?.array)
    let expected = try #require(fixture["rendered"]?[name]?.array)
    for (conversation, rendered) in zip(conversations, expected) {
      let messages = (conversation.array ?? []).map {
        Message(role: $0["role"]?.byteString ?? "", content: $0["content"]?.byteString ?? "")
      }
      let segments = try template.segments(messages)
      #expect(ByteString(Array(segments.map(\.text.bytes).joined())) == rendered.byteString)
      let answers = messages.filter { $0.role == "assistant" }.map {
        ByteString($0.content.bytes + Array("<|im_end|>".utf8))
      }
      #expect(segments.filter(\.isScored).map(\.text) == answers)
    }
  }

  @Test func defaultSystem() throws {
    let text = try #require(try Self.fixture()["templates"]?["smollm2"]?.byteString)
    let turn = try ChatTemplate(text).defaultSystemTurn
    #expect(
      turn
        == "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n"
    )
  }

  static let specialTokens: [ByteString] = [
    "<s>", "</s>", "<|eot_id|>", "<end_of_turn>", "<|end|>", "<|im_end|>", "<|im_start|>",
  ]

  /// Families whose template is rendered: the text is Jinja's, and what is scored are the assistant's contents as they
  /// come out, each with the token that ends its turn.
  @Test(
    "Templates that are rendered",
    arguments: [
      ("llama2", "</s>"), ("llama3", "<|eot_id|>"), ("mistral", "</s>"), ("gemma", "<end_of_turn>"),
      ("phi3", "<|end|>"), ("qwen3", "<|im_end|>"), ("inline", nil),
    ] as [(ByteString, ByteString?)])
  func families(_ name: ByteString, _ end: ByteString?) throws {
    let fixture = try Self.fixture()
    let source = try #require(fixture["templates"]?[name]?.byteString)
    let template = try ChatTemplate(
      source, specialTokens: Self.specialTokens, beginning: "<s>", end: "</s>")
    let conversations = try #require(fixture["conversations"]?.array)
    let expected = try #require(fixture["rendered"]?[name]?.array)
    #expect(expected.contains { !$0.isNull })
    for (conversation, rendered) in zip(conversations, expected) {
      let messages = (conversation.array ?? []).map {
        Message(role: $0["role"]?.byteString ?? "", content: $0["content"]?.byteString ?? "")
      }
      if rendered.isNull {
        let error = #expect(throws: RecordError.self) { try template.segments(messages) }
        #expect(error?.description.contains("refuses the conversation") == true)
        continue
      }
      let segments = try template.segments(messages)
      #expect(ByteString(Array(segments.map(\.text.bytes).joined())) == rendered.byteString)
      let said = segments.filter(\.isScored).map(\.text.string)
      if let end { #expect(said.allSatisfy { $0.hasSuffix(end.string) || $0.contains("hm") }, "\(said)") }
      let answers = messages.filter { $0.role == "assistant" && $0.content.string.contains("e") }
      for answer in answers {
        let last = answer.content.string.split(whereSeparator: \.isWhitespace).last!
        #expect(said.contains { $0.contains(last) }, "\(last) in \(said)")
      }
      #expect(said.allSatisfy { !$0.contains("2+2") && !$0.contains("Be brief") && !$0.contains("Why") })
    }
  }

  /// A space before what is said goes with it, as vocabularies have it.
  @Test func spaceBeforeAnAnswer() throws {
    let source = try #require(try Self.fixture()["templates"]?["llama2"]?.byteString)
    let template = try ChatTemplate(source, specialTokens: ["<s>", "</s>"], beginning: "<s>", end: "</s>")
    let segments = try template.segments([
      Message(role: "user", content: "Hi"), Message(role: "assistant", content: "Yes"),
    ])
    #expect(segments.map(\.text) == ["<s>[INST] Hi [/INST]", " Yes </s>"])
    #expect(segments.map(\.isScored) == [false, true] && segments.map(\.follows) == [.nothing, .text])
  }

  @Test(
    "What cannot be rendered is refused by name",
    arguments: [
      ("{% for message in messages %}{% macro x() %}{% endmacro %}{% endfor %}", "'macro' is not supported"),
      ("{% for message in messages %}{{ message.content | shuffle }}{% endfor %}", "filter 'shuffle'"),
      ("{% for message in messages %}{{ strftime_now('%d') }}{% endfor %}", "function 'strftime_now'"),
      ("{% for message in messages %}{{ message.content.encode() }}{% endfor %}", "method 'encode'"),
      ("{% for message in messages %}{% if message is odd %}{% endif %}{% endfor %}", "test 'odd'"),
      ("{% for message in messages %}", "'endfor' is missing"), ("{% for", "a tag does not end"),
      ("{{ 'a }}", "a tag does not end"), ("{{ messages[0]. }}", "a name is missing"), ("", "empty"),
      ("{{ nobody.role }}", "'.role' of what is not defined"), ("{{ 1 + }}", "incomplete"),
      // What would take all time or memory, or the stack.
      ("{{ range(1000000000000) | length }}", "range is too long"),
      ("{% set x = 'a' %}" + String(repeating: "{% set x = x ~ x %}", count: 40) + "{{ x }}", "too long"),
      (
        "{% for a in range(9999) %}{% for b in range(9999) %}{{ b }}{% endfor %}{% endfor %}",
        "too many steps"
      ),
      ("{{ " + String(repeating: "(", count: 100_000) + " }}", "too long"),
      (String(repeating: "{% if true %}", count: 100_000), "too deep"),
      ("{{ 'a'.replace('', 'b') }}", "empty text"),
    ])
  func refused(_ source: String, _ reason: String) throws {
    let error = #expect(throws: RecordError.self) {
      try ChatTemplate(ByteString(source)).segments([Message(role: "user", content: "a")])
    }
    #expect(error?.description.contains(reason) == true, "\(String(describing: error))")
  }

  @Test func numbersOfAnySizeAreComputed() throws {
    let source =
      "{{ -(0-9223372036854775807-1) }} {{ 9223372036854775807 // 1 }} {{ (0-7) // 2 }} {{ (0-7) % 3 }}"
    let segments = try ChatTemplate(ByteString(source)).segments([Message(role: "user", content: "a")])
    #expect(segments.map(\.text) == ["-9223372036854775808 9223372036854775807 -4 2"])
  }
}
