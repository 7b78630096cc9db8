import Foundation
import RankStatistics
import TensorKernels

/// What training aims at: rank-Gaussianised labels, their deviation from what source and length explain shrunk.
///
/// With t the normal quantile of a label's rank, fitted on the training rows: `e = slope sqrt(n) + mean of its source`,
/// and the target is `e + share (t - e)`. Which source a text resembles and how long it is can be learnt from a few
/// hundred rows; what is left is mostly out of their reach, and an encoder that is shown it at full size memorises it.
/// Sources are used here only; the trained valuator reads the text alone.
package struct TrainingTargets: Sendable {
  package let values: [Double]
  /// Of sqrt(n), the text's tokens.
  package let slope: Double

  package init(labels: [Double], sources: [Int], rootLengths: [Double], withinSourceShare: Double) {
    let quantiles = rankGaussianize(labels)
    let slope = slopeWithin(sources, rootLengths, quantiles)
    let rest = zip(quantiles, rootLengths).map { $0 - slope * $1 }
    let means = Dictionary(grouping: rest.indices, by: { sources[$0] })
      .mapValues { rows in rows.reduce(0) { $0 + rest[$1] } / Double(rows.count) }
    values = quantiles.indices.map { row in
      let expected = slope * rootLengths[row] + means[sources[row]]!
      return expected + withinSourceShare * (quantiles[row] - expected)
    }
    self.slope = slope
  }
}

/// `sum (x - mean_g x)(y - mean_g y) / sum (x - mean_g x)^2`, g the group of each row; 0 where x does not vary.
///
/// Across groups the longer text is often the better one for reasons that the text itself shows; a slope that mixes
/// the two has the wrong size or even the wrong sign.
package func slopeWithin(_ groups: [Int], _ x: [Double], _ y: [Double]) -> Double {
  var products = 0.0
  var squares = 0.0
  for group in Set(groups).sorted() {
    let rows = groups.indices.filter { groups[$0] == group }
    let centreX = rows.reduce(0) { $0 + x[$1] } / Double(rows.count)
    let centreY = rows.reduce(0) { $0 + y[$1] } / Double(rows.count)
    for row in rows {
      products += (x[row] - centreX) * (y[row] - centreY)
      squares += (x[row] - centreX) * (x[row] - centreX)
    }
  }
  return squares > 1e-12 ? products / squares : 0
}

/// A row as training reads it.
package struct TrainingRow: Sendable {
  package let ids: [Int]
  package let target: Double

  package init(ids: [Int], target: Double) {
    self.ids = ids
    self.target = target
  }

  /// A random run of the text's tokens between its first and last (`[CLS]`, `[SEP]`), at least two fifths of them,
  /// its target moved by what the length lost: a part of a text is of the same source as the whole.
  package func cropped(slope: Double, using generator: inout SeededGenerator) -> TrainingRow {
    let inner = ids.count - 2
    let kept = max(Self.shortestCrop, Int(Double(inner) * (0.4 + 0.6 * generator.uniform())))
    let offset = generator.uniform()
    guard kept < inner else { return self }
    let start = 1 + Int(offset * Double(inner - kept + 1))
    let part = [ids[0]] + ids[start..<start + kept] + [ids[ids.count - 1]]
    let change = Double(part.count).squareRoot() - Double(ids.count).squareRoot()
    return TrainingRow(ids: part, target: target + slope * change)
  }

  /// Fewer tokens hardly show what a text is.
  private static let shortestCrop = 16
}
