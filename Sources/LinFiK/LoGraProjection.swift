import LanguageModels
import TensorKernels

/// LoGra's random projection of a linear layer's gradient (Choe et al. 2024, arXiv 2405.13954):
/// `P vec(dW) = sum_t (P_i x_t) kron (P_o d_t)`, the gradient of a zero-initialised k_o x k_i bottleneck.
///
/// P_i (k_i x n_i) and P_o (k_o x n_o) have random orthonormal rows scaled by sqrt(n / k), so that inner products of
/// projected gradients are unbiased: `E <P a, P b> = <a, b>`. A side no wider than the rank is not projected.
package struct LoGraProjection: Sendable {
  /// One watched layer's sides, and where its k_o x k_i numbers (row-major) stand in a projected gradient.
  package struct Layer: Sendable {
    package let input: MatrixView
    package let output: MatrixView
    package let range: Range<Int>
  }

  package let layers: [Layer]
  package let rank: Int

  /// Numbers in a projected gradient, all layers together.
  package var width: Int { layers.last?.range.upperBound ?? 0 }

  package init(watched: WatchedLayers, rank: Int, seed: UInt64) {
    precondition(rank > 0, "LoGraProjection: rank \(rank)")
    self.rank = rank
    var start = 0
    layers = watched.layers.map { layer in
      let input = orthonormalRows(rank, layer.inputWidth, seed: seed, stream: "\(layer.name) input")
      let output = orthonormalRows(rank, layer.outputWidth, seed: seed, stream: "\(layer.name) output")
      let size = input.rows * output.rows
      defer { start += size }
      return Layer(input: input, output: output, range: start..<start + size)
    }
  }
}

/// min(rank, width) orthonormal rows of a width-dimensional space, uniformly random, times sqrt(width / rows).
///
/// Gaussian rows made orthonormal by Gram-Schmidt, twice for accuracy, in f64.
private func orthonormalRows(_ rank: Int, _ width: Int, seed: UInt64, stream: String) -> MatrixView {
  let rows = min(rank, width)
  let result = Matrix(rows: rows, columns: width)
  if rows == width {
    for i in 0..<width { result[i, i] = 1 }
    return result.view
  }
  var generator = SeededGenerator(seed: seed, stream: stream)
  var basis: [[Double]] = []
  while basis.count < rows {
    var row = (0..<width).map { _ in generator.normal() }
    for _ in 0..<2 {
      for other in basis {
        var overlap = 0.0
        for i in 0..<width { overlap += row[i] * other[i] }
        for i in 0..<width { row[i] -= overlap * other[i] }
      }
    }
    let norm = row.reduce(0) { $0 + $1 * $1 }.squareRoot()
    basis.append(row.map { $0 / norm })
  }
  let scale = (Double(width) / Double(rows)).squareRoot()
  for (r, row) in basis.enumerated() {
    for (i, value) in row.enumerated() { result[r, i] = Float(value * scale) }
  }
  return result.view
}

/// Each sample's projected gradient, `(D P_o^T)^T (X P_i^T)` a layer: the two projections once a batch, then one
/// small product a sample.
package final class ProjectedGradients: GradientObserver {
  private let projection: LoGraProjection
  private let watched: WatchedLayers
  private let arena = Arena(capacity: 0)
  /// samples x projection.width
  package let gradients: Matrix

  package init(projection: LoGraProjection, watched: WatchedLayers, samples: Int) {
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
    gemm(x, .no, sides.input, .yes, into: inputs)
    gemm(d, .no, sides.output, .yes, into: outputs)
    for sample in 0..<batch.count {
      let rows = batch.rows(of: sample)
      let place = Matrix(
        storage: gradients.storage, offset: sample * gradients.stride + sides.range.lowerBound,
        rows: sides.output.rows, columns: sides.input.rows)
      gemm(outputs.view.rows(rows), .yes, inputs.view.rows(rows), into: place)
    }
  }
}
