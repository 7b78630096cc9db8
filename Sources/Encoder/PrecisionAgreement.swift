import Formats
import RankStatistics
import Records

/// How near a valuator's scores stay, in one precision, to those in another: in label units, as scores are read, and by rank.
package struct PrecisionAgreement: Sendable {
  /// How many records were scored, none of them twice.
  package let count: Int
  /// Of |score − exact score|, in label units; and the largest as a share of the exact scores' range, 0 where they have none.
  package let largestDifference: Double
  package let meanDifference: Double
  package let shareOfRange: Double
  /// Spearman's correlation over all records, its mean within sources of at least ten, and how many of the exact scores' best 1 % are among
  /// the best 1 %; nil where that is not defined: too few records, or scores all the same.
  package let spearman: Double?
  package let spearmanWithinSource: Double?
  package let recall: Double?

  /// - Parameters:
  ///   - records: at least one.
  ///   - exact: the same valuator in the precision that is compared with.
  package init(of valuator: Valuator, with exact: Valuator, on records: [Record], workers: Int) throws {
    precondition(!records.isEmpty, "PrecisionAgreement: no records")
    func values(_ valuator: Valuator) throws -> [Double] {
      try valuator.scores(of: records, workers: workers).map(\.value)
    }
    let (truth, found) = (try values(exact), try values(valuator))
    let differences = zip(truth, found).map { abs($0 - $1) }
    let range = (truth.max() ?? 0) - (truth.min() ?? 0)
    count = records.count
    largestDifference = differences.max() ?? 0
    meanDifference = differences.reduce(0, +) / Double(count)
    shareOfRange = range > 0 ? largestDifference / range : 0
    spearman = RankStatistics.spearman(found, truth)
    spearmanWithinSource =
      spearmanWithin(found, truth, groups: records.map { $0.source?.string ?? "" }).mean
    recall = spearman == nil ? nil : RankStatistics.recall(found, truth: truth, fraction: 0.01)
  }

  package var json: [(key: ByteString, value: JSONValue)] {
    func value(_ number: Double?) -> JSONValue { number.map { JSONValue($0) } ?? .null }
    return [
      ("records", JSONValue(count)), ("largest_score_difference", JSONValue(largestDifference)),
      ("mean_score_difference", JSONValue(meanDifference)), ("largest_difference", JSONValue(shareOfRange)),
      ("spearman", value(spearman)), ("spearman_within_source", value(spearmanWithinSource)),
      ("recall_1", value(recall)),
    ]
  }
}
