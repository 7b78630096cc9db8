import LanguageModels
import Records
import Synchronization
import TensorKernels

/// The truth behind LinFiK on a few rows: really stepping the model on each, and seeing what the targets lose.
///
/// For a sample z: `(L(Q; theta - eta g(z)) - L(Q; theta + eta g(z))) / (-2 eta)`, the watched weights only, sums in
/// f64, eta the same for every row and fixed beforehand. In units of the `dot` label, positive where z helps.
package struct OneStepOracle: Sendable {
  /// How the difference is taken.
  package enum Difference: Sendable {
    /// Two passes a row, error of order eta^2.
    case central
    /// One pass a row beside one shared by all, error of order eta.
    case forward
  }

  let model: any CausalLanguageModel
  let watched: WatchedLayers
  let learningRate: Double
  let difference: Difference

  package init(
    model: any CausalLanguageModel, watched: WatchedLayers, learningRate: Double,
    difference: Difference = .central
  ) {
    self.model = model
    self.watched = watched
    self.learningRate = learningRate
    self.difference = difference
  }

  /// The measured value of each sample for the mean loss of `targets`, one sample after the other, the targets spread
  /// over the workers.
  package func values(
    of samples: [TokenizedSample], targets: [TokenizedSample], workers: Int, batchTokens: Int,
    progress: (_ done: Int) throws -> Void = { _ in }
  ) throws -> [Double] {
    let plan = BatchPlan(targets, batchTokens: batchTokens)
    let before = difference == .forward ? try meanLoss(model, plan, workers) : 0
    let stepped = watched.layers.map { Matrix(rows: $0.outputWidth, columns: $0.inputWidth) }
    let gradient = watched.layers.map { Matrix(rows: $0.outputWidth, columns: $0.inputWidth) }
    var values: [Double] = []
    for sample in samples {
      gradient.forEach { $0.fill(0) }
      let batch = TokenBatch([(sample.tokens, sample.scored)])
      _ = model.losses(
        of: batch, workspace: Workspace(), observer: WholeGradient(watched: watched, gradient: gradient))
      let after = try loss(step: -learningRate, gradient, stepped, plan, workers)
      switch difference {
      case .central:
        let against = try loss(step: learningRate, gradient, stepped, plan, workers)
        values.append((against - after) / (2 * learningRate))
      case .forward:
        values.append((before - after) / learningRate)
      }
      try progress(values.count)
    }
    return values
  }

  private func loss(
    step: Double, _ gradient: [Matrix], _ stepped: [Matrix], _ plan: BatchPlan, _ workers: Int
  ) throws -> Double {
    watched.copyWeights(of: model, into: stepped)
    for (weight, gradient) in zip(stepped, gradient) {
      add(gradient.view, times: Float(step), to: weight)
    }
    return try meanLoss(watched.replacing(stepped, in: model), plan, workers)
  }

  private func meanLoss(_ model: any CausalLanguageModel, _ plan: BatchPlan, _ workers: Int) throws -> Double
  {
    let losses = try plan.map(workers: workers) { _, batch, workspace in
      model.losses(of: batch, workspace: workspace)
    }
    return losses.reduce(0, +) / Double(losses.count)
  }
}

/// One sequence's whole gradient, written: `dW_l = D^T X`.
package struct WholeGradient: GradientObserver {
  let watched: WatchedLayers
  let gradient: [Matrix]

  package init(watched: WatchedLayers, gradient: [Matrix]) {
    self.watched = watched
    self.gradient = gradient
  }

  package func observe(layer: Int, input: MatrixView, outputGradient: MatrixView, batch: TokenBatch) {
    guard let place = watched.place(ofLayer: layer) else { return }
    gemm(outputGradient, .yes, input, into: gradient[place])
  }
}
