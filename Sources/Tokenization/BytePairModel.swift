import Formats

/// Byte-pair encoding, over bytes (GPT-2 and after) or over characters with bytes or an unknown token for the rest
/// (SentencePiece style).
struct BytePairModel: Sendable {
  struct Options: Sendable {
    var unknown: Int32?
    /// Consecutive unknown characters become one token.
    var fusesUnknown = false
    /// Characters without a token become one token a byte, `<0x41>`.
    var fallsBackToBytes = false
    /// A piece that is a token is that token, whatever the merges say.
    var ignoresMerges = false
    var continuingPrefix: [UInt8] = []
    var endSuffix: [UInt8] = []
  }

  /// Tokens as the file spells them.
  let vocabulary: Vocabulary
  /// Tokens as text spells them: for a byte-level vocabulary the bytes they stand for, else `vocabulary`.
  private let words: Vocabulary
  private let table: PairTable
  private let options: Options
  /// The token of each single byte of a byte-level vocabulary (-1: none); empty for others.
  private let byteTokens: [Int32]
  /// The tokens `<0x00>` ... `<0xFF>` (-1: none).
  private let fallbackTokens: [Int32]
  /// By id: true where merging the token's own text gives the token, so that a piece with that text needs no merging.
  private var isStable: [Bool] = []

  var unknown: Int32? { options.unknown }

  init(
    vocabulary: Vocabulary, merges: [(left: [UInt8], right: [UInt8])], options: Options, isByteLevel: Bool
  ) throws {
    self.init(
      vocabulary: vocabulary, table: try Self.table(merges, vocabulary, options), options: options,
      isByteLevel: isByteLevel)
  }

  /// With the merges as a table already.
  init(vocabulary: Vocabulary, table: PairTable, options: Options, isByteLevel: Bool) {
    self.vocabulary = vocabulary
    self.options = options
    self.table = table
    words = isByteLevel ? Self.decoded(vocabulary) : vocabulary
    byteTokens =
      isByteLevel
      ? (UInt8.min...UInt8.max).map { vocabulary.id(of: ByteAlphabet.spelling(of: $0)) ?? -1 } : []
    fallbackTokens = (UInt8.min...UInt8.max).map { byte in
      vocabulary.id(of: Array("<0x\(byte < 16 ? "0" : "")\(String(byte, radix: 16, uppercase: true))>".utf8))
        ?? -1
    }
    isStable = stableTokens()
  }

  private static func table(
    _ merges: [(left: [UInt8], right: [UInt8])], _ vocabulary: Vocabulary, _ options: Options
  ) throws -> PairTable {
    var table = PairTable(capacity: merges.count)
    for (rank, (left, right)) in merges.enumerated() {
      let joined = left + right.dropFirst(options.continuingPrefix.count)
      guard let leftID = vocabulary.id(of: left), let rightID = vocabulary.id(of: right),
        let id = vocabulary.id(of: joined)
      else {
        let shown = "'\(ByteString(left))' '\(ByteString(right))'"
        throw StageError.malformed("merge \(rank + 1), \(shown), or its result is not in the vocabulary")
      }
      table.insert(leftID, rightID, .init(rank: Int32(rank), id: id))
    }
    return table
  }

  /// The vocabulary by the bytes its tokens stand for. Tokens that spell no bytes never come from text.
  private static func decoded(_ vocabulary: Vocabulary) -> Vocabulary {
    var words = Vocabulary(capacity: vocabulary.count)
    for id in 0..<Int32(vocabulary.idLimit) {
      guard let token = vocabulary.token(id), let word = ByteAlphabet.decode(Array(token)) else { continue }
      _ = words.insert(word, id: id)
    }
    return words
  }

  private func stableTokens() -> [Bool] {
    var merger = PairMerger()
    var ids: [Int32] = []
    return (0..<Int32(words.idLimit)).map { id in
      guard let word = words.token(id), !word.isEmpty else { return false }
      let text = Array(word)
      ids.removeAll(keepingCapacity: true)
      encode(text.span, 0..<text.count, &merger, into: &ids)
      return ids == [id]
    }
  }

  /// Appends the ids of one piece.
  func encode(_ text: Span<UInt8>, _ range: Range<Int>, _ merger: inout PairMerger, into ids: inout [Int32]) {
    if let id = words.id(text, range), options.ignoresMerges || !isStable.isEmpty && isStable[Int(id)] {
      ids.append(id)
      return
    }
    merger.symbols.removeAll(keepingCapacity: true)
    if byteTokens.isEmpty {
      appendCharacters(text, range, to: &merger.symbols)
    } else {
      appendBytes(text, range, to: &merger.symbols)
    }
    merger.merge(table)
    ids += merger.symbols
  }

