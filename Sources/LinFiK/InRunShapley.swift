import LanguageModels
import Records
import TensorKernels

/// First-order in-run Data Shapley (Wang et al. 2024, arXiv 2406.11011): what each sample's part of its own training step
/// does to the target loss, while the model learns all samples once by plain gradient descent.
///
/// For the step t that has z among its rows: `phi(z) = eta / B <G_t, g_t(z)>`, both gradients at the weights before it, B = 16. In
/// nats of the target loss, positive where z helps. The watched weights are trained, the others stay. Where the samples are no
/// multiple of B the steps have fewer rows, as equal as can be, and move by `eta / B` times the sum of their gradients: a row
/// counts the same wherever it falls.
package struct InRunShapley: Sendable {
  /// B: the most rows of a step.
  package static let batchRows = 16

  let model: any CausalLanguageModel
  let watched: WatchedLayers
  let learningRate: Double
  /// Decides which samples share a step, and the order of the steps.
  let seed: UInt64

  package init(model: any CausalLanguageModel, watched: WatchedLayers, learningRate: Double, seed: UInt64) {
    self.model = model
    self.watched = watched
    self.learningRate = learningRate
    self.seed = seed
  }

  /// One value a sample. Throws `LabelError.options` where the rate is too high to learn with.
  package func values(
    of samples: [TokenizedSample], targets: [TokenizedSample], workers: Int, batchTokens: Int,
    progress: (_ done: Int) throws -> Void = { _ in }
  ) throws -> [Double] {
    var values = [Double](repeating: 0, count: samples.count)
    let weights = watched.layers.map { Matrix(rows: $0.outputWidth, columns: $0.inputWidth) }
    watched.copyWeights(of: model, into: weights)
    var generator = SeededGenerator(seed: seed, stream: "in-run Shapley")
    let order = Array(samples.indices).shuffled(using: &generator)
    let steps = (samples.count + Self.batchRows - 1) / Self.batchRows
    for step in 0..<steps {
      let range = SummationBlocks.range(step, of: steps, rows: samples.count)
      let places = order[range]
      let rows = places.map { samples[$0] }
      let current = watched.replacing(weights, in: model)
      func meanGradient(_ rows: [TokenizedSample]) throws -> MeanGradient {
        do {
          return try MeanGradient(
            of: rows, model: current, watched: watched, workers: workers, batchTokens: batchTokens)
        } catch LabelError.notFinite where step > 0 {
          throw tooFast(step)
        }
      }
      let measure = ExactInfluence(
        model: current, watched: watched, target: try meanGradient(targets), kind: .dot, gradientNorm: false)
      let labels = try BatchPlan(rows, batchTokens: batchTokens).map(workers: workers) {
        _, batch, workspace in
        measure.measure(batch, workspace: workspace).map(\.label)
      }
      for (place, label) in zip(places, labels) {
        values[place] = learningRate / Double(Self.batchRows) * label
      }
      try progress(range.upperBound)
      guard step + 1 < steps else { break }
      let factor = learningRate * Double(rows.count) / Double(Self.batchRows)
      for (weight, gradient) in zip(weights, try meanGradient(rows).layers) {
        add(gradient, times: -Float(factor), to: weight)
      }
      guard weights.allSatisfy({ allFinite($0.view) }) else { throw tooFast(step) }
    }
    guard values.allSatisfy(\.isFinite) else { throw tooFast(steps - 1) }
    return values
  }

  private func tooFast(_ step: Int) -> LabelError {
    .options(
      "--in-run-shapley \(learningRate): descent diverged at step \(step + 1); a smaller rate is wanted")
  }
}
