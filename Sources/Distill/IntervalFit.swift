import Encoder
import Foundation
import RankStatistics
import TensorKernels

extension ScoreIntervals {
  /// Fewer different calibration texts than this give no intervals.
  package static let fewestRows = 20
  private static let foldCount = 10
  /// On the squared weights, relative to the rows.
  private static let ridge = 0.2
  /// Of the mean error, added before the logarithm: a hit by luck is not a promise.
  private static let floor = 0.3

  /// Cross-conformal residuals (Vovk 2015): of every tenth of the calibration rows by a map and a spread fitted on the
  /// others, so that no row is kept from the map that scores will go through. `texts` tells equal texts: they stand in one
  /// fold and give one residual. Nil with too few of them, or where the errors say nothing.
  package static func fit(raw: [Double], tokens: [Int], labels: [Double], texts: [String]) -> ScoreIntervals?
  {
    let folds = folds(of: texts, count: foldCount)
    guard Set(texts).count >= fewestRows, let whole = spread(raw, tokens, labels) else { return nil }
    var residuals: [Double] = []
    for held in folds {
      let left = Set(held)
      let kept = raw.indices.filter { !left.contains($0) }
      guard let map = IsotonicMap.fit(inputs: kept.map { raw[$0] }, outputs: kept.map { labels[$0] }),
        let spread = spread(kept.map { raw[$0] }, kept.map { tokens[$0] }, kept.map { labels[$0] })
      else { return nil }
      var seen: Set<String> = []
      for row in held where seen.insert(texts[row]).inserted {
        residuals.append(abs(labels[row] - map(raw[row])) / spread(raw: raw[row], tokens: tokens[row]))
      }
    }
    return ConformalResiduals(residuals).map { ScoreIntervals(spread: whole, residuals: $0) }
  }

  /// Ridge regression of the logarithm of the errors that a map fitted on the same rows makes.
  private static func spread(_ raw: [Double], _ tokens: [Int], _ labels: [Double]) -> SpreadModel? {
    guard let map = IsotonicMap.fit(inputs: raw, outputs: labels) else { return nil }
    let errors = zip(raw, labels).map { abs($1 - map($0)) }
    let n = Double(raw.count)
    let mean = errors.reduce(0, +) / n
    guard mean > 0 else { return nil }
    let features = zip(raw, tokens).map { SpreadModel.features(raw: $0, tokens: $1) }
    let columns = (0..<SpreadModel.featureCount).map { column in features.map { $0[column] } }
    let means = columns.map { $0.reduce(0, +) / n }
    let deviations = zip(columns, means).map { column, mean in
      max((column.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / n).squareRoot(), 1e-9)
    }
    let rows = features.map { [1] + SpreadModel.standardised($0, means: means, deviations: deviations) }
    let order = SpreadModel.featureCount + 1
    var a = [Double](repeating: 0, count: order * order)
    var b = [Double](repeating: 0, count: order)
    for (row, error) in zip(rows, errors) {
      let aim = log(error + floor * mean)
      for i in 0..<order {
        b[i] += row[i] * aim
        for j in 0..<order { a[i * order + j] += row[i] * row[j] }
      }
    }
    for i in 1..<order { a[i * order + i] += ridge * n }
    guard solvePositiveDefinite(&a, &b, rightHandSides: 1) else { return nil }
    return SpreadModel(bias: b[0], weights: Array(b[1...]), means: means, deviations: deviations)
  }
}
