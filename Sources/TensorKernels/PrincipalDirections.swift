/// The `rank` leading eigenvectors of a symmetric A >= 0 (n x n) as seen by s > rank random vectors, `Y = A O`: those of
/// Nystrom's `Y (O^T Y)^-1 Y^T ~ A`, a row each, orthonormal (Halko, Martinsson & Tropp 2011): with `Y^T Y v = lambda (O^T Y) v`
/// they are `Y v / sqrt(lambda)`.
///
/// Rows that would be nothing but f32's rounding are zero. Nil where the iteration does not converge.
package func leadingEigenvectors(sketch y: MatrixView, tests o: MatrixView, rank: Int) -> MatrixView? {
  leadingEigenpairs(sketch: y, tests: o, rank: rank)?.vectors
}

/// The same with their eigenvalues, descending; those of zero rows are zero.
package func leadingEigenpairs(
  sketch y: MatrixView, tests o: MatrixView, rank: Int
) -> (vectors: MatrixView, values: [Double])? {
  let (width, size) = (y.rows, y.columns)
  let core = innerProducts(o, y)
  var b = [Double](repeating: 0, count: size * size)
  for i in 0..<size {
    for j in 0..<size { b[i * size + j] = (core[i * size + j] + core[j * size + i]) / 2 }
  }
  let trace = (0..<size).reduce(0) { $0 + b[$1 * size + $1] }
  let result = Matrix(rows: rank, columns: width)
  var found = [Double](repeating: 0, count: rank)
  guard trace > 0 else { return (result.view, found) }
  // Rounding in Y makes the small eigenvalues of O^T Y noise of either sign.
  for i in 0..<size { b[i * size + i] += 1e-6 * trace }
  guard let (values, vectors) = generalizedEigenpairs(innerProducts(y, y), b, order: size) else { return nil }
  for row in 0..<rank {
    let index = size - 1 - row
    guard values[index] > 1e-8 * values[size - 1] else { break }
    found[row] = values[index]
    let scale = 1 / values[index].squareRoot()
    for i in 0..<width {
      var value = 0.0
      for j in 0..<size { value += Double(y[i, j]) * vectors[index * size + j] }
      result[row, i] = Float(value * scale)
    }
  }
  return (result.view, found)
}

/// The directions (rank x p) in which rows of features vary most about `means`: the leading eigenvectors of their covariance.
/// Nil where they cannot be found.
package func principalDirections(
  of rows: MatrixView, means: [Float], rank: Int, seed: UInt64
) -> MatrixView? {
  let p = rows.columns
  let centred = Matrix(rows: rows.rows, columns: p)
  for row in 0..<rows.rows {
    for column in 0..<p { centred[row, column] = rows[row, column] - means[column] }
  }
  // Twice the rank: the eigenvectors that are kept stand clear of the sketch's edge.
  let size = min(2 * rank, p)
  var generator = SeededGenerator(seed: seed, stream: "principal-directions")
  let tests = Matrix(rows: p, columns: size, values: (0..<p * size).map { _ in Float(generator.normal()) })
  let seen = Matrix(rows: rows.rows, columns: size)
  gemm(centred.view, .no, tests.view, into: seen)
  let sketch = Matrix(rows: p, columns: size)
  gemm(centred.view, .yes, seen.view, into: sketch)
  return leadingEigenvectors(sketch: sketch.view, tests: tests.view, rank: min(rank, size))
}
