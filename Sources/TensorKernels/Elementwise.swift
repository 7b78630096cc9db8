import CKernels

/// The instruction set the element-wise loops run with: `avx512`, `avx2` or `baseline`.
package var vectorInstructionSet: String { String(cString: ck_instruction_set()) }

private func requireSameShape(_ operation: String, _ a: MatrixView, _ b: MatrixView) {
  precondition(
    a.rows == b.rows && a.columns == b.columns,
    "\(operation): \(a.rows) x \(a.columns) and \(b.rows) x \(b.columns)")
}

private func requireContiguous(_ operation: String, _ matrices: MatrixView...) {
  for matrix in matrices {
    precondition(
      matrix.isContiguous, "\(operation): rows \(matrix.stride) apart for \(matrix.columns) columns")
  }
}

/// `y += x`
package func add(_ x: MatrixView, to y: Matrix) {
  requireSameShape("add", x, y.view)
  for row in 0..<y.rows { ck_add(y.pointer + row * y.stride, x.pointer + row * x.stride, y.columns) }
}

/// `y += a x`
package func add(_ x: MatrixView, times a: Float, to y: Matrix) {
  requireSameShape("add", x, y.view)
  for row in 0..<y.rows { ck_axpy(y.pointer + row * y.stride, a, x.pointer + row * x.stride, y.columns) }
}

/// `y += b` on every row; b: 1 x columns.
package func addBias(_ b: MatrixView, to y: Matrix) {
  precondition(
    b.rows == 1 && b.columns == y.columns, "addBias: \(b.rows) x \(b.columns) to \(y.rows) x \(y.columns)")
  for row in 0..<y.rows { ck_add(y.pointer + row * y.stride, b.pointer, y.columns) }
}

/// `b += sum of the rows of x`; b: 1 x columns.
package func addColumnSums(of x: MatrixView, to b: Matrix) {
  precondition(
    b.rows == 1 && b.columns == x.columns,
    "addColumnSums: \(x.rows) x \(x.columns) to \(b.rows) x \(b.columns)")
  for row in 0..<x.rows { ck_add(b.pointer, x.pointer + row * x.stride, x.columns) }
}

/// `x *= a`
package func scale(_ x: Matrix, by a: Float) {
  for row in 0..<x.rows { ck_scale(x.pointer + row * x.stride, a, x.pointer + row * x.stride, x.columns) }
}

/// `sum_ij x_ij y_ij`, summed in f64 a row.
package func dot(_ x: MatrixView, _ y: MatrixView) -> Double {
  requireSameShape("dot", x, y)
  var sum = 0.0
  for row in 0..<x.rows { sum += ck_dot(x.pointer + row * x.stride, y.pointer + row * y.stride, x.columns) }
  return sum
}

/// Whether no value is infinite or not a number.
package func allFinite(_ x: MatrixView) -> Bool {
  (0..<x.rows).allSatisfy { ck_all_finite(x.pointer + $0 * x.stride, x.columns) == 1 }
}

/// SwiGLU's product: `h = silu(gate) * up`, silu(x) = x / (1 + e^-x).
package func siluMultiply(gate: MatrixView, up: MatrixView, into h: Matrix) {
  requireSameShape("siluMultiply", gate, up)
  requireSameShape("siluMultiply", gate, h.view)
  requireContiguous("siluMultiply", gate, up, h.view)
  ck_silu_mul(h.pointer, gate.pointer, up.pointer, h.rows * h.columns)
}

/// Backward of `siluMultiply`, written over its inputs: gate becomes dgate, up becomes dup.
package func siluMultiplyBackward(gate: Matrix, up: Matrix, outputGradient dh: MatrixView) {
  requireSameShape("siluMultiplyBackward", gate.view, dh)
  requireContiguous("siluMultiplyBackward", gate.view, up.view, dh)
  ck_silu_mul_backward(
    gate.pointer, up.pointer, dh.pointer, gate.pointer, up.pointer, gate.rows * gate.columns)
}

/// `y = x Phi(x)`, Phi the normal distribution function (GELU, Hendrycks & Gimpel 2016).
package func gelu(_ x: MatrixView, into y: Matrix) {
  requireSameShape("gelu", x, y.view)
  requireContiguous("gelu", x, y.view)
  ck_gelu(y.pointer, x.pointer, x.rows * x.columns)
}

/// Backward of `gelu`: `dx = dy (Phi(x) + x phi(x))`; dx may be dy.
package func geluBackward(_ x: MatrixView, outputGradient dy: MatrixView, into dx: Matrix) {
  requireSameShape("geluBackward", x, dy)
  requireContiguous("geluBackward", x, dy, dx.view)
  ck_gelu_backward(dx.pointer, dy.pointer, x.pointer, x.rows * x.columns)
}

/// `y = x s(x)` with `s = (1 + tanh u) / 2` and `u = sqrt(2 / pi) (x + 0.044715 x^3)`: GELU as GPT-2 computes it.
package func geluTanh(_ x: MatrixView, into y: Matrix) {
  requireSameShape("geluTanh", x, y.view)
  requireContiguous("geluTanh", x, y.view)
  ck_gelu_tanh(y.pointer, x.pointer, x.rows * x.columns)
}

/// Backward of `geluTanh`: `dx = dy (s + 2 x s (1 - s) u')`, `u' = sqrt(2 / pi) (1 + 0.134145 x^2)`; dx may be dy.
package func geluTanhBackward(_ x: MatrixView, outputGradient dy: MatrixView, into dx: Matrix) {
  requireSameShape("geluTanhBackward", x, dy)
  requireSameShape("geluTanhBackward", x, dx.view)
  requireContiguous("geluTanhBackward", x, dy, dx.view)
  ck_gelu_tanh_backward(dx.pointer, dy.pointer, x.pointer, x.rows * x.columns)
}
