import Formats

/// A text and the ranges of it that are still to become tokens, in order.
struct Pieces {
  var text: [UInt8]
  var ranges: [Range<Int>]
  /// True where the text begins where that does which was given to be encoded. (A normaliser that removes its first
  /// characters does not change this; the peer would then say no.)
  var beginsInput: Bool
}

/// The second stage of tokenizer.json: cuts the text into pieces that the model never merges across.
indirect enum PreTokenizer: Sendable {
  case sequence([PreTokenizer])
  case digits(individual: Bool)
  /// The bytes themselves are the alphabet; `splits` says whether GPT-2's pattern cuts first.
  case byteLevel(addsPrefixSpace: Bool, splits: Bool)
  case bert
  case metaspace(replacement: [UInt8], prepends: PrependScheme, splits: Bool)
  case whitespace
  case whitespaceSplit
  case punctuation(SplitBehavior)
  case scanner(PieceScanner)
  case literal([UInt8], SplitBehavior, inverted: Bool)

  /// The same without what is put before the first piece of a text, or with `everywhere` before every piece.
  func withoutPrefix(everywhere: Bool) -> PreTokenizer {
    switch self {
    case .sequence(let stages): .sequence(stages.map { $0.withoutPrefix(everywhere: everywhere) })
    case .metaspace(let replacement, let prepends, let splits) where everywhere || prepends == .first:
      .metaspace(replacement: replacement, prepends: .never, splits: splits)
    case .byteLevel(_, let splits) where everywhere: .byteLevel(addsPrefixSpace: false, splits: splits)
    default: self
    }
  }

  enum PrependScheme: String, Sendable { case always, first, never }

  func split(_ pieces: inout Pieces) {
    switch self {
    case .sequence(let stages):
      for stage in stages { stage.split(&pieces) }
    case .digits(let individual):
      Self.split(&pieces, at: .digit, individual ? .isolated : .contiguous)
    case .byteLevel(let addsPrefixSpace, let splits):
      if addsPrefixSpace { Self.prepend([0x20], to: &pieces) { _ in true } }
      if splits { Self.scan(&pieces, .gpt2) }
    case .bert:
      Self.split(&pieces, at: .space, .removed)
      Self.split(&pieces, at: .punctuation, .isolated)
    case .metaspace(let replacement, let prepends, let splits):
      Self.metaspace(&pieces, replacement, prepends, splits: splits)
    case .whitespace: Self.words(&pieces)
    case .whitespaceSplit: Self.split(&pieces, at: .space, .removed)
    case .punctuation(let behavior): Self.split(&pieces, at: .punctuation, behavior)
    case .scanner(let scanner): Self.scan(&pieces, scanner)
    case .literal(let pattern, let behavior, let inverted):
      Self.split(&pieces, at: pattern, behavior, inverted: inverted)
    }
  }

  // MARK: The stages

  private static func scan(_ pieces: inout Pieces, _ scanner: PieceScanner) {
    var result: [Range<Int>] = []
    result.reserveCapacity(pieces.text.count / 4 + 8)
    for range in pieces.ranges { scanner.scan(pieces.text, range, into: &result) }
    pieces.ranges = result
  }

  /// Splits at each scalar of a class.
  private static func split(_ pieces: inout Pieces, at wanted: CharacterClass, _ behavior: SplitBehavior) {
    let table = CharacterClasses.shared
    let bytes = pieces.text
    let text = bytes.span
    var cutter = PieceCutter(behavior, capacity: pieces.text.count / 4 + 8)
    for range in pieces.ranges {
      cutter.begin(range)
      var index = range.lowerBound
      while index < range.upperBound {
        let byte = text[index]
        if byte < 0x80 {
          if !table[ascii: byte].isDisjoint(with: wanted) { cutter.match(index..<index + 1) }
          index += 1
        } else {
          let (value, length) = UTF8Text.scalar(text, at: index)
          if !table[value].isDisjoint(with: wanted) { cutter.match(index..<index + length) }
          index += length
        }
      }
      cutter.finish()
    }
    pieces.ranges = cutter.pieces
  }

  /// Splits at each occurrence of a literal, or, inverted, at what lies between.
  private static func split(
    _ pieces: inout Pieces, at pattern: [UInt8], _ behavior: SplitBehavior, inverted: Bool
  ) {
    var cutter = PieceCutter(behavior, capacity: 8)
    for range in pieces.ranges {
      cutter.begin(range)
      var start = range.lowerBound
      for found in pieces.text.occurrences(of: pattern, in: range) {
        if inverted && start < found.lowerBound { cutter.match(start..<found.lowerBound) }
        if !inverted { cutter.match(found) }
        start = found.upperBound
      }
      if inverted && start < range.upperBound { cutter.match(start..<range.upperBound) }
      cutter.finish()
    }
    pieces.ranges = cutter.pieces
  }

  /// `\w+|[^\w\s]+`: runs of word characters and runs of symbols; white space is dropped.
  private static func words(_ pieces: inout Pieces) {
    let table = CharacterClasses.shared
    let bytes = pieces.text
    let text = bytes.span
    var result: [Range<Int>] = []
    for range in pieces.ranges {
      var start = range.lowerBound
      var index = start
      var kind: CharacterClass = .space
      while index < range.upperBound {
        let (value, length) = UTF8Text.scalar(text, at: index)
        let found: CharacterClass =
          table[value].contains(.word) ? .word : table[value].contains(.space) ? .space : []
        if found != kind {
          if kind != .space { result.append(start..<index) }
          start = index
          kind = found
        }
        index += length
      }
      if kind != .space && start < index { result.append(start..<index) }
    }
    pieces.ranges = result
  }

  /// Puts `prefix` before each piece that does not begin with it and that `applies` accepts.
  private static func prepend(_ prefix: [UInt8], to pieces: inout Pieces, where applies: (Range<Int>) -> Bool)
  {
    let text = pieces.text
    let lacking = pieces.ranges.map { applies($0) && !text[$0].starts(with: prefix) }
    guard lacking.contains(true) else { return }
    var result: [UInt8] = []
    result.reserveCapacity(text.count + prefix.count)
    for index in pieces.ranges.indices {
      let range = pieces.ranges[index]
      let start = result.count
      if lacking[index] { result += prefix }
      result += text[range]
      pieces.ranges[index] = start..<result.count
    }
    pieces.text = result
  }

  private static func metaspace(
    _ pieces: inout Pieces, _ replacement: [UInt8], _ prepends: PrependScheme, splits: Bool
  ) {
    let first = pieces.beginsInput && pieces.ranges.first?.lowerBound == 0
    var result: [UInt8] = []
    for index in pieces.ranges.indices {
      let range = pieces.ranges[index]
      let start = result.count
      let begins = pieces.text[range].starts(with: replacement) || pieces.text[range.lowerBound] == 0x20
      let applies = prepends == .always || prepends == .first && first && index == 0
      if applies && !begins { result += replacement }
      result += Array(pieces.text[range]).replacing([0x20], with: replacement)
      pieces.ranges[index] = start..<result.count
    }
    pieces.text = result
    if splits { split(&pieces, at: replacement, .mergedWithNext, inverted: false) }
  }
}

