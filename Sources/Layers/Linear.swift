import TensorKernels

/// A linear layer `y = x W^T + b`; W: outputs x inputs, b: 1 x outputs or none, x: T x inputs, y: T x outputs.
package struct Linear: Sendable {
  package let weight: WeightMatrix
  package let bias: MatrixView?
  /// What the factors of its products are rounded to.
  package let precision: Precision
  /// The weight as `forward` then reads it.
  private var packed: PackedWeight?

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

  /// The same layer, whose forward reads a weight that was packed once.
  package func packed(_ weight: PackedWeight) -> Linear {
    precondition(
      weight.outputs == self.weight.rows && weight.inputs == self.weight.columns,
      "Linear: \(weight.outputs) x \(weight.inputs) packed for \(self.weight.rows) x \(self.weight.columns)")
    var copy = self
    copy.packed = weight
    return copy
  }

  /// `y = x W^T + b`, or with `adding` `y += x W^T + b`.
  ///
  /// - Parameters:
  ///   - isGELU: then `y = gelu(x W^T + b)`.
  ///   - residual: added last, in the product's own pass; other memory than y.
  package func forward(
    _ x: MatrixView, into y: Matrix, adding: Bool = false, isGELU: Bool = false, residual: MatrixView? = nil
  ) {
    let finish = ProductFinish(bias: bias, isGELU: isGELU, residual: residual)
    if let packed {
      packed.product(x, into: y, beta: adding ? 1 : 0, finish: finish)
    } else {
      gemm(x, .no, weight, .yes, into: y, beta: adding ? 1 : 0, precision: precision, finish: finish)
    }
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
