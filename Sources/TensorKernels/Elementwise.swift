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

/// `b += x_r` over the rows r that are named.
package func addRows(_ rows: [Int], of x: MatrixView, to b: Matrix) {
  precondition(
    b.rows == 1 && b.columns == x.columns, "addRows: of \(x.rows) x \(x.columns) to \(b.rows) x \(b.columns)")
  for row in rows {
    precondition(row >= 0 && row < x.rows, "addRows: row \(row) of \(x.rows)")
    ck_add(b.pointer, x.pointer + row * x.stride, x.columns)
  }
}

/// `|x_r|^2` of each row.
package func squaredRowNorms(_ x: MatrixView) -> [Float] {
  (0..<x.rows).map { row in
    let values = x.pointer + row * x.stride
    return Float(ck_dot(values, values, x.columns))
  }
}

/// `x_ij = exp(scale max(0, r_i + c_j - 2 x_ij))`: of inner products of rows with these squared norms, a Gaussian of their
/// distances, for a negative scale.
package func gaussian(_ x: Matrix, rowSquares r: [Float], columnSquares c: [Float], scale: Float) {
  precondition(
    r.count == x.rows && c.count == x.columns, "gaussian: \(r.count), \(c.count) for \(x.rows) x \(x.columns)"
  )
  for row in 0..<x.rows { ck_gaussian(x.pointer + row * x.stride, r[row], c, scale, x.columns) }
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

/// The activation of a gated feed-forward: `h = activation(gate) * up`.
package enum GatedActivation: Sendable {
  /// SwiGLU: silu(x) = x / (1 + e^-x).
  case silu
  /// GeGLU: GELU by the hyperbolic tangent, as `geluTanh`.
  case geluTanh

  /// Writes h; all T x width, gate and up may be columns of one matrix.
  package func multiply(gate: MatrixView, up: MatrixView, into h: Matrix) {
    requireSameShape("GatedActivation", gate, up)
    requireSameShape("GatedActivation", gate, h.view)
    let kernel = self == .silu ? ck_silu_mul : ck_gelu_tanh_mul
    forEachRun(h.view, gate, up) { index, count in
      kernel(
        h.pointer + index * h.stride, gate.pointer + index * gate.stride, up.pointer + index * up.stride,
        count)
    }
  }

  /// Backward of `multiply`, written over its inputs: gate becomes dgate, up becomes dup.
  package func multiplyBackward(gate: Matrix, up: Matrix, outputGradient dh: MatrixView) {
    requireSameShape("GatedActivation backward", gate.view, up.view)
    requireSameShape("GatedActivation backward", gate.view, dh)
    let kernel = self == .silu ? ck_silu_mul_backward : ck_gelu_tanh_mul_backward
    forEachRun(gate.view, up.view, dh) { index, count in
      let (g, u) = (gate.pointer + index * gate.stride, up.pointer + index * up.stride)
      kernel(g, u, dh.pointer + index * dh.stride, g, u, count)
    }
  }

  /// Calls `body` with the first row and the number count of each stretch without gaps: all of it, or a row.
  private func forEachRun(_ matrices: MatrixView..., body: (_ row: Int, _ count: Int) -> Void) {
    let first = matrices[0]
    if matrices.allSatisfy(\.isContiguous) { return body(0, first.rows * first.columns) }
    for row in 0..<first.rows { body(row, first.columns) }
  }
}

/// `y *= x`, element by element.
package func multiply(_ y: Matrix, by x: MatrixView) {
  requireSameShape("multiply", y.view, x)
  for row in 0..<y.rows { ck_mul(y.pointer + row * y.stride, x.pointer + row * x.stride, y.columns) }
}

/// Soft-capping in place: `x = cap tanh(scale x / cap)`; `slope`, where given, becomes `1 - tanh^2`.
package func softCap(_ x: Matrix, scale: Float = 1, cap: Float, slope: Matrix? = nil) {
  if let slope { requireSameShape("softCap", x.view, slope.view) }
  for row in 0..<x.rows {
    ck_soft_cap(
      x.pointer + row * x.stride, slope.map { $0.pointer + row * $0.stride }, scale, cap, x.columns)
  }
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
