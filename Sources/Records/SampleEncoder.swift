import Formats
import Tokenization

/// A record as the model reads it.
package struct TokenizedSample: Sendable, Equatable {
  package var tokens: [Int32]
  /// By position: whether the prediction of this token, from those before it, is part of the loss. Never at 0.
  package var scored: [Bool]
  /// True where only the first `maximumTokens` were kept.
  package var truncated: Bool

  package var scoredCount: Int { scored.count { $0 } }

  package init(tokens: [Int32], scored: [Bool], truncated: Bool = false) {
    precondition(
      tokens.count == scored.count, "TokenizedSample: \(tokens.count) tokens, \(scored.count) marks")
    self.tokens = tokens
    self.scored = scored
    self.truncated = truncated
  }
}

/// Turns records into tokens and the mask of those that are scored.
///
/// - A text goes through the tokenizer's own post-processor; all tokens but the first are scored.
/// - An exchange becomes a user and an assistant turn by the chat template; the assistant's content and its end of turn
///   are scored. Without a template: prompt, completion, end of sequence, the last two scored.
/// - Messages go through the template; the assistant's turns are scored.
///
/// What is scored and what is not is tokenised apart and joined.
package struct SampleEncoder: Sendable {
  private let tokenizer: Tokenizer
  private let template: Result<ChatTemplate, RecordError>?
  private let maximumTokens: Int?
  private let contextLength: Int?

  /// - Parameters:
  ///   - maximumTokens: keep the first so many tokens; nil to keep all.
  ///   - contextLength: how many tokens the model can read; nil for no limit.
  ///
  /// A template that is not known is an error only when a record needs it.
  package init(tokenizer: Tokenizer, maximumTokens: Int? = nil, contextLength: Int? = nil) {
    precondition((maximumTokens ?? 1) > 0, "SampleEncoder: maximumTokens is \(maximumTokens ?? 0)")
    self.tokenizer = tokenizer
    self.maximumTokens = maximumTokens
    self.contextLength = contextLength
    template = tokenizer.chatTemplate.map { source in
      Result { () throws(RecordError) in try Self.template(source, tokenizer) }
    }
  }

  private static func template(_ source: ByteString, _ tokenizer: Tokenizer) throws(RecordError)
    -> ChatTemplate
  {
    let template = try ChatTemplate(
      source, specialTokens: tokenizer.specialTokenTexts,
      beginning: tokenizer.bosToken.flatMap(tokenizer.token), end: tokenizer.eosToken.flatMap(tokenizer.token)
    )
    if let end = template.endOfTurn, tokenizer.id(of: end) == nil {
      throw .template(
        reason: "the chat template ends turns with \(end), which is not a token of the vocabulary")
    }
    return template
  }

  /// The tokens of a record. Throws `badLine` where none is scored or the context is too short, `template` where a
  /// template is needed and not known.
  package func encode(_ record: Record) throws(RecordError) -> TokenizedSample {
    let sample = try read(record)
    if let contextLength, sample.tokens.count > contextLength {
      throw record.failure(
        "\(sample.tokens.count) tokens, and the model reads \(contextLength); --max-tokens N keeps the first N"
      )
    }
    guard sample.scored.contains(true) else {
      throw record.failure(
        sample.truncated
          ? "no token is scored among the first \(sample.tokens.count); --max-tokens cuts the answer off"
          : "no token is scored")
    }
    return sample
  }

  /// The same without a check: of a record that no label can be had of there may be something to say all the same.
  package func read(_ record: Record) throws(RecordError) -> TokenizedSample {
    let sample = try tokens(of: record)
    guard let limit = maximumTokens, sample.tokens.count > limit else { return sample }
    return TokenizedSample(
      tokens: Array(sample.tokens[..<limit]), scored: Array(sample.scored[..<limit]), truncated: true)
  }

  private func tokens(of record: Record) throws(RecordError) -> TokenizedSample {
    switch record.content {
    case .text(let text):
      let tokens = tokenizer.encode(text, addSpecialTokens: true)
      return TokenizedSample(tokens: tokens, scored: tokens.indices.map { $0 > 0 })
    case .exchange(let prompt, let completion):
      guard let template = try template?.get() else { return try verbatim(prompt, completion) }
      let messages = [
        Message(role: "user", content: prompt), Message(role: "assistant", content: completion),
      ]
      return join(try segments(messages, template, record))
    case .messages(let messages):
      guard let template = try template?.get() else {
        throw record.failure("messages need a chat template, and the tokenizer has none")
      }
      return join(try segments(messages, template, record))
    }
  }

  /// A template may refuse a conversation, for example one whose roles do not alternate.
  private func segments(
    _ messages: [Message], _ template: ChatTemplate, _ record: Record
  ) throws(RecordError) -> [ChatTemplate.Segment] {
    do {
      return try template.segments(messages)
    } catch {
      throw record.failure("\(error)")
    }
  }

  private func verbatim(_ prompt: ByteString, _ completion: ByteString) throws(RecordError) -> TokenizedSample
  {
    guard let end = tokenizer.eosToken else { throw .noEndOfSequence }
    var sample = join([.init(text: prompt, isScored: false), .init(text: completion, isScored: true)])
    sample.tokens.append(end)
    sample.scored.append(sample.tokens.count > 1)
    return sample
  }

  private func join(_ segments: [ChatTemplate.Segment]) -> TokenizedSample {
    var tokens: [Int32] = []
    var scored: [Bool] = []
    for segment in segments {
      let reader =
        segment.follows == .nothing
        ? tokenizer : tokenizer.continuing(afterSpecialToken: segment.follows == .specialToken)
      let part = reader.encode(segment.text, addSpecialTokens: false)
      tokens += part
      scored.append(contentsOf: repeatElement(segment.isScored, count: part.count))
    }
    if !scored.isEmpty { scored[0] = false }
    return TokenizedSample(tokens: tokens, scored: scored)
  }
}
