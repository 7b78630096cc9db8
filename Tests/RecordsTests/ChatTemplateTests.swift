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
      let segments = template.segments(messages)
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

  @Test(
    "A template that is not known is refused",
    arguments: [
      "{{ bos_token }}{% for message in messages %}[INST] {{ message['content'] }} [/INST]{% endfor %}",
      // ChatML but for a filter, a role that is renamed, a missing line end.
      "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] | trim + '<|im_end|>' + '\n'}}{% endfor %}",
      "{% for message in messages %}{{'<|im_start|>' + message['content'] + '\n' + message['role'] + '<|im_end|>' + '\n'}}{% endfor %}",
      "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>'}}{% endfor %}",
      "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}!",
      "", "{% for", "{{ 'a }}",
    ])
  func unknown(_ text: String) throws {
    let error = #expect(throws: RecordError.self) { try ChatTemplate(ByteString(text)) }
    #expect(error?.description.contains("ChatML") == true)
  }
}
