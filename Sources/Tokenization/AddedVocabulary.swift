import Formats

/// A token that is found in the text itself, before the model sees it.
struct AddedToken: Sendable {
  var id: Int32
  var content: [UInt8]
  /// Left out of decoded text.
  var isSpecial = false
  /// Matches only where no word character touches it.
  var isSingleWord = false
  /// Takes the white space before or after it along.
  var stripsLeft = false
  var stripsRight = false
  /// Is looked for in the normalised text, in its normalised form.
  var isNormalized = false
}

/// The added tokens of tokenizer.json: found in the text as it was given, or, those so marked, in the normalised text.
struct AddedVocabulary: Sendable {
  let tokens: [Int32: AddedToken]
  /// How each token comes out of decoding: as it was looked for.
  let spellings: [Int32: [UInt8]]
  private let verbatim: TokenMatcher
  private let normalized: TokenMatcher

  init(_ tokens: [AddedToken], normalizer: Normalizer?) {
    // Of two entries for one id the later counts.
    self.tokens = Dictionary(tokens.map { ($0.id, $0) }) { $1 }
    let ordered = self.tokens.values.sorted { $0.id < $1.id }
    verbatim = TokenMatcher(ordered.filter { !$0.isNormalized }.map { ($0.content, $0) })
    var spellings = self.tokens.mapValues(\.content)
    for token in ordered where token.isNormalized { normalizer?.normalize(&spellings[token.id, default: []]) }
    normalized = TokenMatcher(ordered.filter(\.isNormalized).map { (spellings[$0.id, default: []], $0) })
    self.spellings = spellings
  }

  /// Calls `onToken` for each added token and `onText` for each normalised text between, in order; `onText` also
  /// learns whether that text begins the input.
  func split(
    _ text: [UInt8], normalizer: Normalizer?, onToken: (Int32) -> Void, onText: ([UInt8], Bool) -> Void
  ) {
    verbatim.split(text) { range, token in
      if let token { return onToken(token) }
      var piece = range.count == text.count ? text : Array(text[range])
      normalizer?.normalize(&piece)
      normalized.split(piece) { inner, token in
        if let token { return onToken(token) }
        let isWhole = inner.count == piece.count
        onText(isWhole ? piece : Array(piece[inner]), range.lowerBound == 0 && inner.lowerBound == 0)
      }
    }
  }

  static func read(_ json: JSONValue?) throws -> [AddedToken] {
    guard let json, !json.isNull else { return [] }
    return try json.elements().compactMap { entry in
      let content = try entry.requireBytes("content")
      if content.isEmpty { return nil }
      return AddedToken(
        id: try entry.require("id").requireID("added token '\(ByteString(content))'"), content: content,
        isSpecial: entry["special"]?.bool ?? false, isSingleWord: entry["single_word"]?.bool ?? false,
        stripsLeft: entry["lstrip"]?.bool ?? false, stripsRight: entry["rstrip"]?.bool ?? false,
        isNormalized: entry["normalized"]?.bool ?? !(entry["special"]?.bool ?? false))
    }
  }
}

/// Finds the leftmost, of those the longest, of some tokens in a text.
private struct TokenMatcher: Sendable {
  private let patterns: [(content: [UInt8], token: AddedToken)]
  /// By first byte: the patterns that begin with it, longest first.
  private let candidates: [[Int]]
  /// Of each pattern what its matches need, as a rule; plain ones take nothing beside themselves.
  private let outlines: [(id: Int32, length: Int, isPlain: Bool)]
  /// By byte: whether a pattern begins with it.
  private let begins: [Bool]

  init(_ patterns: [(content: [UInt8], token: AddedToken)]) {
    self.patterns = patterns
    var candidates = [[Int]](repeating: [], count: patterns.isEmpty ? 0 : 256)
    for (index, pattern) in patterns.enumerated() {
      if let first = pattern.content.first { candidates[Int(first)].append(index) }
    }
    outlines = patterns.map { content, token in
      (token.id, content.count, !token.isSingleWord && !token.stripsLeft && !token.stripsRight)
    }
    begins = candidates.map { !$0.isEmpty }
    self.candidates = candidates.map { $0.sorted { patterns[$0].content.count > patterns[$1].content.count } }
  }

  /// Calls `body` for each token found and for each range between that is not empty, in order.
  func split(_ text: [UInt8], _ body: (Range<Int>, Int32?) -> Void) {
    var done = 0
    var index = 0
    while let (found, pattern) = next(in: text.span, from: index) {
      let (id, length, isPlain) = outlines[pattern]
      let end = found + length
      let range =
        isPlain
        ? found..<end : extent(of: patterns[pattern].token, found..<end, in: text.span, after: done)
      if let range {
        if done < range.lowerBound { body(done..<range.lowerBound, nil) }
        body(range, id)
        done = range.upperBound
      }
      index = end
    }
    if done < text.count { body(done..<text.count, nil) }
  }

  /// The next place where a pattern stands, and which.
  private func next(in text: Span<UInt8>, from start: Int) -> (index: Int, pattern: Int)? {
    if patterns.isEmpty { return nil }
    for index in start..<max(start, text.count) where begins[Int(text[index])] {
      if let pattern = match(text, at: index) { return (index, pattern) }
    }
    return nil
  }

  private func match(_ text: Span<UInt8>, at index: Int) -> Int? {
    candidates[Int(text[index])].first { candidate in
      let content = patterns[candidate].content
      return index + content.count <= text.count
        && content.indices.allSatisfy { text[index + $0] == content[$0] }
    }
  }

  /// What a match takes of the text, with the white space it strips; nil where it must be a word and is not.
  private func extent(
    of token: AddedToken, _ range: Range<Int>, in text: Span<UInt8>, after done: Int
  ) -> Range<Int>? {
    let classes = CharacterClasses.shared
    if token.isSingleWord {
      if range.lowerBound > 0, classes[UTF8Text.scalar(text, before: range.lowerBound).value].contains(.word)
      {
        return nil
      }
      if range.upperBound < text.count,
        classes[UTF8Text.scalar(text, at: range.upperBound).value].contains(.word)
      {
        return nil
      }
    }
    var start = range.lowerBound
    if token.stripsLeft {
      start = max(done, text.extracting(0..<start).trimmed(left: false, right: true).upperBound)
    }
    var end = range.upperBound
    if token.stripsRight {
      end += text.extracting(end..<text.count).trimmed(left: true, right: false).lowerBound
    }
    return start..<end
  }
}
