/// The splitting patterns of byte-level vocabularies, as scanners written by hand. Each pattern matches everywhere,
/// so a text is cut into consecutive pieces and nothing is left over.
enum PieceScanner: Equatable, Sendable {
  /// GPT-2: contractions, then runs of letters, of digits or of others, each with one space before it, then spaces.
  case gpt2
  /// Llama 3 (three digits) and Qwen 2 (one): one non-letter may lead a word, digits come in short groups, and line
  /// ends close a piece.
  case lines(maximumDigits: Int)

  static let gpt2Pattern =
    #"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"#
  static let llama3Pattern =
    #"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"#
    + #"|\s*[\r\n]+|\s+(?!\S)|\s+"#
  static let qwen2Pattern =
    #"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"#
    + #"|\s*[\r\n]+|\s+(?!\S)|\s+"#

  /// The scanner for a regular expression, or nil where it is not one of those above.
  init?(pattern: String) {
    switch pattern {
    case Self.gpt2Pattern: self = .gpt2
    case Self.llama3Pattern: self = .lines(maximumDigits: 3)
    case Self.qwen2Pattern: self = .lines(maximumDigits: 1)
    default: return nil
    }
  }

  /// Appends the pieces of `range` of the text to `pieces`.
  func scan(_ text: [UInt8], _ range: Range<Int>, into pieces: inout [Range<Int>]) {
    let cursor = Cursor(text: text, end: range.upperBound, classes: .shared)
    var start = range.lowerBound
    while start < range.upperBound {
      let end =
        switch self {
        case .gpt2: cursor.gpt2Piece(from: start)
        case .lines(let maximumDigits): cursor.linesPiece(from: start, maximumDigits: maximumDigits)
        }
      pieces.append(start..<end)
      start = end
    }
  }
}

/// Finds where the piece that begins at an offset ends.
private struct Cursor {
  let text: [UInt8]
  let end: Int
  let classes: CharacterClasses

  private static let wordOrSpace: CharacterClass = [.letter, .number, .space]

  @inline(__always)
  private func character(at index: Int) -> (classes: CharacterClass, length: Int) {
    let byte = text[index]
    if byte < 0x80 { return (classes[ascii: byte], 1) }
    let (value, length) = UTF8Text.scalar(text.span, at: index)
    return (classes[value], length)
  }

  /// The end of the run of scalars that have one of `wanted`, or, where `inverted`, none of them.
  @inline(__always)
  private func run(of wanted: CharacterClass, inverted: Bool = false, from start: Int) -> Int {
    var index = start
    while index < end {
      let (found, length) = character(at: index)
      if found.isDisjoint(with: wanted) != inverted { break }
      index += length
    }
    return index
  }

  /// The length of the contraction that begins at an apostrophe here, or 0. The pattern that ignores case also takes
  /// the long s for an s.
  private func contraction(at index: Int, ignoringCase: Bool) -> Int {
    guard index + 1 < end, text[index] == UInt8(ascii: "'") else { return 0 }
    let fold: UInt8 = ignoringCase ? 0x20 : 0
    let first = text[index + 1] | fold
    switch first {
    case UInt8(ascii: "s"), UInt8(ascii: "t"), UInt8(ascii: "m"), UInt8(ascii: "d"): return 2
    default: break
    }
    guard index + 2 < end else { return 0 }
    if ignoringCase && text[index + 1] == 0xC5 && text[index + 2] == 0xBF { return 3 }
    let second = text[index + 2] | fold
    switch (first, second) {
    case (UInt8(ascii: "r"), UInt8(ascii: "e")), (UInt8(ascii: "v"), UInt8(ascii: "e")),
      (UInt8(ascii: "l"), UInt8(ascii: "l")):
      return 3
    default: return 0
    }
  }

  func gpt2Piece(from start: Int) -> Int {
    let contraction = contraction(at: start, ignoringCase: false)
    if contraction > 0 { return start + contraction }
    // One space may lead the run that follows it.
    let isSpaced = text[start] == 0x20 && start + 1 < end
    let (first, length) = character(at: isSpaced ? start + 1 : start)
    let next = (isSpaced ? start + 1 : start) + length
    if first.contains(.letter) { return run(of: .letter, from: next) }
    if first.contains(.number) { return run(of: .number, from: next) }
    if first.isDisjoint(with: .space) { return run(of: Self.wordOrSpace, inverted: true, from: next) }
    return spaces(from: start)
  }

  /// White space: all of it at the end of the text, else all but its last scalar, which leads the next piece; a
  /// single one stands alone.
  private func spaces(from start: Int) -> Int {
    let stop = run(of: .space, from: start)
    if stop == end { return stop }
    let last = stop - UTF8Text.scalar(text.span, before: stop).length
    return last > start ? last : stop
  }

  func linesPiece(from start: Int, maximumDigits: Int) -> Int {
    let contraction = contraction(at: start, ignoringCase: true)
    if contraction > 0 { return start + contraction }
    let (first, length) = character(at: start)
    if first.contains(.letter) { return run(of: .letter, from: start + length) }
    if first.contains(.number) { return digits(from: start, maximum: maximumDigits) }
    if !isLineEnd(at: start), start + length < end {
      let (second, secondLength) = character(at: start + length)
      if second.contains(.letter) { return run(of: .letter, from: start + length + secondLength) }
    }
    let isSpaced = text[start] == 0x20
    let symbols = run(of: Self.wordOrSpace, inverted: true, from: isSpaced ? start + 1 : start)
    if symbols > (isSpaced ? start + 1 : start) {
      var stop = symbols
      while stop < end && isLineEnd(at: stop) { stop += 1 }
      return stop
    }
    return lineSpaces(from: start)
  }

  private func isLineEnd(at index: Int) -> Bool { text[index] == 0x0A || text[index] == 0x0D }

  private func digits(from start: Int, maximum: Int) -> Int {
    var index = start
    for _ in 0..<maximum where index < end {
      let (found, length) = character(at: index)
      guard found.contains(.number) else { break }
      index += length
    }
    return index
  }

  /// White space up to its last line end where it has one, else as `spaces`.
  private func lineSpaces(from start: Int) -> Int {
    let stop = run(of: .space, from: start)
    var last = stop
    while last > start && !isLineEnd(at: last - 1) { last -= 1 }
    return last > start ? last : spaces(from: start)
  }
}
