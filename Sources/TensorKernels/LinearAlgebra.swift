import COpenBLAS

/// What a BLAS call must be told once: the name of the kernel OpenBLAS picked, and one thread a call.
package enum BLAS {
  /// Workers call BLAS side by side, each single-threaded.
  package static let singleThreaded: Void = openblas_set_num_threads(1)

  /// The kernel OpenBLAS runs on this machine, for example `SkylakeX`.
  package static var coreName: String { String(cString: openblas_get_corename()) }
}

// Small dense problems in f64, by LAPACK.

/// Solves `A X = B` in place for a symmetric positive definite A (n x n, f64), B holding `rightHandSides` rows of n.
///
/// Returns false where A is not positive definite. Both arrays are overwritten (LAPACK `dposv`).
package func solvePositiveDefinite(_ a: inout [Double], _ b: inout [Double], rightHandSides: Int) -> Bool {
  _ = BLAS.singleThreaded
  guard rightHandSides > 0 else { return true }
  var n = Int32(b.count / rightHandSides)
  precondition(a.count == Int(n) * Int(n), "solve: \(a.count) values for order \(n)")
  var count = Int32(rightHandSides)
  var order = n
  var info: Int32 = 0
  "L".withCString { dposv_($0, &n, &count, &a, &order, &b, &order, &info) }
  return info == 0
}

/// `X^T Y` of two tall matrices (rows x m, rows x n), products and sums in f64: m x n, row-major.
package func innerProducts(_ x: MatrixView, _ y: MatrixView) -> [Double] {
  _ = BLAS.singleThreaded
  precondition(x.rows == y.rows, "innerProducts: \(x.rows) and \(y.rows) rows")
  let (m, n) = (x.columns, y.columns)
  var result = [Double](repeating: 0, count: m * n)
  guard m > 0, n > 0 else { return result }
  cblas_dgemm(
    CblasRowMajor, CblasTrans, CblasNoTrans, blasint(m), blasint(n), blasint(x.rows), 1,
    x.values.map(Double.init), blasint(m), y.values.map(Double.init), blasint(n), 0, &result, blasint(n))
  return result
}

/// `A X` of a matrix in f64 (m x rows, row-major) and one in f32 (rows x n), products and sums in f64: m x n, row-major.
package func product(_ a: [Double], _ x: MatrixView) -> [Double] {
  _ = BLAS.singleThreaded
  precondition(x.rows > 0 && a.count.isMultiple(of: x.rows), "product: \(a.count) values by \(x.rows) rows")
  let (m, n) = (a.count / x.rows, x.columns)
  var result = [Double](repeating: 0, count: m * n)
  guard m > 0, n > 0 else { return result }
  cblas_dgemm(
    CblasRowMajor, CblasNoTrans, CblasNoTrans, blasint(m), blasint(n), blasint(x.rows), 1, a,
    blasint(x.rows), x.values.map(Double.init), blasint(n), 0, &result, blasint(n))
  return result
}

/// Eigenpairs of `A v = lambda B v` for symmetric A and positive definite B (n x n, f64, row-major), ascending, with
/// `v^T B v = 1`; row i of `vectors` belongs to `values[i]`.
///
/// Nil where B is not positive definite or the iteration does not converge (LAPACK `dsygv`).
package func generalizedEigenpairs(
  _ a: [Double], _ b: [Double], order: Int
) -> (values: [Double], vectors: [Double])? {
  _ = BLAS.singleThreaded
  precondition(a.count == order * order && b.count == a.count, "eigenpairs: \(a.count) values for \(order)")
  var (a, b) = (a, b)
  var values = [Double](repeating: 0, count: order)
  var (problem, n, info) = (Int32(1), Int32(order), Int32(0))
  var workCount = Int32(max(1, 34 * order))
  var work = [Double](repeating: 0, count: Int(workCount))
  dsygv_(&problem, "V", "L", &n, &a, &n, &b, &n, &values, &work, &workCount, &info)
  // Column-major columns are row-major rows.
  return info == 0 ? (values, a) : nil
}

/// Eigenpairs of a symmetric A (n x n, f64, row-major; its lower triangle is read), ascending; row i of `vectors` belongs
/// to `values[i]` and has norm 1.
///
/// Nil where A holds a number that is not finite, or the iteration does not converge (LAPACK `dsyevd`).
package func symmetricEigenpairs(_ a: consuming [Double], order: Int) -> (
  values: [Double], vectors: [Double]
)? {
  _ = BLAS.singleThreaded
  precondition(a.count == order * order, "eigenpairs: \(a.count) values for order \(order)")
  // Of numbers that are not finite LAPACK may never return.
  guard order > 0, a.allSatisfy(\.isFinite) else { return order == 0 ? ([], []) : nil }
  var vectors = a
  var values = [Double](repeating: 0, count: order)
  var (n, info) = (Int32(order), Int32(0))
  var workCount = Int32(1 + 6 * order + 2 * order * order)
  var integerCount = Int32(3 + 5 * order)
  var work = [Double](repeating: 0, count: Int(workCount))
  var integers = [Int32](repeating: 0, count: Int(integerCount))
  // Row-major lower is column-major upper; column-major columns are row-major rows.
  dsyevd_("V", "U", &n, &vectors, &n, &values, &work, &workCount, &integers, &integerCount, &info)
  return info == 0 ? (values, vectors) : nil
}
