import Formats

/// How a conversation becomes text. Of Jinja's templates the ChatML ones are known:
/// `<|im_start|>ROLE\nCONTENT<|im_end|>\n` for each turn, where some put a system turn of their own before a
/// conversation that begins with another.
package struct ChatTemplate: Sendable, Equatable {
  /// A stretch of the text that is tokenised by itself.
  package struct Segment: Sendable, Equatable {
    package var text: ByteString
    /// True for what the assistant says, and its end of turn.
    package var isScored: Bool
  }

  /// The whole system turn put before a conversation that does not begin with one.
  package let defaultSystemTurn: ByteString?

  package static let endOfTurn: ByteString = "<|im_end|>"
  static let beginningOfTurn: ByteString = "<|im_start|>"

  /// The template of a tokenizer; throws where it is not one of those known.
  package init(_ source: ByteString) throws(RecordError) {
    guard let nodes = JinjaSkeleton.parse(source.bytes), let template = Self.chatML(nodes) else {
      let beginning = source.bytes.prefix(120)
      throw .template(
        reason: "the chat template is not known; supported: ChatML (<|im_start|>...<|im_end|>). It begins: "
          + ByteString(Array(beginning)).string.replacing("\n", with: "\\n"))
    }
    self = template
  }

  init(defaultSystemTurn: ByteString?) { self.defaultSystemTurn = defaultSystemTurn }

  /// The stretches of a conversation, scored and not in turn.
  package func segments(_ messages: [Message]) -> [Segment] {
    var segments: [Segment] = []
    var text: [UInt8] = []
    if let turn = defaultSystemTurn, let first = messages.first, first.role != "system" { text += turn.bytes }
    for message in messages {
      text += Self.beginningOfTurn.bytes + message.role.bytes + [0x0A]
      let content = message.content.bytes + Self.endOfTurn.bytes
      if message.role == "assistant" {
        segments.append(Segment(text: ByteString(text), isScored: false))
        segments.append(Segment(text: ByteString(content), isScored: true))
        text = [0x0A]
      } else {
        text += content + [0x0A]
      }
    }
    if !text.isEmpty { segments.append(Segment(text: ByteString(text), isScored: false)) }
    return segments
  }

  // MARK: Recognition

  private typealias Node = JinjaSkeleton.Node

  /// The template that these nodes are, if they are ChatML.
  private static func chatML(_ nodes: [JinjaSkeleton.Node]) -> ChatTemplate? {
    var rest = nodes[...]
    let guardNodes: [Node] = [
      .statement("ifnotadd_generation_promptisdefined"), .statement("setadd_generation_prompt=false"),
      .statement("endif"),
    ]
    if rest.starts(with: guardNodes) { rest = rest.dropFirst(3) }
    guard rest.popFirst() == .statement("formessageinmessages") else { return nil }
    var systemTurn: ByteString?
    if rest.first == .statement("ifloop.firstandmessages[0].role!='system'") {
      guard rest.count > 3, case .output(let atoms) = rest[rest.startIndex + 1], atoms.count == 1,
        case .literal(let turn) = atoms[0], rest[rest.startIndex + 2] == .statement("endif")
      else { return nil }
      systemTurn = turn
      rest = rest.dropFirst(3)
    }
    let turn: [JinjaSkeleton.Atom] = [
      .literal(beginningOfTurn), .variable("message.role"), .literal("\n"), .variable("message.content"),
      .literal("<|im_end|>\n"),
    ]
    guard rest.popFirst() == .output(turn), rest.popFirst() == .statement("endfor") else { return nil }
    guard rest.isEmpty || isGenerationPrompt(rest) else { return nil }
    return ChatTemplate(defaultSystemTurn: systemTurn)
  }

  /// What follows where an answer is to be generated, which never happens here.
  private static func isGenerationPrompt(_ nodes: ArraySlice<JinjaSkeleton.Node>) -> Bool {
    nodes.elementsEqual([
      .statement("ifadd_generation_prompt"), .output([.literal("<|im_start|>assistant\n")]),
      .statement("endif"),
    ])
  }
}
