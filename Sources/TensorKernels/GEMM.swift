import COpenBLAS

/// What a BLAS call must be told once: the name of the kernel OpenBLAS picked, and one thread a call.
package enum BLAS {
  /// Workers call BLAS side by side, each single-threaded: two workers beat one call with two threads.
  package static let singleThreaded: Void = openblas_set_num_threads(1)

  /// The kernel OpenBLAS runs on this machine, for example `SkylakeX`.
  package static var coreName: String { String(cString: openblas_get_corename()) }
}

/// How a factor of a product is read.
package enum Transpose {
  case no
  case yes
}

/// General matrix product: `C = alpha op(A) op(B) + beta C`, with `op(A)`: m x k, `op(B)`: k x n, C: m x n.
package func gemm(
  _ a: MatrixView, _ transposeA: Transpose, _ b: MatrixView, _ transposeB: Transpose = .no,
  into c: Matrix,
  alpha: Float = 1, beta: Float = 0
) {
  _ = BLAS.singleThreaded
  let (m, k) = transposeA == .no ? (a.rows, a.columns) : (a.columns, a.rows)
  let (kb, n) = transposeB == .no ? (b.rows, b.columns) : (b.columns, b.rows)
  precondition(
    k == kb && c.rows == m && c.columns == n,
    "gemm: \(m) x \(k) times \(kb) x \(n) into \(c.rows) x \(c.columns)")
  guard m > 0, n > 0 else { return }
  cblas_sgemm(
    CblasRowMajor, transposeA == .no ? CblasNoTrans : CblasTrans,
    transposeB == .no ? CblasNoTrans : CblasTrans,
    blasint(m), blasint(n), blasint(k), alpha, a.pointer, blasint(max(a.stride, 1)), b.pointer,
    blasint(max(b.stride, 1)), beta, c.pointer, blasint(max(c.stride, 1)))
}
