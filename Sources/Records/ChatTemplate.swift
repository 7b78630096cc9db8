import Formats

/// How a conversation becomes text.
///
/// ChatML (`<|im_start|>ROLE\nCONTENT<|im_end|>\n` for each turn, where some put a system turn of their own before a
/// conversation that begins with another) is known by its template's parts. Any other template is rendered, and what
/// the assistant said is told by where its contents come out.
package struct ChatTemplate: Sendable {
  /// A stretch of the text that is tokenised by itself.
  package struct Segment: Sendable, Equatable {
    package var text: ByteString
    /// True for what the assistant says, and its end of turn.
    package var isScored: Bool
    /// What stands before it in the text, as a tokenizer must know that puts a space before a text. ChatML's segments
    /// are each tokenised as a text of its own.
    package var follows = Preceding.nothing
  }

  package enum Preceding: Sendable, Equatable { case nothing, text, specialToken }

  private enum Kind: Sendable {
    case chatML
    case rendered([JinjaNode], globals: [String: JinjaValue])
  }

  private let kind: Kind
  /// The whole system turn put before a conversation that does not begin with one; of ChatML.
  package let defaultSystemTurn: ByteString?
  /// Longest first.
  private let specialTokens: [[UInt8]]

  /// The token that ends a turn, where the template is ChatML.
  package var endOfTurn: ByteString? { if case .chatML = kind { Self.endOfTurn } else { nil } }

  package static let endOfTurn: ByteString = "<|im_end|>"
  static let beginningOfTurn: ByteString = "<|im_start|>"

  /// The template of a tokenizer; throws where it has what cannot be rendered.
  ///
  /// - Parameters:
  ///   - specialTokens: an end of turn is one of them.
  ///   - beginning, end: `bos_token` and `eos_token`.
  package init(
    _ source: ByteString, specialTokens: [ByteString] = [], beginning: ByteString? = nil,
    end: ByteString? = nil
  ) throws(RecordError) {
    self.specialTokens = specialTokens.map(\.bytes).filter { !$0.isEmpty }.sorted { $0.count > $1.count }
    if let nodes = JinjaSkeleton.parse(source.bytes), let systemTurn = Self.chatML(nodes) {
      kind = .chatML
      defaultSystemTurn = systemTurn.turn
      return
    }
    defaultSystemTurn = nil
    guard !source.bytes.isEmpty else { throw .template(reason: "the chat template is empty") }
    func token(_ text: ByteString?) -> JinjaValue { .text(JinjaText(text?.bytes ?? [])) }
    kind = .rendered(
      try JinjaParser.parse(source),
      globals: [
        "bos_token": token(beginning), "eos_token": token(end), "add_generation_prompt": .bool(false),
        "tools": .none, "documents": .none,
      ])
  }

  /// The stretches of a conversation, scored and not. Throws where the template refuses it or cannot be rendered.
  package func segments(_ messages: [Message]) throws(RecordError) -> [Segment] {
    switch kind {
    case .chatML: return chatMLSegments(messages)
    case .rendered(let nodes, var globals):
      globals["messages"] = .list(
        messages.map { message in
          .object([
            ("role", .text(JinjaText(message.role.bytes))),
            ("content", .text(JinjaText(message.content.bytes, isMarked: message.role == "assistant"))),
          ])
        })
      var renderer = JinjaRenderer(globals: globals)
      try renderer.render(nodes)
      return segments(of: renderer.output)
    }
  }

  // MARK: Rendering

  /// Marked text is scored with the special token that follows it, at most a space behind. A single space before it goes
  /// with it, as vocabularies have it.
  private func segments(of text: [UInt16]) -> [Segment] {
    let bytes = JinjaText(units: text).bytes
    var isScored = text.map { $0 & JinjaText.mark != 0 }
    for index in text.indices.dropFirst() where isScored[index] != isScored[index - 1] {
      if isScored[index] {
        let isOneSpace = bytes[index - 1] == 0x20 && (index < 2 || bytes[index - 2] != 0x20)
        if isOneSpace && text[index] & JinjaText.mark != 0 { isScored[index - 1] = true }
      } else if text[index - 1] & JinjaText.mark != 0, let end = endOfTurn(at: index, in: bytes) {
        for place in index..<end { isScored[place] = true }
      }
    }
    var segments: [Segment] = []
    var start = 0
    for index in 1...max(1, text.count) where index >= text.count || isScored[index] != isScored[start] {
      guard start < text.count else { break }
      let piece = Array(bytes[start..<index])
      let before = bytes[..<start]
      let afterToken = specialTokens.contains { before.suffix($0.count).elementsEqual($0) }
      segments.append(
        Segment(
          text: ByteString(piece), isScored: isScored[start],
          follows: start == 0 ? .nothing : afterToken ? .specialToken : .text))
      start = index
    }
    return segments
  }

  /// Where the special token ends that stands here, or a space on.
  private func endOfTurn(at index: Int, in bytes: [UInt8]) -> Int? {
    let start = bytes[index] == 0x20 ? index + 1 : index
    return specialTokens.first { bytes[start...].starts(with: $0) }.map { start + $0.count }
  }

  // MARK: ChatML

  private func chatMLSegments(_ messages: [Message]) -> [Segment] {
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

  // MARK: Recognition of ChatML

  private typealias Node = JinjaSkeleton.Node

  /// The system turn of the template that these nodes are, if they are ChatML.
  private static func chatML(_ nodes: [JinjaSkeleton.Node]) -> (turn: ByteString?, Void)? {
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
    return (systemTurn, ())
  }

  /// What follows where an answer is to be generated, which never happens here.
  private static func isGenerationPrompt(_ nodes: ArraySlice<JinjaSkeleton.Node>) -> Bool {
    nodes.elementsEqual([
      .statement("ifadd_generation_prompt"), .output([.literal("<|im_start|>assistant\n")]),
      .statement("endif"),
    ])
  }
}
