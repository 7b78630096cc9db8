import Formats
import Foundation
import TensorKernels

/// A head of Gaussian units and a linear part: `bias + sum_j w_j exp(-gamma |s z - c_j|^2 / p) + sum_l v_l z_l / sqrt(10)`, z the
/// p features of a text, standardised and cut to +-10, s their scales, and c_j the centres, which lie where the
/// training texts do (`KernelRegression`). The last features alone (length, statistics) have a linear part.
///
/// But for these it saturates: far from every centre the units are zero, where a linear head would go on.
package struct KernelHead: Sendable {
  package let means: [Float]
  package let deviations: [Float]
  /// Of `LayerFeatures`.
  package let scales: [Float]
  /// m x p, standardised and scaled.
  package let centres: MatrixView
  /// Of the m units, then of the linear features.
  package let weights: [Float]
  package let bias: Float
  package let gamma: Float
  /// The centres as products read them.
  private let packed: PackedWeight
  /// Their squared norms.
  private let squares: [Float]

  package init(
    means: [Float], deviations: [Float], scales: [Float], centres: MatrixView, weights: [Float], bias: Float,
    gamma: Float, precision: Precision = .f32
  ) {
    precondition(
      [means, deviations, scales].allSatisfy { $0.count == centres.columns }
        && (centres.rows...centres.rows + centres.columns).contains(weights.count),
      "KernelHead: \(means.count) means and \(weights.count) weights for \(centres.rows) x \(centres.columns)"
    )
    self.means = means
    self.deviations = deviations
    self.scales = scales
    self.centres = centres
    self.weights = weights
    self.bias = bias
    self.gamma = gamma
    packed = PackedWeight(.f32(centres), as: precision == .f32 ? .f32 : .bf16)
    squares = squaredRowNorms(centres)
  }

  /// The same head, its products with factors of another precision.
  package func at(_ precision: Precision) -> KernelHead {
    KernelHead(
      means: means, deviations: deviations, scales: scales, centres: centres, weights: weights, bias: bias,
      gamma: gamma, precision: precision)
  }

  /// The output for each row of features.
  package func callAsFunction(_ features: MatrixView) -> [Float] {
    let points = points(features)
    let units = Matrix(undefinedRows: features.rows, columns: centres.rows)
    packed.product(points, into: units)
    Self.gaussianOfDistances(units, points, squares: squares, gamma: gamma)
    let unitWeights = Matrix(rows: 1, columns: centres.rows, values: Array(weights[..<centres.rows])).view
    return (0..<features.rows).map { row in
      // Cut to +-10 a feature that is no number would look like one.
      guard allFinite(features.rows(row..<row + 1)) else { return .nan }
      return Float(
        Double(bias) + dot(unitWeights, units.view.rows(row..<row + 1)) + linearPart(features, row))
    }
  }

  /// `sum_l v_l z_l / sqrt(10)`
  private func linearPart(_ features: MatrixView, _ row: Int) -> Double {
    let linear = weights[centres.rows...]
    let first = features.columns - linear.count
    return zip(linear, first..<features.columns).reduce(0.0) { sum, part in
      let (weight, column) = part
      let z = Self.standardised(features[row, column], means[column], deviations[column])
      return sum + Double(weight * (Self.linearScale * z))
    }
  }

  /// Features as distances between them count in the units.
  package func embeddings(_ features: MatrixView) -> MatrixView { points(features) }

  /// Features standardised and scaled.
  private func points(_ features: MatrixView) -> MatrixView {
    let points = Matrix(undefinedRows: features.rows, columns: features.columns)
    means.withUnsafeBufferPointer { means in
      deviations.withUnsafeBufferPointer { deviations in
        scales.withUnsafeBufferPointer { scales in
          for row in 0..<features.rows {
            let (from, to) = (features.pointer + row * features.stride, points.pointer + row * points.stride)
            for column in 0..<features.columns {
              to[column] =
                scales[column] * Self.standardised(from[column], means[column], deviations[column])
            }
          }
        }
      }
    }
    return points.view
  }

  @inline(__always)
  private static func standardised(_ value: Float, _ mean: Float, _ deviation: Float) -> Float {
    min(farthest, max(-farthest, (value - mean) / deviation))
  }

  package static func standardised(_ features: MatrixView, means: [Float], deviations: [Float]) -> MatrixView
  {
    let z = Matrix(rows: features.rows, columns: features.columns)
    for row in 0..<features.rows {
      let (from, to) = (features.pointer + row * features.stride, z.pointer + row * z.stride)
      for column in 0..<features.columns {
        to[column] = standardised(from[column], means[column], deviations[column])
      }
    }
    return z.view
  }

  /// A feature that hardly varied in training must not outweigh all others when it does.
  private static let farthest: Float = 10

  /// Of a unit of the linear features: how far the linear part is trusted beside the units.
  private static let linearScale = 1 / Float(10).squareRoot()

  /// What the weights multiply, one row a text: the units' values, then the last `linear` features.
  package static func basis(
    _ z: MatrixView, scales: [Float], centres: MatrixView, gamma: Float, linear: Int
  ) -> MatrixView {
    basis(z, units: kernel(scaled(z, by: scales), centres, gamma: gamma), linear: linear)
  }

  private static func basis(_ z: MatrixView, units: MatrixView, linear: Int) -> MatrixView {
    let basis = Matrix(rows: z.rows, columns: units.columns + linear)
    basis.columns(0..<units.columns).copy(units)
    basis.columns(units.columns..<basis.columns).copy(z.columns(z.columns - linear..<z.columns))
    scale(basis.columns(units.columns..<basis.columns), by: linearScale)
    return basis.view
  }

  package static func scaled(_ z: MatrixView, by scales: [Float]) -> MatrixView {
    let result = Matrix(rows: z.rows, columns: z.columns)
    for row in 0..<z.rows {
      let (from, to) = (z.pointer + row * z.stride, result.pointer + row * result.stride)
      for column in 0..<z.columns { to[column] = scales[column] * from[column] }
    }
    return result.view
  }

  /// `exp(-gamma |x_i - y_j|^2 / p)`: rows of x times rows of y.
  ///
  package static func kernel(_ x: MatrixView, _ y: MatrixView, gamma: Float) -> MatrixView {
    let result = Matrix(rows: x.rows, columns: y.rows)
    gemm(x, .no, y, .yes, into: result)
    gaussianOfDistances(result, x, squares: squaredRowNorms(y), gamma: gamma)
    return result.view
  }

  /// From inner products of the rows of x with points of these squared norms.
  private static func gaussianOfDistances(
    _ products: Matrix, _ x: MatrixView, squares: [Float], gamma: Float
  ) {
    gaussian(
      products, rowSquares: squaredRowNorms(x), columnSquares: squares, scale: -gamma / Float(x.columns))
  }
}

