import COpenBLAS

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

/// `Y^T Y` of a tall Y (rows x n) in f64: n x n, row-major, both triangles.
package func gram(_ y: MatrixView) -> [Double] {
  _ = BLAS.singleThreaded
  let n = y.columns
  let values = y.values.map(Double.init)
  var result = [Double](repeating: 0, count: n * n)
  cblas_dgemm(
    CblasRowMajor, CblasTrans, CblasNoTrans, blasint(n), blasint(n), blasint(y.rows), 1, values, blasint(n),
    values, blasint(n), 0, &result, blasint(n))
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
