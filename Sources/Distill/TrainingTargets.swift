import Foundation
import RankStatistics
import TensorKernels

/// What training aims at: rank-Gaussianised labels, their deviation from what source and length explain shrunk.
///
/// With t the normal quantile of a label's rank, fitted on the training rows: `e = slope sqrt(n) + mean of the source`,
/// and the target is `e + share (t - e)`. Which source a text resembles and how long it is can be learnt from a few
/// hundred rows; an encoder that is shown all the rest at full size memorises it. The trained valuator reads the text
/// alone.
package struct TrainingTargets: Sendable {
  package let values: [Double]
  /// Of sqrt(n), n the text's tokens.
  package let slope: Double
  package let share: Double
  /// Of `t - slope sqrt(n)`, for sources of `fewestRows` and more.
  private let means: [String: Double]
  /// Of the rows of all smaller sources; of all rows where there are none.
  private let otherMean: Double

  /// Smaller sources count as one: the mean of a few rows is those rows' noise.
  static let fewestRows = 20
  /// Rows that are worth as much as what source and length explain, chosen in experiments/valuator-recipe.
  private static let halfRows = 1120.0

  /// - Parameter share: nil for `n / (n + 1120 R)`, n the rows and R the variance that source and length explain over
  ///   that which they do not: the more there is beside them, or the more rows to learn it from, the nearer to 1.
  package init(labels: [Double], sources: [String], rootLengths: [Double], share: Double? = nil) {
    let quantiles = rankGaussianize(labels)
    let counts = Dictionary(grouping: sources, by: { $0 }).mapValues(\.count)
    let groups = sources.map { counts[$0]! >= Self.fewestRows ? $0 : nil }
    let slope = slopeWithin(groups, rootLengths, quantiles)
    let rest = zip(quantiles, rootLengths).map { $0 - slope * $1 }
    func mean(_ rows: [Int]) -> Double { rows.reduce(0) { $0 + rest[$1] } / Double(max(1, rows.count)) }
    let byGroup = Dictionary(grouping: groups.indices, by: { groups[$0] })
    otherMean = mean(byGroup[nil] ?? Array(rest.indices))
    means = byGroup.reduce(into: [:]) { if let name = $1.key { $0[name] = mean($1.value) } }
    self.slope = slope
    var expected: [Double] = []
    for (source, rootLength) in zip(sources, rootLengths) {
      expected.append(slope * rootLength + (means[source] ?? otherMean))
    }
    let explained = sumOfSquares(expected)
    let left = zip(quantiles, expected).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }
    let rows = Double(labels.count)
    let chosen = share ?? (left > 0 ? rows / (rows + Self.halfRows * explained / left) : 1)
    values = zip(quantiles, expected).map { $1 + chosen * ($0 - $1) }
    self.share = chosen
  }

  /// e: what source and length say of a text.
  package func expected(source: String, rootLength: Double) -> Double {
    slope * rootLength + (means[source] ?? otherMean)
  }
}

/// About the mean.
private func sumOfSquares(_ values: [Double]) -> Double {
  let mean = values.reduce(0, +) / Double(max(1, values.count))
  return values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
}

/// `sum (x - mean_g x)(y - mean_g y) / sum (x - mean_g x)^2`, g the group of each row; 0 where x does not vary.
///
/// Across groups the longer text is often the better one for reasons that the text itself shows; a slope that mixes
/// the two has the wrong size or even the wrong sign.
package func slopeWithin(_ groups: [String?], _ x: [Double], _ y: [Double]) -> Double {
  var products = 0.0
  var squares = 0.0
  let byGroup = Dictionary(grouping: groups.indices, by: { groups[$0] })
  for rows in byGroup.values.sorted(by: { $0[0] < $1[0] }) {
    let centreX = rows.reduce(0) { $0 + x[$1] } / Double(rows.count)
    let centreY = rows.reduce(0) { $0 + y[$1] } / Double(rows.count)
    for row in rows {
      products += (x[row] - centreX) * (y[row] - centreY)
      squares += (x[row] - centreX) * (x[row] - centreX)
    }
  }
  return squares > 1e-12 ? products / squares : 0
}
