import Formats

/// WordPiece (BERT): each word becomes the longest token it begins with, then the longest continuation of what is
/// left, and so on; a word that cannot be spelled is the unknown token.
struct WordPieceModel: Sendable {
  let vocabulary: Vocabulary
  /// The tokens that continue a word, without their prefix.
  private let continuations: Vocabulary
  let unknown: Int32
  private let maximumCharacters: Int

  init(vocabulary: Vocabulary, prefix: [UInt8], unknown: Int32, maximumCharacters: Int) {
    self.vocabulary = vocabulary
    self.unknown = unknown
    self.maximumCharacters = maximumCharacters
    var continuations = Vocabulary(capacity: vocabulary.count)
    for id in 0..<Int32(vocabulary.idLimit) {
      guard let token = vocabulary.token(id), token.count > prefix.count, token.starts(with: prefix) else {
        continue
      }
      _ = continuations.insert(Array(token.dropFirst(prefix.count)), id: id)
    }
    self.continuations = continuations
  }

  /// Appends the ids of one word. `hashes` is room that is kept from word to word.
  func encode(_ text: Span<UInt8>, _ range: Range<Int>, _ hashes: inout [UInt64], into ids: inout [Int32]) {
    // A character has at least one byte, so short words need no count.
    if range.count > maximumCharacters, UTF8Text.count(text.extracting(range)) > maximumCharacters {
      ids.append(unknown)
      return
    }
    let first = ids.count
    var start = range.lowerBound
    while start < range.upperBound {
      let rest = start..<range.upperBound
      guard
        let (id, end) = start == range.lowerBound
          ? Self.longest(vocabulary, text, rest, &hashes) : Self.longest(continuations, text, rest, &hashes)
      else {
        ids.removeSubrange(first...)
        ids.append(unknown)
        return
      }
      ids.append(id)
      start = end
    }
  }

  /// The longest token that begins the range, and where it ends. The hashes of all beginnings are made in one pass.
  @inline(__always)
  private static func longest(
    _ table: Vocabulary, _ text: Span<UInt8>, _ range: Range<Int>, _ hashes: inout [UInt64]
  ) -> (id: Int32, end: Int)? {
    hashes.removeAll(keepingCapacity: true)
    var hash = Vocabulary.emptyHash
    for index in range.lowerBound..<min(range.upperBound, range.lowerBound + table.longest) {
      hash = Vocabulary.extend(hash, text[index])
      hashes.append(hash)
    }
    for length in stride(from: hashes.count, to: 0, by: -1) {
      let end = range.lowerBound + length
      if let id = table.find(hashes[length - 1], text, range.lowerBound..<end) { return (id, end) }
    }
    return nil
  }

  static func read(_ json: JSONValue) throws -> WordPieceModel {
    let vocabulary = try TokenModel.readVocabulary(json)
    let unknown = json["unk_token"]?.byteString ?? "[UNK]"
    guard let id = vocabulary.id(of: unknown.bytes) else {
      throw StageError.malformed("the unknown token '\(unknown)' is not in the vocabulary")
    }
    return WordPieceModel(
      vocabulary: vocabulary,
      prefix: json["continuing_subword_prefix"]?.byteString?.bytes ?? Array("##".utf8),
      unknown: id, maximumCharacters: json["max_input_chars_per_word"]?.int ?? 100)
  }
}
