import Formats
import Foundation
import LanguageModels
import Records
import TensorKernels

/// Adam's bias-corrected second moment v of every watched weight (Kingma & Ba 2015, arXiv 1412.6980), by which a step on a
/// sample would be scaled: `g(z) / (sqrt(v) + eps)` (as in LESS, Xia et al. 2024, arXiv 2402.04333, without the first moment).
package struct SecondMoment: Sendable {
  package let names: [String]
  /// v, outputWidth x inputWidth, >= 0.
  package let layers: [MatrixView]

  package init(names: [String], layers: [MatrixView]) {
    self.names = names
    self.layers = layers
  }

  /// Throws where eps could leave a division by zero, or beta2 is no share.
  static func check(epsilon: Double, beta2: Double) throws {
    guard epsilon > 0, epsilon.isFinite else {
      throw LabelError.options("--epsilon \(epsilon): a number above 0 is wanted")
    }
    guard beta2 >= 0, beta2 < 1 else {
      throw LabelError.options("--beta2 \(beta2): a number from 0 to below 1 is wanted")
    }
  }

  /// `G / (sqrt(v) + eps)`, element by element.
  package func preconditioned(_ gradient: MatrixView, place: Int, epsilon: Double) -> MatrixView {
    let v = layers[place]
    let result = Matrix(rows: gradient.rows, columns: gradient.columns)
    for row in 0..<gradient.rows {
      for column in 0..<gradient.columns {
        let scale = Double(v[row, column]).squareRoot() + epsilon
        result[row, column] = Float(Double(gradient[row, column]) / scale)
      }
    }
    return result.view
  }
}

// MARK: - Where it comes from

extension SecondMoment {
  /// Of the samples: what Adam's state would hold after one step a sample, in their order, the weights not moving:
  /// `v = sum_k w_k g_k^2`, `w_k = (1 - beta2) beta2^(n - k) / (1 - beta2^n)`, k = 1...n. One forward and backward pass;
  /// the same bits whatever the number of workers.
  package init(
    of rows: [TokenizedSample], beta2: Double, model: any CausalLanguageModel, watched: WatchedLayers,
    workers: Int, batchTokens: Int, progress: @escaping @Sendable (_ done: Int) throws -> Void = { _ in }
  ) throws {
    let sums = try SummationBlocks(rows: rows, batchTokens: batchTokens).total(
      of: SquareSummand(watched: watched, weights: Self.weights(rows: rows.count, beta2: beta2)),
      model: model, workers: workers, progress: progress)
    try self.init(sums, names: watched.layers.map(\.name))
  }

  /// From whole sums.
  init(_ sums: [DoubleSum], names: [String]) throws {
    self.init(names: names, layers: sums.map(\.rounded))
    guard layers.allSatisfy(allFinite) else {
      throw LabelError.notFinite("the second moment of the samples' gradients")
    }
  }

  /// w_1...w_n, which sum to one.
  static func weights(rows: Int, beta2: Double) -> [Double] {
    let correction = 1 - pow(beta2, Double(rows))
    return (0..<rows).map { (1 - beta2) * pow(beta2, Double(rows - 1 - $0)) / correction }
  }

  /// Of an optimizer's state: a safetensors file with a tensor `NAME.exp_avg_sq` for every watched weight, outputs x inputs,
  /// after `step` steps; `v = exp_avg_sq / (1 - beta2^step)`.
  ///
  /// Throws where a tensor is missing or has another shape, or a number is negative or not finite.
  package init(optimizerState path: String, step: Int, beta2: Double, watched: WatchedLayers) throws {
    let file = try SafetensorsFile(path: path)
    let correction = Float(1 - pow(beta2, Double(step)))
    let layers = try watched.layers.map { layer in
      let name = "\(layer.name).exp_avg_sq"
      let values = try file.floats(named: name, shape: [layer.outputWidth, layer.inputWidth])
      guard values.allSatisfy({ $0 >= 0 && $0.isFinite }) else {
        throw FormatError.malformed(
          place: path, reason: "the tensor '\(name)' holds a number that is negative or not finite")
      }
      return Matrix(
        rows: layer.outputWidth, columns: layer.inputWidth, values: values.map { $0 / correction }
      ).view
    }
    self.init(names: watched.layers.map(\.name), layers: layers)
  }
}
