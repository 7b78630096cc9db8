import Formats
import RankStatistics

/// Rows and their tokens.
package struct RowCount: Codable, Sendable, Equatable {
  package var rows = 0
  package var tokens = 0

  mutating func add(tokens: Int) {
    rows += 1
    self.tokens += tokens
  }
}

/// A row at one end of a provider's scores.
package struct ShownRow: Codable, Sendable, Equatable {
  package var id: String
  package var score: Double
  package var tokens: Int
  /// The beginning of its text, where texts are asked for.
  package var excerpt: String?
}

/// What is added up of the rows that count: one provider's, or all.
struct CountedRows: Sendable {
  var count = RowCount()
  /// Sum of values, of scores below zero's values, and of scores.
  var value = 0.0
  var negativeValue = 0.0
  var scores = 0.0
  var negative = RowCount()
  /// Of texts too short to tell whether they are in the valuator's domain.
  var untold = 0
  var sketch = QuantileSketch()

  mutating func add(score: Double, value: Double, tokens: Int, isOutside: Bool?) {
    count.add(tokens: tokens)
    self.value += value
    scores += score
    if score < 0 {
      negative.add(tokens: tokens)
      negativeValue += value
    }
    if isOutside == nil { untold += 1 }
    sketch.add(score)
  }
}

/// What one provider's rows add up to. Its size does not grow with them.
struct ProviderTally: Sendable {
  let name: ByteString
  var claimed = RowCount()
  /// Marked with `alinfik_error` instead of a score.
  var withoutScore = 0
  /// Copies of rows that it had brought before, and of rows that another had; of both those that are not the same text.
  var ownCopies = RowCount()
  var othersCopies = RowCount()
  var nearCopies = 0
  /// The rows of others that count and that it brought too, and their value.
  var othersRows = 0
  var othersValue = 0.0
  /// Of those that are no copies, rows whose kind the valuator does not know.
  var outside = RowCount()
  var counted = CountedRows()
  /// Of the counted ones those that others brought too, later, and their value.
  var sharedRows = 0
  var sharedValue = 0.0
  /// The value if every row were divided equally among those who brought it, less `counted.value`.
  var equalPartsDifference = 0.0
  var bootstrap: PoissonBootstrap
  var best: Extremes
  var worst: Extremes
  /// The first copies, by id.
  var copyIds: [String] = []
  private var records = HashStream()

  init(name: ByteString, seed: UInt64, resamples: Int) {
    self.name = name
    bootstrap = PoissonBootstrap(
      seed: PoissonBootstrap.seed(seed, stream: name.bytes), replicates: (resamples + 3) / 4 * 4)
    best = Extremes(count: SettlementOptions.shownRows) { $0 > $1 }
    worst = Extremes(count: SettlementOptions.shownRows) { $0 < $1 }
  }

  /// A line of it with its end, counted or not.
  mutating func claim(line: [UInt8], tokens: Int) {
    claimed.add(tokens: tokens)
    records.update(line)
  }

  mutating func count(_ row: ShownRow, value: Double, isOutside: Bool?) {
    counted.add(score: row.score, value: value, tokens: row.tokens, isOutside: isOutside)
    bootstrap.add(value: value, size: Double(row.tokens) / 1000)
    best.offer(row)
    worst.offer(row)
  }

  mutating func noteCopy(_ id: String, isExact: Bool) {
    if !isExact { nearCopies += 1 }
    if copyIds.count < SettlementOptions.shownRows { copyIds.append(id) }
  }

  /// SHA-256 of its lines in their order, each with a line end.
  var recordsSHA256: String { records.hexDigest() }
}

/// The first few rows by score; of equal scores those that came first.
struct Extremes: Sendable {
  private(set) var rows: [ShownRow] = []
  private let count: Int
  private let precedes: @Sendable (Double, Double) -> Bool

  init(count: Int, by precedes: @escaping @Sendable (Double, Double) -> Bool) {
    (self.count, self.precedes) = (count, precedes)
  }

  mutating func offer(_ row: ShownRow) {
    if rows.count == count, !precedes(row.score, rows[count - 1].score) { return }
    let place = rows.firstIndex { precedes(row.score, $0.score) } ?? rows.count
    rows.insert(row, at: place)
    if rows.count > count { rows.removeLast() }
  }
}
