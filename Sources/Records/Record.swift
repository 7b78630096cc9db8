import Formats

/// One turn of a conversation.
package struct Message: Sendable, Equatable {
  package var role: ByteString
  package var content: ByteString

  package init(role: ByteString, content: ByteString) {
    self.role = role
    self.content = content
  }
}

/// The shapes a line can have.
package enum RecordShape: String, Sendable, CaseIterable {
  case text = "text"
  case exchange = "prompt, completion"
  case instruction = "instruction, input, output"
  case messages = "messages"
}

/// One sample or target, as a line of the input gives it.
package struct Record: Sendable, Equatable {
  /// What there is to read. An instruction is an exchange whose prompt is the instruction, a line end and the input.
  package enum Content: Sendable, Equatable {
    case text(ByteString)
    case exchange(prompt: ByteString, completion: ByteString)
    case messages([Message])
  }

  /// Given, or made from the text.
  package var id: ByteString
  package var hasGivenID: Bool
  package var source: ByteString?
  package var shape: RecordShape
  package var content: Content
  package var file: String
  package var line: Int

  /// What the valuator reads, and what the id is made from: the parts joined by line ends, without template or roles.
  package var text: ByteString {
    switch content {
    case .text(let text): text
    case .exchange(let prompt, let completion): ByteString(prompt.bytes + [0x0A] + completion.bytes)
    case .messages(let messages): ByteString(Array(messages.map(\.content.bytes).joined(separator: [0x0A])))
    }
  }

  /// The parts of the text.
  package var parts: [ByteString] {
    switch content {
    case .text(let text): [text]
    case .exchange(let prompt, let completion): [prompt, completion]
    case .messages(let messages): messages.map(\.content)
    }
  }

  /// The error that names this record's line.
  package func failure(_ reason: String) -> RecordError { .badLine(file: file, line: line, reason: reason) }
}

extension Record {
  /// Made, not read: without a place in a file.
  package static func exchange(prompt: ByteString, completion: ByteString) -> Record {
    Record(content: .exchange(prompt: prompt, completion: completion))
  }

  package static func text(_ text: ByteString) -> Record { Record(content: .text(text)) }

  private init(content: Content) {
    let shape: RecordShape =
      switch content {
      case .text: .text
      case .exchange: .exchange
      case .messages: .messages
      }
    self.init(id: "", hasGivenID: false, source: nil, shape: shape, content: content, file: "", line: 0)
  }

  /// The parts as a JSON object, which reads as this record does.
  package var contentJSON: JSONValue {
    switch content {
    case .text(let text): ["text": .string(text)]
    case .exchange(let prompt, let completion):
      ["prompt": .string(prompt), "completion": .string(completion)]
    case .messages(let messages):
      [
        "messages": .array(
          messages.map { ["role": .string($0.role), "content": .string($0.content)] })
      ]
    }
  }
}

/// Where the parts of a record are found, and what becomes of bad lines.
package struct RecordOptions: Sendable {
  package enum OnError: Sendable, Equatable {
    /// The whole input is read, then the bad lines are thrown.
    case fail
    case skip
    /// Bad lines are written to a file, as they are.
    case quarantine(path: String, force: Bool)
  }

  /// A dot path to the text; nil where the shape is to be told from the keys.
  package var textField: String?
  package var idField = "id"
  package var sourceField = "source"
  package var maximumLineBytes = LineReader.defaultMaximum
  package var onError = OnError.fail

  package init() {}
}
