import LanguageModels
import TensorKernels

/// Each sample's projected gradient, `(D P_o^T)^T (X P_i^T)` a layer: the two projections once a batch, then one
/// small product a sample.
package final class ProjectedGradients: GradientObserver {
  private let projection: LoGraProjection
  private let watched: WatchedLayers
  private let precision: Precision
  private let arena = Arena(capacity: 0)
  /// samples x projection.width
  package let gradients: Matrix

  package init(
    projection: LoGraProjection, watched: WatchedLayers, samples: Int, precision: Precision = .f32
  ) {
    self.precision = precision
    self.projection = projection
    self.watched = watched
    gradients = Matrix(rows: samples, columns: projection.width)
  }

  package func observe(layer: Int, input x: MatrixView, outputGradient d: MatrixView, batch: TokenBatch) {
    guard let place = watched.place(ofLayer: layer) else { return }
    let sides = projection.layers[place]
    arena.reset(capacity: x.rows * (sides.input.rows + sides.output.rows) + 32)
    let inputs = arena.matrix(x.rows, sides.input.rows)
    let outputs = arena.matrix(x.rows, sides.output.rows)
    gemm(x, .no, sides.input, .yes, into: inputs, precision: precision)
    gemm(d, .no, sides.output, .yes, into: outputs, precision: precision)
    for sample in 0..<batch.count {
      let rows = batch.rows(of: sample)
      let gradient = Matrix(
        storage: gradients.storage, offset: sample * gradients.stride + sides.range.lowerBound,
        rows: sides.output.rows, columns: sides.input.rows)
      gemm(outputs.view.rows(rows), .yes, inputs.view.rows(rows), into: gradient)
    }
  }
}
