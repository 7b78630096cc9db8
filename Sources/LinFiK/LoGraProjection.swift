import Formats
import LanguageModels
import TensorKernels

/// How gradients are projected before inner products are taken.
package enum Projection: Sendable, Equatable {
  case none
  /// Random orthonormal rows: unbiased for every pair of gradients.
  case random(rank: Int)
  /// Principal components of the layer's inputs and output gradients: labels come out too small, ranks truer. With
  /// `explained` a side has the fewest that hold this share of its second moment, at most `rank`.
  case pca(rank: Int, explained: Double? = nil)

  /// As it stands in files.
  package var name: String {
    switch self {
    case .none: "none"
    case .random: "random"
    case .pca: "pca"
    }
  }

  /// A side of the projection, nil without one.
  package var rank: Int? {
    switch self {
    case .none: nil
    case .random(let rank), .pca(let rank, _): rank
    }
  }

  /// The share of a side's second moment that decides its rank, nil where the rank is given.
  package var explained: Double? {
    if case .pca(_, let explained) = self { return explained }
    return nil
  }
}

/// LoGra's projection of a linear layer's gradient (Choe et al. 2024, arXiv 2405.13954):
/// `P vec(dW) = sum_t (P_i x_t) kron (P_o d_t)`, the gradient of a zero-initialised k_o x k_i bottleneck.
///
/// P_i is k_i x n_i, P_o k_o x n_o. A side no wider than the rank is not projected.
package struct LoGraProjection: Sendable {
  /// One watched layer's sides, and where its k_o x k_i numbers (row-major) stand in a projected gradient.
  package struct Layer: Sendable {
    package let input: MatrixView
    package let output: MatrixView
    package let range: Range<Int>
  }

  package let layers: [Layer]

  /// Numbers in a projected gradient, all layers together.
  package var width: Int { layers.last?.range.upperBound ?? 0 }

  /// SHA-256 over every P_i and P_o: gradients can be compared only where it is the same.
  package var sha256: String {
    var hash = HashStream()
    for layer in layers {
      hash.update(numbers: layer.input.values)
      hash.update(numbers: layer.output.values)
    }
    return hash.hexDigest()
  }

  /// From each layer's P_i and P_o.
  init(sides: [(input: MatrixView, output: MatrixView)]) {
    var start = 0
    layers = sides.map { input, output in
      let size = input.rows * output.rows
      defer { start += size }
      return Layer(input: input, output: output, range: start..<start + size)
    }
  }

  /// Random orthonormal rows scaled by sqrt(n / k), so that inner products of projected gradients are unbiased:
  /// `E <P a, P b> = <a, b>`.
  package init(watched: WatchedLayers, rank: Int, seed: UInt64) {
    precondition(rank > 0, "LoGraProjection: rank \(rank)")
    self.init(
      sides: watched.layers.map { layer in
        (
          orthonormalRows(rank, layer.inputWidth, seed: seed, stream: "\(layer.name) input"),
          orthonormalRows(rank, layer.outputWidth, seed: seed, stream: "\(layer.name) output")
        )
      })
  }
}

/// min(rank, width) orthonormal rows of a width-dimensional space, uniformly random, times sqrt(width / rows).
///
/// Gaussian rows made orthonormal by Gram-Schmidt, twice for accuracy, in f64.
private func orthonormalRows(_ rank: Int, _ width: Int, seed: UInt64, stream: String) -> MatrixView {
  let rows = min(rank, width)
  let result = Matrix(rows: rows, columns: width)
  if rows == width { return identity(width) }
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

/// The side of a layer that is not projected.
func identity(_ width: Int) -> MatrixView {
  let result = Matrix(rows: width, columns: width)
  for i in 0..<width { result[i, i] = 1 }
  return result.view
}
