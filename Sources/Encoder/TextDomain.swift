import Formats
import Foundation
import Tokenization

/// Whether a text is of the kind the valuator was trained on, told by which words it puts beside each other.
///
/// Of every pair of neighbouring tokens (a, b) where b begins a word: `ln((o + 1/2) / (e + 1/2))`, with o how often the
/// training texts have the pair and `e = c(a) c(b) / N` how often they would by chance. The mean over a text's pairs is
/// its familiarity: high for texts of the kind, about zero where words are strange, negative where they are familiar but
/// in an order that is not. Below the 5 % quantile of texts that were not counted a text is out of domain: those of the calibration
/// part, and of each twentieth of the training texts as the other nineteen see it.
///
/// Distances in the encoder's space were tried and miss half of it: a fine-tuned encoder maps everything it reads to
/// something it knows (experiments/valuator-domain). Only tokens and pairs that two training texts share are counted, so
/// that nothing is kept of what stands in one text alone.
package struct TextDomain: Sendable, Equatable {
  /// Of each token id, in the training texts.
  private let counts: [UInt32]
  /// Tokens of the training texts, counted or not.
  private let total: Double
  /// Of pairs, by hash, at most 255; a power of two of them, at least ten times the pairs.
  private let cells: [UInt8]
  /// Familiarity below which a text is out of domain.
  package let threshold: Double

  private static let smoothing = 0.5
  /// Tokens without the beginning of a word among them that make a text strange.
  private static let leastWordless = 16
  private static let foldCount = 20
  /// The share of texts of the kind that are called out of domain.
  package static let falseAlarms = 0.05
  /// Fewer calibration texts have no 5 % quantile.
  package static let fewestCalibrationTexts = 19

  private init(counts: [UInt32], total: Double, cells: [UInt8], threshold: Double) {
    self.counts = counts
    self.total = total
    self.cells = cells
    self.threshold = threshold
  }

  /// Nil where the calibration texts are too few, or have too few pairs, to say where "unlike" begins.
  package init?(training: [some Collection<Int>], calibration: [some Collection<Int>], words: WordStarts) {
    let whole = TextDomain(counting: training, words: words)
    let calibrated = calibration.compactMap { whole.familiarity($0, words: words) }
    guard calibrated.count >= Self.fewestCalibrationTexts, whole.total > 0 else { return nil }
    let known = (calibrated + Self.crossFamiliarity(training.map { Array($0) }, words)).sorted()
    let rank = Int(Self.falseAlarms * Double(known.count + 1) + 1e-9)
    self.init(
      counts: whole.counts, total: whole.total, cells: whole.cells, threshold: known[rank - 1])
  }

  /// Counts without a threshold: nothing is outside.
  private init(counting texts: [some Collection<Int>], words: WordStarts) {
    let counts = Self.shared(texts)
    let pairs = Self.shared(texts.map { Self.pairs($0, words) })
    var cells = [UInt8](repeating: 0, count: 1 << 12)
    while cells.count < 10 * pairs.count { cells += cells }
    for (pair, count) in pairs {
      let cell = Self.cell(pair, of: cells.count)
      cells[cell] = UInt8(min(255, Int(cells[cell]) + count))
    }
    self.init(
      counts: (0..<words.count).map { UInt32(counts[$0] ?? 0) },
      total: Double(texts.reduce(0) { $0 + $1.count }), cells: cells, threshold: -.infinity)
  }

  /// Of each different text as the folds see it that do not hold it: a few hundred calibration texts alone set no sharp
  /// quantile.
  private static func crossFamiliarity(_ texts: [[Int]], _ words: WordStarts) -> [Double] {
    let different = Array(Set(texts)).sorted { $0.lexicographicallyPrecedes($1) }
    return (0..<foldCount).flatMap { fold in
      let others = different.indices.filter { $0 % foldCount != fold }.map { different[$0] }
      let domain = TextDomain(counting: others, words: words)
      return stride(from: fold, to: different.count, by: foldCount).compactMap {
        domain.familiarity(different[$0], words: words)
      }
    }
  }

  /// How often the elements stand in the texts, of those that stand in two texts or more.
  private static func shared<Element: Hashable>(_ texts: [some Collection<Element>]) -> [Element: Int] {
    var counts: [Element: Int] = [:]
    var holders: [Element: Int] = [:]
    for text in texts {
      for element in text { counts[element, default: 0] += 1 }
      for element in Set(text) { holders[element, default: 0] += 1 }
    }
    return counts.filter { holders[$0.key]! > 1 }
  }

  private struct Pair: Hashable {
    var first: Int
    var second: Int
  }

  private static func pairs(_ ids: some Collection<Int>, _ words: WordStarts) -> [Pair] {
    zip(ids, ids.dropFirst()).compactMap { words[$1] ? Pair(first: $0, second: $1) : nil }
  }

  /// The mean over a text's pairs; nil for a text without any, of which nothing can be said.
  package func familiarity(_ ids: some Collection<Int>, words: WordStarts) -> Double? {
    var sum = 0.0
    var pairs = 0.0
    for (a, b) in zip(ids, ids.dropFirst()) where words[b] {
      let chance = Double(counts[a]) * Double(counts[b]) / total
      let seen = Double(cells[Self.cell(Pair(first: a, second: b), of: cells.count)])
      sum += log((seen + Self.smoothing) / (chance + Self.smoothing))
      pairs += 1
    }
    return pairs > 0 ? sum / pairs : nil
  }

  /// Nil for a text too short to have pairs; a longer one without any is not of the kind, for those of training have them.
  package func isOutside(_ ids: some Collection<Int>, words: WordStarts) -> Bool? {
    if let familiarity = familiarity(ids, words: words) { return familiarity < threshold }
    return ids.count < Self.leastWordless ? nil : true
  }

  /// The upper bits of a product, where every bit of both ids has its part; `count` is a power of two.
  private static func cell(_ pair: Pair, of count: Int) -> Int {
    let both = UInt64(pair.first) << 32 | UInt64(pair.second)
    let mixed = (both ^ both >> 29) &* 0x9E37_79B9_7F4A_7C15
    return Int(mixed >> UInt64(64 - count.trailingZeroBitCount))
  }
}

