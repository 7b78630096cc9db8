import Formats
import Foundation
import TensorKernels

/// A head of Gaussian units: `bias + slope x_p + sum_j w_j exp(-gamma |z - c_j|^2 / p)`, x the p features of a text (the
/// last one the root of its length), z the same standardised and cut to +-10, and c_j the centres, drawn at random from
/// where the training texts lie (`KernelRegression`).
///
/// But for the length it saturates: far from every centre the units are zero, where a linear head would go on.
package struct KernelHead: Sendable {
  package let means: [Float]
  package let deviations: [Float]
  /// m x p, standardised.
  package let centres: MatrixView
  package let weights: [Float]
  package let bias: Float
  package let slope: Float
  package let gamma: Float

  package init(
    means: [Float], deviations: [Float], centres: MatrixView, weights: [Float], bias: Float, slope: Float,
    gamma: Float
  ) {
    precondition(
      means.count == centres.columns && deviations.count == centres.columns && weights.count == centres.rows,
      "KernelHead: \(means.count) means and \(weights.count) weights for \(centres.rows) x \(centres.columns)"
    )
    self.means = means
    self.deviations = deviations
    self.centres = centres
    self.weights = weights
    self.bias = bias
    self.slope = slope
    self.gamma = gamma
  }

  /// The output for each row of features.
  package func callAsFunction(_ features: MatrixView) -> [Float] {
    let z = Self.standardised(features, means: means, deviations: deviations)
    let units = Self.kernel(z, centres, gamma: gamma)
    return (0..<z.rows).map { row in
      let start = bias + slope * features[row, features.columns - 1]
      return weights.indices.reduce(start) { $0 + weights[$1] * units[row, $1] }
    }
  }

  package static func standardised(_ features: MatrixView, means: [Float], deviations: [Float]) -> MatrixView
  {
    let z = Matrix(rows: features.rows, columns: features.columns)
    for row in 0..<features.rows {
      for column in 0..<features.columns {
        z[row, column] = min(
          farthest, max(-farthest, (features[row, column] - means[column]) / deviations[column]))
      }
    }
    return z.view
  }

  /// A feature that hardly varied in training must not outweigh all others when it does.
  private static let farthest: Float = 10

  /// `exp(-gamma |x_i - y_j|^2 / p)`: rows of x times rows of y.
  package static func kernel(_ x: MatrixView, _ y: MatrixView, gamma: Float) -> MatrixView {
    let result = Matrix(rows: x.rows, columns: y.rows)
    gemm(x, .no, y, .yes, into: result)
    func squares(_ m: MatrixView) -> [Float] {
      (0..<m.rows).map { Float(dot(m.rows($0..<$0 + 1), m.rows($0..<$0 + 1))) }
    }
    let (ofX, ofY) = (squares(x), squares(y))
    let scale = -gamma / Float(x.columns)
    for row in 0..<x.rows {
      for column in 0..<y.rows {
        result[row, column] = exp(scale * max(0, ofX[row] + ofY[column] - 2 * result[row, column]))
      }
    }
    return result.view
  }
}

extension KernelHead {
  func save(to path: String) throws {
    try SafetensorsWriter.write(
      to: path,
      tensors: [
        ("means", [means.count], means), ("deviations", [deviations.count], deviations),
        ("centres", [centres.rows, centres.columns], centres.values), ("weights", [weights.count], weights),
        ("bias_slope_gamma", [3], [bias, slope, gamma]),
      ])
  }

  /// Reads what `save` wrote, for so many features. Throws where a tensor is missing or has another shape.
  static func load(path: String, features: Int) throws -> KernelHead {
    let file = try SafetensorsFile(path: path)
    let units = file.tensor(named: "weights")?.shape.first ?? 0
    let numbers = try file.floats(named: "bias_slope_gamma", shape: [3])
    let deviations = Array(try file.floats(named: "deviations", shape: [features]))
    guard units > 0, deviations.allSatisfy({ $0 > 0 }), numbers[2] > 0 else {
      throw EncoderError.malformed(path, "it has no units, or a deviation or gamma that is not above zero")
    }
    return KernelHead(
      means: Array(try file.floats(named: "means", shape: [features])), deviations: deviations,
      centres: Matrix(
        rows: units, columns: features,
        values: Array(try file.floats(named: "centres", shape: [units, features]))
      ).view,
      weights: Array(try file.floats(named: "weights", shape: [units])), bias: numbers[0], slope: numbers[1],
      gamma: numbers[2])
  }
}
