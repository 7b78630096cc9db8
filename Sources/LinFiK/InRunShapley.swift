import LanguageModels
import Records
import TensorKernels

/// First-order in-run Data Shapley (Wang et al. 2024, arXiv 2406.11011): what each sample's part of its own training step
/// does to the target loss, while the model learns all samples once by plain gradient descent.
///
/// For the step t that has z among its B rows: `phi(z) = eta / B <G_t, g_t(z)>`, both gradients at the weights before it. In
/// nats of the target loss, positive where z helps. The watched weights are trained, the others stay.
package struct InRunShapley: Sendable {
  /// B.
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

  /// One value a sample. Throws `LabelError.notFinite` where the rate is too high to learn with.
  package func values(
    of samples: [TokenizedSample], targets: [TokenizedSample], workers: Int, batchTokens: Int,
    progress: (_ done: Int) throws -> Void = { _ in }
  ) throws -> [Double] {
    var values = [Double](repeating: 0, count: samples.count)
    let weights = watched.layers.map { Matrix(rows: $0.outputWidth, columns: $0.inputWidth) }
    for layer in model.linearLayers.indices {
      if let place = watched.place(ofLayer: layer) { weights[place].copy(model.linearWeight(layer).f32) }
    }
    var generator = SeededGenerator(seed: seed, stream: "in-run Shapley")
    let order = Array(samples.indices).shuffled(using: &generator)
    for start in stride(from: 0, to: order.count, by: Self.batchRows) {
      let places = order[start..<min(order.count, start + Self.batchRows)]
      let rows = places.map { samples[$0] }
      let current = model.replacingLinearWeights(replaced(by: weights))
      func meanGradient(_ rows: [TokenizedSample]) throws -> MeanGradient {
        try MeanGradient(
          of: rows, model: current, watched: watched, workers: workers, batchTokens: batchTokens)
      }
      let measure = ExactInfluence(
        model: current, watched: watched, target: try meanGradient(targets), kind: .dot, gradientNorm: false)
      let labels = try BatchPlan(rows, batchTokens: batchTokens).map(workers: workers) {
        _, batch, workspace in
        measure.measure(batch, workspace: workspace).map(\.label)
      }
      for (place, label) in zip(places, labels) {
        values[place] = learningRate / Double(rows.count) * label
      }
      for (weight, gradient) in zip(weights, try meanGradient(rows).layers) {
        add(gradient, times: -Float(learningRate), to: weight)
      }
      try progress(start + rows.count)
    }
    return values
  }

  private func replaced(by weights: [Matrix]) -> [WeightMatrix] {
    model.linearLayers.indices.map { layer in
      watched.place(ofLayer: layer).map { .f32(weights[$0].view) } ?? model.linearWeight(layer)
    }
  }
}
