import Encoder
import Foundation
import TensorKernels

/// Kernel ridge regression with Gaussian units: `min |t - K w|^2 + lambda w^T K_c w`, K the units' values for the training
/// rows and K_c for the centres. Closed form, in f64; gamma and lambda by cross-validation.
///
/// Centres are usually training rows (Nyström); then the features of as many texts would be carried away, from which short
/// texts can be read. These are drawn from the normal distribution that has the rows' covariance, which ranks as well
/// (experiments/valuator-encoders) and keeps no row.
package struct KernelRegression {
  package static let mostCentres = 1024
  private static let gammas: [Float] = [0.003, 0.0125, 0.05, 0.2, 0.8]
  private static let lambdas = [0.003, 0.01, 0.03, 0.1, 0.3, 1]
  private static let foldCount = 5

  package let head: KernelHead
  package let gamma: Float
  package let lambda: Double
  /// What `quality` says of the chosen gamma and lambda.
  package let quality: Double

  /// - Parameters:
  ///   - features: one row a training row; they are standardised to mean 0 and deviation 1.
  ///   - slope: of the last feature, fitted before; the units explain the rest.
  ///   - texts: what tells equal texts, which stand in one fold together.
  ///   - quality: of predictions for the training rows, each by the rows of the other folds; gamma and lambda are those
  ///     that make it the highest.
  package init?(
    features: MatrixView, slope: Double, targets: [Double], texts: [String], seed: UInt64,
    quality: ([Double]) throws -> Double
  ) rethrows {
    let (means, deviations) = Self.moments(features)
    let z = KernelHead.standardised(features, means: means, deviations: deviations)
    guard let centres = Self.centres(z, count: min(Self.mostCentres, 2 * z.rows), seed: seed) else {
      return nil
    }
    let ofLength = (0..<features.rows).map { slope * Double(features[$0, features.columns - 1]) }
    let bias = zip(targets, ofLength).reduce(0) { $0 + $1.0 - $1.1 } / Double(targets.count)
    let rest = zip(targets, ofLength).map { Float($0 - $1 - bias) }
    let parts = folds(of: texts, count: Self.foldCount)
    var best: (weights: [Double], gamma: Float, lambda: Double, quality: Double)?
    for gamma in Self.gammas {
      let units = KernelHead.kernel(z, centres, gamma: gamma)
      let penalty = KernelHead.kernel(centres, centres, gamma: gamma)
      let moments = parts.map { Moments(units.selecting($0), $0.map { rest[$0] }) }
      let all = moments.dropFirst().reduce(moments[0]) { $0.adding($1, times: 1) }
      for lambda in Self.lambdas {
        var predictions = targets
        for (rows, part) in zip(parts, moments) {
          guard let weights = all.adding(part, times: -1).solve(penalty, lambda: lambda) else { continue }
          for row in rows {
            predictions[row] =
              bias + ofLength[row] + weights.indices.reduce(0) { $0 + weights[$1] * Double(units[row, $1]) }
          }
        }
        let value = try quality(predictions)
        if value > best?.quality ?? -.infinity, let weights = all.solve(penalty, lambda: lambda) {
          best = (weights, gamma, lambda, value)
        }
      }
    }
    guard let best else { return nil }
    head = KernelHead(
      means: means, deviations: deviations, centres: centres, weights: best.weights.map { Float($0) },
      bias: Float(bias), slope: Float(slope), gamma: best.gamma)
    (gamma, lambda, self.quality) = (best.gamma, best.lambda, best.quality)
  }

  /// Normal with mean 0 and the covariance of z (and a little more, for directions in which no row lies).
  private static func centres(_ z: MatrixView, count: Int, seed: UInt64) -> MatrixView? {
    let p = z.columns
    var covariance = innerProducts(z, z).map { $0 / Double(z.rows) }
    for i in 0..<p { covariance[i * p + i] += 1e-3 }
    guard let factor = choleskyFactor(covariance, order: p) else { return nil }
    var generator = SeededGenerator(seed: seed, stream: "kernel-centres")
    let noise = Matrix(
      rows: count, columns: p, values: (0..<count * p).map { _ in Float(generator.normal()) })
    let centres = Matrix(rows: count, columns: p)
    gemm(noise.view, .no, Matrix(rows: p, columns: p, values: factor.map { Float($0) }).view, into: centres)
    return centres.view
  }

  /// `K^T K` and `K^T t` of some rows.
  private struct Moments {
    var gram: [Double]
    var aim: [Double]

    init(_ units: MatrixView, _ targets: [Float]) {
      gram = innerProducts(units, units)
      aim = innerProducts(units, Matrix(rows: units.rows, columns: 1, values: targets).view)
    }

    func adding(_ other: Moments, times factor: Double) -> Moments {
      var sum = self
      for i in gram.indices { sum.gram[i] += factor * other.gram[i] }
      for i in aim.indices { sum.aim[i] += factor * other.aim[i] }
      return sum
    }

    func solve(_ penalty: MatrixView, lambda: Double) -> [Double]? {
      let m = penalty.rows
      var a = gram
      for i in 0..<m {
        for j in 0..<m { a[i * m + j] += lambda * Double(penalty[i, j]) }
      }
      // Centres that lie close together make the matrix all but singular in f32.
      let jitter = 1e-6 * (0..<m).reduce(0) { $0 + a[$1 * m + $1] } / Double(m)
      for i in 0..<m { a[i * m + i] += jitter }
      var w = aim
      return solvePositiveDefinite(&a, &w, rightHandSides: 1) ? w : nil
    }
  }

  private static func moments(_ rows: MatrixView) -> (means: [Float], deviations: [Float]) {
    let n = Double(rows.rows)
    var (sums, squares) = (
      [Double](repeating: 0, count: rows.columns), [Double](repeating: 0, count: rows.columns)
    )
    for row in 0..<rows.rows {
      for column in 0..<rows.columns { sums[column] += Double(rows[row, column]) }
    }
    let means = sums.map { $0 / n }
    for row in 0..<rows.rows {
      for column in 0..<rows.columns {
        let distance = Double(rows[row, column]) - means[column]
        squares[column] += distance * distance
      }
    }
    // A feature that is as good as constant here says nothing elsewhere, however far it goes: it is divided away.
    let deviations = zip(squares, means).map { square, mean in
      let deviation = (square / n).squareRoot()
      return deviation > max(1e-12, 1e-4 * abs(mean)) ? Float(deviation) : Float.greatestFiniteMagnitude
    }
    return (means.map { Float($0) }, deviations)
  }
}

/// Rows dealt to folds, equal texts to the same one.
func folds(of texts: [String], count: Int) -> [[Int]] {
  var numbers: [String: Int] = [:]
  var folds = [[Int]](repeating: [], count: count)
  for (row, text) in texts.enumerated() {
    let number = numbers[text] ?? numbers.count
    numbers[text] = number
    folds[number % count].append(row)
  }
  return folds.filter { !$0.isEmpty }
}
