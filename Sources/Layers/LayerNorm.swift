import CKernels
import TensorKernels

/// Layer normalisation (Ba et al. 2016): `y = (x - mean) / sqrt(variance + epsilon) * w + b`, a row at a time.
///
/// w and b: 1 x width, x and y: T x width.
package struct LayerNorm: Sendable {
  package let weight: MatrixView
  package let bias: MatrixView
  package let epsilon: Float

  package init(weight: MatrixView, bias: MatrixView, epsilon: Float) {
    precondition(
      weight.rows == 1 && bias.rows == 1 && weight.columns == bias.columns,
      "LayerNorm: weight \(weight.rows) x \(weight.columns), bias \(bias.rows) x \(bias.columns)")
    self.weight = weight
    self.bias = bias
    self.epsilon = epsilon
  }

  /// Writes y, and into `statistics` (2 x T) each row's mean and inverse standard deviation, for `backward`.
  package func forward(_ x: MatrixView, into y: Matrix, statistics: Matrix) {
    requireShapes(x, y.view, statistics.view)
    ck_layer_norm(
      y.pointer, statistics.pointer, statistics.pointer + statistics.stride, x.pointer, weight.pointer,
      bias.pointer, epsilon, x.rows, x.columns)
  }

  /// With `n = (x - mean) / sd` and `g = w dy`: `dx = (g - mean(g) - n mean(g n)) / sd` (written; may be dy),
  /// `dw += sum_t dy_t n_t`, `db += sum_t dy_t` where they are given.
  package func backward(
    _ x: MatrixView, statistics: MatrixView, outputGradient dy: MatrixView, into dx: Matrix,
    weightGradient dw: Matrix? = nil, biasGradient db: Matrix? = nil
  ) {
    requireShapes(x, dx.view, statistics)
    precondition(dy.rows == x.rows && dy.columns == x.columns && dy.isContiguous, "LayerNorm: dy shape")
    for gradient in [dw, db].compactMap({ $0 }) {
      precondition(
        gradient.rows == 1 && gradient.columns == x.columns,
        "LayerNorm: dw or db \(gradient.rows) x \(gradient.columns) for width \(x.columns)")
    }
    ck_layer_norm_backward(
      dx.pointer, dw?.pointer, db?.pointer, dy.pointer, x.pointer, statistics.pointer,
      statistics.pointer + statistics.stride, weight.pointer, x.rows, x.columns)
  }

  private func requireShapes(_ x: MatrixView, _ y: MatrixView, _ statistics: MatrixView) {
    precondition(
      x.columns == weight.columns && y.rows == x.rows && y.columns == x.columns && x.isContiguous
        && y.isContiguous,
      "LayerNorm: \(x.rows) x \(x.columns) and \(y.rows) x \(y.columns) for width \(weight.columns)")
    precondition(
      statistics.rows == 2 && statistics.columns == x.rows,
      "LayerNorm: statistics \(statistics.rows) x \(statistics.columns) for \(x.rows) rows")
  }
}
