import Formats

/// Text to token ids and back, by the stages of tokenizer.json. Immutable, so any number of workers may share one.
///
/// The ids equal those of Hugging Face `tokenizers`. A truncation or padding that tokenizer.json asks for is left to
/// the caller.
package struct Tokenizer: Sendable {
  /// A file the tokenizer was read from, for hashing and copying.
  package struct SourceFile: Sendable {
    /// The name without folders, such as `tokenizer.json`.
    package let name: String
    package let bytes: [UInt8]
  }

  /// The tokens with a role, where the files name them.
  package struct SpecialTokens: Sendable {
    package var beginning: Int32?
    package var end: Int32?
    package var padding: Int32?
    package var unknown: Int32?
  }

  private(set) var normalizer: Normalizer?
  private(set) var preTokenizer: PreTokenizer?
  let model: TokenModel
  let added: AddedVocabulary
  private let addedIDs: [ByteString: Int32]
  let postProcessor: PostProcessor
  let decoder: TokenDecoder?

  package internal(set) var specialTokens = SpecialTokens()
  /// The Jinja template that turns messages into text, as the files give it.
  package internal(set) var chatTemplate: ByteString?
  /// `model_max_length` where it is a real limit.
  package internal(set) var maximumLength: Int?
  /// The files this was read from; empty for one that is embedded in a model file.
  package internal(set) var files: [SourceFile] = []

  init(
    normalizer: Normalizer?, preTokenizer: PreTokenizer?, model: TokenModel, added: [AddedToken],
    postProcessor: PostProcessor, decoder: TokenDecoder?
  ) {
    self.normalizer = normalizer
    self.preTokenizer = preTokenizer
    self.model = model
    self.added = AddedVocabulary(added, normalizer: normalizer)
    addedIDs = Dictionary(added.map { (ByteString($0.content), $0.id) }) { $1 }
    self.postProcessor = postProcessor
    self.decoder = decoder
    specialTokens.unknown = model.unknown
  }

  // MARK: Encoding

  /// The ids of a text.
  ///
  /// - Parameters:
  ///   - text: UTF-8; bytes that are none count as U+FFFD.
  ///   - addSpecialTokens: whether the post-processor puts its tokens around them. Special tokens that the text spells
  ///     out are found either way.
  package func encode(_ text: [UInt8], addSpecialTokens: Bool) -> [Int32] {
    var ids: [Int32] = addSpecialTokens ? postProcessor.prefix : []
    ids.reserveCapacity(text.count / 3 + 8)
    let text = ByteString(text).isValidUTF8 ? text : Array(String(decoding: text, as: UTF8.self).utf8)
    added.split(
      text, normalizer: normalizer, onToken: { ids.append($0) },
      onText: { piece, beginsInput in
        var pieces = Pieces(text: piece, ranges: [0..<piece.count], beginsInput: beginsInput)
        preTokenizer?.split(&pieces)
        model.encode(pieces, into: &ids)
      })
    if addSpecialTokens { ids += postProcessor.suffix }
    return ids
  }

  package func encode(_ text: ByteString, addSpecialTokens: Bool) -> [Int32] {
    encode(text.bytes, addSpecialTokens: addSpecialTokens)
  }

  package func encode(_ text: String, addSpecialTokens: Bool) -> [Int32] {
    encode(Array(text.utf8), addSpecialTokens: addSpecialTokens)
  }

  /// The tokenizer for a stretch of a text that begins where other text or a special token ended: it puts no space
  /// before it. Behind a special token those that put a space before every stretch still do.
  package func continuing(afterSpecialToken: Bool) -> Tokenizer {
    var copy = self
    if !afterSpecialToken { copy.normalizer = normalizer?.withoutPrefix }
    copy.preTokenizer = preTokenizer?.withoutPrefix(everywhere: !afterSpecialToken)
    return copy
  }

  // MARK: Decoding

  /// The text of some ids, with U+FFFD for what is no UTF-8. Ids without a token are left out, and special tokens
  /// unless they are asked for.
  package func decode(_ ids: [Int32], skipSpecialTokens: Bool = true) -> String {
    let tokens = ids.compactMap { id -> [UInt8]? in
      if skipSpecialTokens && added.tokens[id]?.isSpecial == true { return nil }
      return added.spellings[id] ?? model.vocabulary.token(id).map { Array($0) }
    }
    let parts = decoder?.decode(tokens) ?? [Array(tokens.joined(separator: [0x20]))]
    return String(decoding: Array(parts.joined()), as: UTF8.self)
  }

  // MARK: The vocabulary

  /// The token with an id as the vocabulary spells it.
  package func token(_ id: Int32) -> ByteString? {
    if let token = added.tokens[id] { return ByteString(token.content) }
    return model.vocabulary.token(id).map { ByteString(Array($0)) }
  }

  /// The id of a token as the vocabulary spells it.
  package func id(of token: ByteString) -> Int32? {
    addedIDs[token] ?? model.vocabulary.id(of: token.bytes)
  }

  /// The special tokens as texts spell them.
  package var specialTokenTexts: [ByteString] {
    added.tokens.values.filter(\.isSpecial).sorted { $0.id < $1.id }.map { ByteString($0.content) }
  }

  package func isSpecial(_ id: Int32) -> Bool { added.tokens[id]?.isSpecial ?? false }

  /// One more than the largest id: how many rows an embedding needs.
  package var vocabularySize: Int {
    let others = Array(added.tokens.keys) + postProcessor.prefix + postProcessor.suffix
    return max(model.vocabulary.idLimit, (others.max().map { Int($0) } ?? -1) + 1)
  }

  package var bosToken: Int32? { specialTokens.beginning }
  package var eosToken: Int32? { specialTokens.end }
  package var padToken: Int32? { specialTokens.padding }
  package var unkToken: Int32? { specialTokens.unknown }
}
