import Foundation
import TensorKernels

/// Ridge regression on TF-IDF of an encoder's tokens: what words alone say, without what an encoder knows of them.
///
/// A text's features are `(1 + ln count) ln(1 + n / documents)` of its tokens, scaled to length 1; n training texts.
package struct TFIDFRegression {
  private let weights: [Double]
  private let inverseFrequencies: [Double]
  private let bias: Double

  /// - Parameter lambda: of `min |y - X w - b|^2 + lambda |w|^2`, solved by conjugate gradients.
  package init(texts: [[Int]], targets: [Double], vocabulary: Int, lambda: Double) {
    var documents = [Double](repeating: 0, count: vocabulary)
    for text in texts { for id in Set(text) { documents[id] += 1 } }
    let count = Double(texts.count)
    inverseFrequencies = documents.map { $0 > 0 ? log(1 + count / $0) : 0 }
    let mean = targets.reduce(0, +) / count
    bias = mean
    let frequencies = inverseFrequencies
    let rows = texts.map { Self.features($0, frequencies) }
    weights = Self.solve(rows, targets.map { $0 - mean }, width: vocabulary, lambda: lambda)
  }

  package func callAsFunction(_ text: [Int]) -> Double {
    Self.features(text, inverseFrequencies).reduce(bias) { $0 + weights[$1.id] * $1.value }
  }

  private typealias Features = [(id: Int, value: Double)]

  private static func features(_ text: [Int], _ frequencies: [Double]) -> Features {
    let counts = Dictionary(text.map { ($0, 1.0) }, uniquingKeysWith: +)
    let values = counts.sorted { $0.key < $1.key }.map { ($0.key, (1 + log($0.value)) * frequencies[$0.key]) }
    let norm = values.reduce(0) { $0 + $1.1 * $1.1 }.squareRoot()
    return values.map { (id: $0.0, value: norm > 0 ? $0.1 / norm : 0) }
  }

  /// `(X^T X + lambda I) w = X^T y` (Hestenes & Stiefel 1952).
  private static func solve(_ rows: [Features], _ y: [Double], width: Int, lambda: Double) -> [Double] {
    func transposed(_ v: [Double]) -> [Double] {
      var result = [Double](repeating: 0, count: width)
      for (row, value) in zip(rows, v) { for (id, x) in row { result[id] += x * value } }
      return result
    }
    func applied(_ w: [Double]) -> [Double] {
      let product = transposed(rows.map { row in row.reduce(0) { $0 + w[$1.id] * $1.value } })
      return zip(product, w).map { $0 + lambda * $1 }
    }
    func inner(_ a: [Double], _ b: [Double]) -> Double { zip(a, b).reduce(0) { $0 + $1.0 * $1.1 } }
    var w = [Double](repeating: 0, count: width)
    var residual = transposed(y)
    var direction = residual
    var square = inner(residual, residual)
    let goal = 1e-8 * square
    for _ in 0..<100 where square > goal {
      let image = applied(direction)
      let step = square / inner(direction, image)
      for i in 0..<width {
        w[i] += step * direction[i]
        residual[i] -= step * image[i]
      }
      let next = inner(residual, residual)
      for i in 0..<width { direction[i] = residual[i] + next / square * direction[i] }
      square = next
    }
    return w
  }
}

/// The mean target of the training texts whose features lie nearest, by cosine, at the places of `rows`; 0 elsewhere.
package func nearestNeighbours(
  features: MatrixView, of rows: [Int], training: [Int], targets: [Double], neighbours: Int = 10
) -> [Double] {
  func scaled(_ rows: [Int]) -> MatrixView {
    let result = Matrix(rows: rows.count, columns: features.columns)
    result.copy(features.selecting(rows))
    for row in 0..<result.rows {
      let one = result.rows(row..<row + 1)
      scale(one, by: Float(1 / max(dot(one.view, one.view).squareRoot(), 1e-30)))
    }
    return result.view
  }
  let (known, asked) = (scaled(training), scaled(rows))
  let similarities = Matrix(rows: rows.count, columns: training.count)
  gemm(asked, .no, known, .yes, into: similarities)
  var result = [Double](repeating: 0, count: features.rows)
  for (place, row) in rows.enumerated() {
    let values = similarities.view.rows(place..<place + 1).values
    let nearest = values.indices.sorted { (-values[$0], $0) < (-values[$1], $1) }.prefix(neighbours)
    result[row] = nearest.reduce(0) { $0 + targets[$1] } / Double(nearest.count)
  }
  return result
}