/// Which tokens of a vocabulary begin a word.
package struct WordStarts: Sendable {
  private let starts: [Bool]
  package var count: Int { starts.count }

  /// Where a good part of the vocabulary is marked as beginning a word (`▁` of SentencePiece, `Ġ` of byte-level BPE) those
  /// tokens do; else those that are not marked as continuing one (`##` of WordPiece). Special tokens begin none.
  package init(_ tokenizer: Tokenizer, count: Int) {
    let tokens = (0..<count).map { tokenizer.token(Int32($0)).map { Array($0.bytes) } ?? [] }
    let marks = ["▁", "Ġ"].map { Array($0.utf8) }
    let isMarked = tokens.map { token in marks.contains { token.starts(with: $0) } }
    let hasMarks = 10 * isMarked.count { $0 } > count
    starts = tokens.indices.map { id in
      if tokenizer.isSpecial(Int32(id)) { return false }
      return hasMarks ? isMarked[id] : !tokens[id].starts(with: Array("##".utf8))
    }
  }

  package subscript(id: Int) -> Bool { starts[id] }
}

extension TextDomain {
  /// What alinfik.json says of it.
  var json: JSONValue {
    [
      "familiarity_below": JSONValue(threshold), "false_alarms": JSONValue(Self.falseAlarms),
      "tokens": JSONValue(Int(total)),
    ]
  }

  /// The counts as a file: of every token id four bytes, little-endian, then of every cell of pairs one.
  var fileBytes: [UInt8] {
    counts.flatMap { count in (0..<4).map { UInt8(truncatingIfNeeded: count >> (8 * UInt32($0))) } } + cells
  }

  /// Reads what `fileBytes` and `json` gave, for a vocabulary of this size. Throws where they do not belong together.
  init(fileBytes: [UInt8], json: JSONValue?, vocabulary: Int, path: String) throws {
    let cells = fileBytes.count - 4 * vocabulary
    guard cells >= 1 << 12, cells.nonzeroBitCount == 1 else {
      throw EncoderError.malformed(
        path, "\(fileBytes.count) bytes do not hold the counts of \(vocabulary) tokens and of pairs")
    }
    guard let threshold = json?["familiarity_below"]?.double, let tokens = json?["tokens"]?.int, tokens > 0
    else {
      throw EncoderError.malformed(path, "'out_of_domain' of alinfik.json does not say what the counts mean")
    }
    let counts = (0..<vocabulary).map { id in
      (0..<4).reduce(UInt32(0)) { $0 | UInt32(fileBytes[4 * id + $1]) << (8 * UInt32($1)) }
    }
    self.init(
      counts: counts, total: Double(tokens), cells: Array(fileBytes[(4 * vocabulary)...]),
      threshold: threshold)
  }
}
