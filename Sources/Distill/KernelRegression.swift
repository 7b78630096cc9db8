import Encoder
import Foundation
import TensorKernels

/// Kernel ridge regression with Gaussian units and a linear part: `min |t - B w|^2 + lambda (u^T K_c u + v^T v)`, B the basis
/// of the training rows (`KernelHead`), w = (u, v), and K_c the units' values for the centres. Closed form, in f64; gamma and
/// lambda by cross-validation.
///
/// Centres are usually training rows (Nyström); then the features of as many texts would be carried away, from which short
/// texts can be read. These are means of four texts that lie close together, which keep half of what rows are worth beside
/// centres drawn from the rows' covariance (experiments/valuator-encoders); a valuator that carries texts anyway has the rows.
package struct KernelRegression {
  package static let standardCentres = 2048
  /// Texts in the mean of a centre.
  private static let groupSize = 4
  private static let gammas: [Float] = [0.003, 0.0125, 0.05, 0.1, 0.2, 0.4, 0.8]
  private static let lambdas = [0.003, 0.01, 0.03, 0.1, 0.3, 1]
  private static let foldCount = 5

  package let head: KernelHead
  package let gamma: Float
  package let lambda: Double
  /// What the other folds' rows predict for each training row, by the chosen gamma and lambda.
  package let heldOut: [Double]

  /// Rows that are learnt from and never predicted.
  package struct OtherRows {
    package var features: MatrixView
    package var targets: [Double]
    /// Beside a training row's 1.
    package var weight: Double

    package init(features: MatrixView, targets: [Double], weight: Double) {
      self.features = features
      self.targets = targets
      self.weight = weight
    }
  }

  /// - Parameters:
  ///   - features: one row a training row; they are standardised to mean 0 and deviation 1, then multiplied by `scales`.
  ///   - linear: how many of the last features have a linear part.
  ///   - texts: what tells equal texts, which stand in one fold together.
  ///   - centresAreRows: whether the head may carry the features of single texts.
  ///   - quality: of predictions for the training rows, each by the rows of the other folds; gamma and lambda are those
  ///     that make it the highest.
  package init?(
    features: MatrixView, scales: [Float], linear: Int, targets: [Double], others: OtherRows? = nil,
    texts: [String], mostCentres: Int = standardCentres, centresAreRows: Bool = false, seed: UInt64,
    quality: ([Double]) throws -> Double
  ) rethrows {
    // Standardised and covered by centres together: what they are told apart by is the same.
    let (means, deviations) = Self.moments(others.map { features.above($0.features) } ?? features)
    let otherZ = others.map { KernelHead.standardised($0.features, means: means, deviations: deviations) }
    let z = KernelHead.standardised(features, means: means, deviations: deviations)
    let everyZ = otherZ.map(z.above) ?? z
    let centres = Self.centres(
      KernelHead.scaled(everyZ, by: scales), texts: texts + (z.rows..<everyZ.rows).map { "other \($0)" },
      count: mostCentres, areRows: centresAreRows, seed: seed)
    let bias = targets.reduce(0, +) / Double(targets.count)
    let rest = targets.map { Float($0 - bias) }
    let parts = folds(of: texts, count: Self.foldCount)
    func basis(_ z: MatrixView, _ gamma: Float) -> MatrixView {
      KernelHead.basis(z, scales: scales, centres: centres, gamma: gamma, linear: linear)
    }
    struct Best {
      var moments: Moments, penalty: MatrixView, gamma: Float, lambda: Double, quality: Double,
        heldOut: [Double]
    }
    var best: Best?
    for gamma in Self.gammas {
      let basis = basis(z, gamma)
      let penalty = KernelHead.kernel(centres, centres, gamma: gamma)
      let moments = parts.map { Moments(basis.selecting($0), $0.map { rest[$0] }) }
      // Without the other rows: what scored them knows the labels of every fold.
      let all = moments.dropFirst().reduce(moments[0]) { $0.adding($1, times: 1) }
      for lambda in Self.lambdas {
        var predictions = targets
        for (rows, part) in zip(parts, moments) {
          guard let weights = all.adding(part, times: -1).solve(penalty, lambda: lambda) else { continue }
          for row in rows {
            predictions[row] = weights.indices.reduce(bias) { $0 + weights[$1] * Double(basis[row, $1]) }
          }
        }
        let value = try quality(predictions)
        if value > best?.quality ?? -.infinity {
          best = Best(
            moments: all, penalty: penalty, gamma: gamma, lambda: lambda, quality: value, heldOut: predictions
          )
        }
      }
    }
    guard var best else { return nil }
    if let others, let otherZ {
      best.moments = best.moments.adding(
        Moments(basis(otherZ, best.gamma), others.targets.map { Float($0 - bias) }), times: others.weight)
    }
    guard let weights = best.moments.solve(best.penalty, lambda: best.lambda) else { return nil }
    head = KernelHead(
      means: means, deviations: deviations, scales: scales, centres: centres,
      weights: weights.map { Float($0) },
      bias: Float(bias), gamma: best.gamma)
    (gamma, lambda, heldOut) = (best.gamma, best.lambda, best.heldOut)
  }

  /// Some rows drawn at random, each with the nearest of other texts, in the mean.
  private static func centres(
    _ z: MatrixView, texts: [String], count: Int, areRows: Bool, seed: UInt64
  ) -> MatrixView {
    var generator = SeededGenerator(seed: seed, stream: "kernel-centres")
    let chosen = Array((0..<z.rows).shuffled(using: &generator).prefix(count))
    if areRows { return z.selecting(chosen) }
    let products = Matrix(rows: chosen.count, columns: z.rows)
    gemm(z.selecting(chosen), .no, z, .yes, into: products)
    let squares = (0..<z.rows).map { Float(dot(z.rows($0..<$0 + 1), z.rows($0..<$0 + 1))) }
    let centres = Matrix(rows: chosen.count, columns: z.columns)
    for place in chosen.indices {
      let row = centres.rows(place..<place + 1)
      let distances = squares.indices.map { squares[$0] - 2 * products[place, $0] }
      var held: Set<String> = []
      for near in squares.indices.sorted(by: { (distances[$0], $0) < (distances[$1], $1) }) {
        guard held.count < groupSize else { break }
        if held.insert(texts[near]).inserted { addColumnSums(of: z.rows(near..<near + 1), to: row) }
      }
      scale(row, by: 1 / Float(held.count))
    }
    return centres.view
  }

  /// `B^T B` and `B^T t` of some rows.
  private struct Moments {
    var gram: [Double]
    var aim: [Double]

    init(_ basis: MatrixView, _ targets: [Float]) {
      gram = innerProducts(basis, basis)
      aim = innerProducts(basis, Matrix(rows: basis.rows, columns: 1, values: targets).view)
    }

    func adding(_ other: Moments, times factor: Double) -> Moments {
      var sum = self
      for i in gram.indices { sum.gram[i] += factor * other.gram[i] }
      for i in aim.indices { sum.aim[i] += factor * other.aim[i] }
      return sum
    }

    func solve(_ penalty: MatrixView, lambda: Double) -> [Double]? {
      let (units, m) = (penalty.rows, aim.count)
      var a = gram
      for i in 0..<units {
        for j in 0..<units { a[i * m + j] += lambda * Double(penalty[i, j]) }
      }
      for i in units..<m { a[i * m + i] += lambda }
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