  private func appendBytes(_ text: Span<UInt8>, _ range: Range<Int>, to symbols: inout [Int32]) {
    var unknowns = UnknownRun(options)
    for index in range {
      let id = byteTokens[Int(text[index])]
      if id >= 0 {
        unknowns.end(&symbols)
        symbols.append(id)
      } else {
        unknowns.add(&symbols)
      }
    }
    unknowns.end(&symbols)
  }

  private func appendCharacters(_ text: Span<UInt8>, _ range: Range<Int>, to symbols: inout [Int32]) {
    var unknowns = UnknownRun(options)
    var index = range.lowerBound
    while index < range.upperBound {
      let end = index + UTF8Text.scalar(text, at: index).length
      if let id = character(
        text, index..<end, isFirst: index == range.lowerBound, isLast: end == range.upperBound)
      {
        unknowns.end(&symbols)
        symbols.append(id)
      } else if !appendFallback(text, index..<end, to: &symbols) {
        unknowns.add(&symbols)
      }
      index = end
    }
    unknowns.end(&symbols)
  }

  @inline(__always)
  private func character(_ text: Span<UInt8>, _ range: Range<Int>, isFirst: Bool, isLast: Bool) -> Int32? {
    let prefix = isFirst ? [] : options.continuingPrefix
    let suffix = isLast ? options.endSuffix : []
    if prefix.isEmpty && suffix.isEmpty { return words.id(text, range) }
    return words.id(of: prefix + range.map { text[$0] } + suffix)
  }

  /// Appends a token a byte, if there is one for each.
  private func appendFallback(_ text: Span<UInt8>, _ range: Range<Int>, to symbols: inout [Int32]) -> Bool {
    guard options.fallsBackToBytes else { return false }
    for index in range where fallbackTokens[Int(text[index])] < 0 { return false }
    for index in range { symbols.append(fallbackTokens[Int(text[index])]) }
    return true
  }
}

/// Unknown characters that wait to be written: they may become one token. Byte tokens do not end a run (the peer's
/// order, kept).
private struct UnknownRun {
  private let unknown: Int32?
  private let fuses: Bool
  private var isPending = false

  init(_ options: BytePairModel.Options) {
    unknown = options.unknown
    fuses = options.fusesUnknown
  }

  mutating func add(_ symbols: inout [Int32]) {
    guard let unknown else { return }
    if isPending && !fuses { symbols.append(unknown) }
    isPending = true
  }

  mutating func end(_ symbols: inout [Int32]) {
    guard isPending, let unknown else { return }
    symbols.append(unknown)
    isPending = false
  }
}

// MARK: - Reading

extension BytePairModel {
  static func read(_ json: JSONValue, isByteLevel: Bool) throws -> BytePairModel {
    let vocabulary = try TokenModel.readVocabulary(json)
    if let dropout = json["dropout"]?.double, dropout > 0 {
      throw StageError.unsupported("model BPE with dropout", supported: ["BPE without dropout"])
    }
    var options = Options()
    if let unknown = json["unk_token"]?.byteString {
      guard let id = vocabulary.id(of: unknown.bytes) else {
        throw StageError.malformed("the unknown token '\(unknown)' is not in the vocabulary")
      }
      options.unknown = id
    }
    options.fusesUnknown = json["fuse_unk"]?.bool ?? false
    options.fallsBackToBytes = json["byte_fallback"]?.bool ?? false
    options.ignoresMerges = json["ignore_merges"]?.bool ?? false
    options.continuingPrefix = json["continuing_subword_prefix"]?.byteString?.bytes ?? []
    options.endSuffix = json["end_of_word_suffix"]?.byteString?.bytes ?? []
    if isByteLevel && !(options.continuingPrefix.isEmpty && options.endSuffix.isEmpty) {
      throw StageError.unsupported(
        "a byte-level model BPE with a subword prefix or suffix", supported: ["BPE without them"])
    }
    let merges = try json.require("merges").elements().enumerated().map { try pair($1, at: $0) }
    return try BytePairModel(
      vocabulary: vocabulary, merges: merges, options: options, isByteLevel: isByteLevel)
  }

  /// `"left right"` or `["left", "right"]`.
  private static func pair(_ json: JSONValue, at index: Int) throws -> (left: [UInt8], right: [UInt8]) {
    if let both = json.array, both.count == 2, let left = both[0].byteString, let right = both[1].byteString {
      return (left.bytes, right.bytes)
    }
    if let joined = json.byteString, let pair = pair(joined.bytes) { return pair }
    throw StageError.malformed("merge \(index + 1) is no pair of tokens")
  }

  /// The two tokens of a merge that is written with one space between.
  static func pair(_ joined: [UInt8]) -> (left: [UInt8], right: [UInt8])? {
    let parts = joined.split(separator: 0x20, omittingEmptySubsequences: false)
    guard parts.count == 2, !parts[0].isEmpty, !parts[1].isEmpty else { return nil }
    return (Array(parts[0]), Array(parts[1]))
  }
}