extension KernelHead {
  func save(to path: String) throws {
    try SafetensorsWriter.write(
      to: path,
      tensors: [
        ("means", [means.count], means), ("deviations", [deviations.count], deviations),
        ("scales", [scales.count], scales),
        ("centres", [centres.rows, centres.columns], centres.values), ("weights", [weights.count], weights),
        ("bias_gamma", [2], [bias, gamma]),
      ])
  }

  /// Reads what `save` wrote, for so many features, the last `linear` of them with a linear part. Throws where a tensor is
  /// missing or has another shape.
  static func load(path: String, features: Int, linear: Int, precision: Precision) throws -> KernelHead {
    let file = try SafetensorsFile(path: path)
    guard file.tensor(named: "scales") != nil else {
      throw EncoderError.malformed(
        path, "it has no 'scales': an earlier version wrote it; train the valuator again")
    }
    let units = file.tensor(named: "centres")?.shape.first ?? 0
    let numbers = try file.floats(named: "bias_gamma", shape: [2])
    let deviations = Array(try file.floats(named: "deviations", shape: [features]))
    let scales = Array(try file.floats(named: "scales", shape: [features]))
    guard units > 0, (deviations + scales).allSatisfy({ $0 > 0 }), numbers[1] > 0 else {
      throw EncoderError.malformed(
        path, "it has no units, or a deviation, scale or gamma that is not above zero")
    }
    return KernelHead(
      means: Array(try file.floats(named: "means", shape: [features])), deviations: deviations,
      scales: scales,
      centres: Matrix(
        rows: units, columns: features,
        values: Array(try file.floats(named: "centres", shape: [units, features]))
      ).view,
      weights: Array(try file.floats(named: "weights", shape: [units + linear])), bias: numbers[0],
      gamma: numbers[1], precision: precision)
  }
}