/// What becomes of the delimiters when a text is split at them.
enum SplitBehavior: String, Sendable {
  case removed = "Removed"
  case isolated = "Isolated"
  case mergedWithPrevious = "MergedWithPrevious"
  case mergedWithNext = "MergedWithNext"
  case contiguous = "Contiguous"
}

/// Collects pieces while the matches of a pattern in one range after another are told to it, in order.
struct PieceCutter {
  private(set) var pieces: [Range<Int>] = []
  private let behavior: SplitBehavior
  private var position = 0
  private var end = 0
  /// A match that waits for what follows it (`mergedWithNext`) or for matches that touch it (`contiguous`).
  private var pending: Range<Int>?
  /// True where the last piece may still take a match at its end (`mergedWithPrevious`).
  private var isOpen = false

  init(_ behavior: SplitBehavior, capacity: Int) {
    self.behavior = behavior
    pieces.reserveCapacity(capacity)
  }

  mutating func begin(_ range: Range<Int>) {
    position = range.lowerBound
    end = range.upperBound
    pending = nil
    isOpen = false
  }

  @inline(__always)
  mutating func match(_ range: Range<Int>) {
    gap(upTo: range.lowerBound)
    switch behavior {
    case .removed: break
    case .isolated: pieces.append(range)
    case .mergedWithPrevious:
      if isOpen, let last = pieces.popLast() {
        pieces.append(last.lowerBound..<range.upperBound)
      } else {
        pieces.append(range)
      }
      isOpen = false
    case .mergedWithNext:
      if let pending { pieces.append(pending) }
      pending = range
    case .contiguous:
      pending = (pending?.lowerBound ?? range.lowerBound)..<range.upperBound
    }
    position = range.upperBound
  }

