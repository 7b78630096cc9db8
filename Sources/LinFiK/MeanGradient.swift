import LanguageModels
import Records
import Synchronization
import TensorKernels

/// The mean gradient of the target examples, `G_l = mean_q sum_t d_t x_t^T`, one matrix a watched layer
/// (outputWidth x inputWidth).
package struct MeanGradient: Sendable {
  package let layers: [MatrixView]
  /// `|G_l|^2`
  package let squaredNorms: [Double]

  /// One forward and backward pass over the targets. There is one G whatever the number of workers, and it has the
  /// same bits: each layer takes the batches' parts in input order.
  package init(
    of targets: [TokenizedSample], model: any CausalLanguageModel, watched: WatchedLayers, workers: Int,
    batchTokens: Int, progress: @escaping @Sendable (_ done: Int) throws -> Void = { _ in }
  ) throws {
    let sums = watched.layers.map { Matrix(rows: $0.outputWidth, columns: $0.inputWidth) }
    let target = OrderedSum(sums: sums)
    let batches = BatchPlan(targets, batchTokens: batchTokens)
    let losses = try batches.map(workers: workers, progress: progress) { index, batch, workspace in
      let observer = GradientSum(
        target: target, batchIndex: index, watched: watched, weight: 1 / Float(targets.count),
        precision: model.precision)
      return model.losses(of: batch, workspace: workspace, observer: observer)
    }
    layers = sums.map(\.view)
    squaredNorms = layers.map { dot($0, $0) }
    guard squaredNorms.allSatisfy(\.isFinite), losses.allSatisfy(\.isFinite) else {
      throw LabelError.notFinite("the target's gradient")
    }
  }

  /// Each target's own gradient: as many whole gradients. `transform` is what curvature makes of one.
  package static func ofEach(
    _ targets: [TokenizedSample], model: any CausalLanguageModel, watched: WatchedLayers, workers: Int,
    batchTokens: Int, progress: @escaping @Sendable (_ done: Int) throws -> Void = { _ in },
    transform: @escaping @Sendable (MeanGradient) throws -> MeanGradient = { $0 }
  ) throws -> [MeanGradient] {
    let done = Atomic<Int>(0)
    return try parallelMap(count: targets.count, workers: workers) { _, index in
      let gradient = try transform(
        MeanGradient(
          of: [targets[index]], model: model, watched: watched, workers: 1, batchTokens: batchTokens))
      try progress(done.add(1, ordering: .relaxed).newValue)
      return gradient
    }
  }

  /// What curvature makes of a gradient: `transform` of every layer's.
  package init(_ gradient: MeanGradient, transform: (_ layer: MatrixView, _ place: Int) -> MatrixView) throws
  {
    layers = gradient.layers.enumerated().map { transform($1, $0) }
    squaredNorms = layers.map { dot($0, $0) }
    guard squaredNorms.allSatisfy(\.isFinite) else {
      throw LabelError.notFinite("the target's gradient, turned by the curvature,")
    }
  }
}

/// Adds each batch's weight gradient to the sums, `G_l += weight D^T X`.
private struct GradientSum: GradientObserver {
  let target: OrderedSum<Matrix>
  let batchIndex: Int
  let watched: WatchedLayers
  let weight: Float
  let precision: Precision

  func observe(layer: Int, input: MatrixView, outputGradient: MatrixView, batch: TokenBatch) {
    guard let place = watched.place(ofLayer: layer) else { return }
    target.add(place: place, turn: batchIndex) { sum in
      gemm(outputGradient, .yes, input, into: sum, alpha: weight, beta: 1, precision: precision)
    }
  }
}
