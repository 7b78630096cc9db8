import Formats
import Foundation
import Tokenization

/// Whether a text is of the kind the valuator was trained on, told by which words it puts beside each other.
///
/// Of every pair of neighbouring tokens (a, b) where b begins a word: `ln((o + 0.2) / (e + 0.2))`, with o how often the
/// training texts have the pair and `e = c(a) c(b) / N` how often they would by chance. The mean over a text's pairs is
/// its familiarity: high for texts of the kind, about zero where words are strange, negative where they are familiar but
/// in an order that is not. Below the 5 % quantile of the calibration part a text is out of domain.
///
/// Distances in the encoder's space were tried and miss half of it: a fine-tuned encoder maps everything it reads to
/// something it knows (experiments/valuator-domain). Pairs are counted in hashed cells: texts cannot be read back.
package struct TextDomain: Sendable, Equatable {
  /// Of each token id, in the training texts.
  private let counts: [UInt32]
  private let total: Double
  /// Of pairs, by hash, at most 255.
  private let cells: [UInt8]
  /// Familiarity below which a text is out of domain.
  package private(set) var threshold: Double

  private static let cellBits = 18
  private static let smoothing = 0.2
  /// The share of calibration texts that are called out of domain.
  package static let falseAlarms = 0.05

  private init(counts: [UInt32], cells: [UInt8], threshold: Double) {
    self.counts = counts
    total = counts.reduce(0) { $0 + Double($1) }
    self.cells = cells
    self.threshold = threshold
  }

  /// - Parameters:
  ///   - training, calibration: ids of texts; the second set where "unlike the first" begins.
  package init(training: [[Int]], calibration: [[Int]], words: WordStarts) {
    var counts = [UInt32](repeating: 0, count: words.count)
    var cells = [UInt8](repeating: 0, count: 1 << Self.cellBits)
    for ids in training {
      for id in ids { counts[id] += 1 }
      for (a, b) in zip(ids, ids.dropFirst()) where words[b] {
        let cell = Self.cell(a, b)
        if cells[cell] < .max { cells[cell] += 1 }
      }
    }
    self.init(counts: counts, cells: cells, threshold: 0)
    let known = calibration.map { familiarity($0, words: words) }.sorted()
    threshold = known.isEmpty ? -.infinity : known[Int(Self.falseAlarms * Double(known.count))]
  }

  /// The mean over a text's pairs; minus infinity for a text without any.
  package func familiarity(_ ids: [Int], words: WordStarts) -> Double {
    var sum = 0.0
    var pairs = 0.0
    for (a, b) in zip(ids, ids.dropFirst()) where words[b] {
      let chance = Double(counts[a]) * Double(counts[b]) / total
      sum += log((Double(cells[Self.cell(a, b)]) + Self.smoothing) / (chance + Self.smoothing))
      pairs += 1
    }
    return pairs > 0 ? sum / pairs : -.infinity
  }

  package func isOutside(_ ids: [Int], words: WordStarts) -> Bool {
    familiarity(ids, words: words) < threshold
  }

  /// The upper bits of a product, where every bit of both ids has its part.
  private static func cell(_ a: Int, _ b: Int) -> Int {
    let pair = UInt64(a) << 32 | UInt64(b)
    return Int(((pair ^ pair >> 29) &* 0x9E37_79B9_7F4A_7C15) >> UInt64(64 - cellBits))
  }
}

/// Which tokens of a vocabulary begin a word.
package struct WordStarts: Sendable {
  private let starts: [Bool]
  package var count: Int { starts.count }

  /// Where the vocabulary marks beginnings (`▁` of SentencePiece, `Ġ` of byte-level BPE) those tokens; else those that
  /// are not marked as continuing (`##` of WordPiece). Special tokens begin none.
  package init(_ tokenizer: Tokenizer, count: Int) {
    let tokens = (0..<count).map { tokenizer.token(Int32($0)).map { Array($0.bytes) } ?? [] }
    let marks = ["▁", "Ġ"].map { Array($0.utf8) }
    let isMarked = tokens.map { token in marks.contains { token.starts(with: $0) } }
    let hasMarks = isMarked.contains(true)
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
      "familiarity_below": threshold.isFinite ? JSONValue(threshold) : .null,
      "false_alarms": JSONValue(Self.falseAlarms), "tokens": JSONValue(Int(total)),
    ]
  }

  /// The counts as a file: of every token id four bytes, little-endian, then of every cell of pairs one.
  var fileBytes: [UInt8] {
    counts.flatMap { count in (0..<4).map { UInt8(truncatingIfNeeded: count >> (8 * UInt32($0))) } } + cells
  }

  /// Reads what `fileBytes` and `json` gave, for a vocabulary of this size.
  init(fileBytes: [UInt8], json: JSONValue?, vocabulary: Int, path: String) throws {
    guard fileBytes.count == 4 * vocabulary + 1 << Self.cellBits else {
      throw EncoderError.malformed(
        path, "\(fileBytes.count) bytes do not hold the counts of \(vocabulary) tokens")
    }
    let counts = (0..<vocabulary).map { id in
      (0..<4).reduce(UInt32(0)) { $0 | UInt32(fileBytes[4 * id + $1]) << (8 * UInt32($1)) }
    }
    self.init(
      counts: counts, cells: Array(fileBytes[(4 * vocabulary)...]),
      threshold: json?["familiarity_below"]?.double ?? -.infinity)
  }
}
