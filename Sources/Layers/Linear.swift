import TensorKernels

/// A linear layer `y = x W^T + b`; W: outputs x inputs, b: 1 x outputs or none, x: T x inputs, y: T x outputs.
package struct Linear: Sendable {
  package let weight: WeightMatrix
  package let bias: MatrixView?
  /// What the factors of its products are rounded to.
  package let precision: Precision
  /// The weight in int8, by which `forward` then multiplies.
  private var quantized: QuantizedMatrix?

  package init(weight: MatrixView, bias: MatrixView? = nil) { self.init(weight: .f32(weight), bias: bias) }

  package init(weight: WeightMatrix, bias: MatrixView? = nil, precision: Precision = .f32) {
    if let bias {
      precondition(
        bias.rows == 1 && bias.columns == weight.rows,
        "Linear: bias \(bias.rows) x \(bias.columns) for weight \(weight.rows) x \(weight.columns)")
    }
    self.weight = weight
    self.bias = bias
    self.precision = precision
  }

  /// The same layer with another weight.
  package func replacing(weight: WeightMatrix) -> Linear {
    Linear(weight: weight, bias: bias, precision: precision)
  }

  /// The same layer multiplying in int8.
  package func quantized(_ weight: QuantizedMatrix) -> Linear {
    var copy = self
    copy.quantized = weight
    return copy
  }

  /// `y = x W^T + b`, or with `adding` `y += x W^T + b`, which is how a residual joins without a pass of its own.
  package func forward(_ x: MatrixView, into y: Matrix, adding: Bool = false) {
    if let quantized {
      quantized.product(x, into: y, beta: adding ? 1 : 0)
    } else {
      gemm(x, .no, weight, .yes, into: y, beta: adding ? 1 : 0, precision: precision)
    }
    if let bias { addBias(bias, to: y) }
  }

  /// The input's gradient: `dx = dy W`, or with `adding` `dx += dy W`.
  package func inputGradient(_ dy: MatrixView, into dx: Matrix, adding: Bool = false) {
    gemm(dy, .no, weight, .no, into: dx, beta: adding ? 1 : 0, precision: precision)
  }
}

/// Where the gradient of a `Linear` is summed.
package struct LinearGradient {
  package let weight: Matrix
  package let bias: Matrix?

  package init(weight: Matrix, bias: Matrix? = nil) {
    self.weight = weight
    self.bias = bias
  }

  /// `dW += dy^T x`, `db += sum of the rows of dy`.
  package func add(input x: MatrixView, outputGradient dy: MatrixView) {
    gemm(dy, .yes, x, .no, into: weight, beta: 1)
    if let bias { addColumnSums(of: dy, to: bias) }
  }
}
