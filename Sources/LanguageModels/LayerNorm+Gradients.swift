import Layers
import TensorKernels

extension LayerNorm {
  /// `backward`, and the gradients of `<name>.weight` and `<name>.bias` to whom wants them.
  func backward(
    _ x: MatrixView, statistics: MatrixView, outputGradient dy: MatrixView, into dx: Matrix, name: String,
    to others: (any ParameterGradients)?
  ) {
    guard let others else {
      return backward(x, statistics: statistics, outputGradient: dy, into: dx)
    }
    let sums = Matrix(rows: 2, columns: x.columns)
    let (weight, bias) = (sums.rows(0..<1), sums.rows(1..<2))
    backward(
      x, statistics: statistics, outputGradient: dy, into: dx, weightGradient: weight, biasGradient: bias)
    others.add(name + ".weight") { add(weight.view, to: $0) }
    others.add(name + ".bias") { add(bias.view, to: $0) }
  }
}
