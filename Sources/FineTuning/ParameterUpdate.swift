import Layers
import TensorKernels

/// AdamW with a clipped gradient, spread over workers; the same bits whatever their number.
final class ParameterUpdate: @unchecked Sendable {
  private let parameters: [Parameter]
  private let configuration: FineTuningConfiguration
  private let adam: AdamW
  /// m and v of every parameter.
  let firstMoments, secondMoments: [Matrix]
  private let chunks: [(parameter: Int, rows: Range<Int>)]

  private static let chunkNumbers = 1 << 19

  init(_ parameters: [Parameter], _ configuration: FineTuningConfiguration) {
    self.parameters = parameters
    self.configuration = configuration
    var adam = AdamW()
    (adam.firstMomentDecay, adam.secondMomentDecay) = (
      configuration.firstMomentDecay, configuration.secondMomentDecay
    )
    adam.epsilon = configuration.epsilon
    self.adam = adam
    func zeros() -> [Matrix] {
      parameters.map { parameter in
        let moment = Matrix(rows: parameter.matrix.rows, columns: parameter.matrix.columns)
        moment.fill(0)
        return moment
      }
    }
    (firstMoments, secondMoments) = (zeros(), zeros())
    chunks = parameters.enumerated().flatMap { index, parameter in
      let rows = max(1, Self.chunkNumbers / parameter.matrix.columns)
      return stride(from: 0, to: parameter.matrix.rows, by: rows).map {
        (index, $0..<min(parameter.matrix.rows, $0 + rows))
      }
    }
  }

  /// Takes step number `step`, counted from 1, down the mean over `rows` rows of a gradient that is their sum. Returns the
  /// gradient's norm before it was clipped; nil, and nothing is changed, where that is not finite.
  func step(_ sums: GradientSums, rows: Int, step: Int, learningRate: Double, workers: Int) throws -> Double?
  {
    let squares = try parallelMap(count: chunks.count, workers: workers) { [self] _, index in
      let part = sums.matrices[chunks[index].parameter].rows(chunks[index].rows).view
      return dot(part, part)
    }
    let norm = squares.reduce(0, +).squareRoot() / Double(rows)
    guard norm.isFinite else { return nil }
    // As PyTorch's clip_grad_norm_ has it.
    let factor = min(1, configuration.clipNorm / (norm + 1e-6)) / Double(rows)
    try parallelForEach(count: chunks.count, workers: workers) { [self] _, index in
      let (place, rows) = chunks[index]
      let gradient = sums.matrices[place].rows(rows)
      scale(gradient, by: Float(factor))
      adam.update(
        parameters[place].matrix.rows(rows), gradient: gradient.view,
        firstMoment: firstMoments[place].rows(rows), secondMoment: secondMoments[place].rows(rows),
        step: step, learningRate: Float(learningRate),
        weightDecay: Float(parameters[place].isVector ? 0 : configuration.weightDecay))
    }
    return norm
  }
}