  /// What lies between the matches.
  @inline(__always)
  private mutating func gap(upTo limit: Int) {
    guard position < limit else { return }
    if let pending {
      if behavior == .mergedWithNext {
        pieces.append(pending.lowerBound..<limit)
      } else {
        pieces.append(pending)
        pieces.append(position..<limit)
      }
    } else {
      pieces.append(position..<limit)
    }
    pending = nil
    isOpen = true
  }

  mutating func finish() {
    gap(upTo: end)
    if let pending { pieces.append(pending) }
    pending = nil
  }
}

// MARK: - Reading

extension PreTokenizer {
  static let supported = [
    "Sequence", "Digits", "ByteLevel", "BertPreTokenizer", "Metaspace", "Whitespace", "WhitespaceSplit",
    "Punctuation", "Split",
  ]

  /// True where the bytes of the text are the model's alphabet.
  var isByteLevel: Bool {
    switch self {
    case .byteLevel: true
    case .sequence(let stages): stages.last?.isByteLevel ?? false
    default: false
    }
  }

  /// The stage a `pre_tokenizer` object of tokenizer.json describes; nil for null.
  static func read(_ json: JSONValue?) throws -> PreTokenizer? {
    guard let json, !json.isNull else { return nil }
    let type = try json.stageType("pre_tokenizer")
    switch type {
    case "Sequence": return try readSequence(json)
    case "Digits": return .digits(individual: json["individual_digits"]?.bool ?? false)
    case "ByteLevel":
      return .byteLevel(
        addsPrefixSpace: json["add_prefix_space"]?.bool ?? true, splits: json["use_regex"]?.bool ?? true)
    case "BertPreTokenizer": return .bert
    case "Whitespace": return .whitespace
    case "WhitespaceSplit": return .whitespaceSplit
    case "Punctuation": return .punctuation(try readBehavior(json["behavior"] ?? "Isolated"))
    case "Metaspace": return try readMetaspace(json)
    case "Split": return try readSplit(json)
    default: throw StageError.unsupported("pre_tokenizer '\(type)'", supported: supported)
    }
  }

  private static func readSequence(_ json: JSONValue) throws -> PreTokenizer {
    let stages = try json.require("pretokenizers").elements().compactMap { try read($0) }
    // A stage behind ByteLevel would see its alphabet instead of the text.
    if let index = stages.firstIndex(where: \.isByteLevel), index < stages.count - 1 {
      throw StageError.unsupported(
        "a pre_tokenizer after ByteLevel", supported: ["ByteLevel as the last pre_tokenizer"])
    }
    return .sequence(stages)
  }

  private static func readBehavior(_ json: JSONValue) throws -> SplitBehavior {
    guard let behavior = SplitBehavior(rawValue: json.string ?? "") else {
      throw StageError.malformed("a split behaviour is '\(json.string ?? "?")'")
    }
    return behavior
  }

  private static func readMetaspace(_ json: JSONValue) throws -> PreTokenizer {
    var scheme = PrependScheme(rawValue: json["prepend_scheme"]?.string ?? "always")
    if json["add_prefix_space"]?.bool == false { scheme = .never }
    guard let scheme else { throw StageError.malformed("Metaspace has an unknown 'prepend_scheme'") }
    return .metaspace(
      replacement: try json.requireBytes("replacement"), prepends: scheme,
      splits: json["split"]?.bool ?? true)
  }

  private static func readSplit(_ json: JSONValue) throws -> PreTokenizer {
    let behavior = try readBehavior(try json.require("behavior"))
    let inverted = json["invert"]?.bool ?? false
    let pattern = try json.require("pattern")
    if let literal = pattern["String"]?.byteString {
      return .literal(literal.bytes, behavior, inverted: inverted)
    }
    let expression = pattern["Regex"]?.string ?? "?"
    // The scanners' patterns leave no gaps: isolated matches and removed gaps are the same.
    let isPlain = behavior == .isolated || behavior == .removed && inverted
    guard let scanner = PieceScanner(pattern: expression), isPlain else {
      throw StageError.unsupported(
        "pre_tokenizer Split (\(behavior.rawValue)) with the pattern '\(expression)'",
        supported: ["plain strings", "the patterns of GPT-2, Llama 3 and Qwen 2 (Isolated)"])
    }
    return .scanner(scanner)
  }
}
