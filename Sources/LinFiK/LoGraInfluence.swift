import TensorKernels

/// Influence with curvature from projected gradients (Choe et al. 2024): per layer
/// `mean_q (P g(q))^T (F + lambda I)^-1 (P g(z))`, summed over layers, with the projected empirical Fisher
/// `F = 1/n sum_z (P g(z)) (P g(z))^T` over the samples, never the targets.
///
/// The damping is each layer's own: `lambda = dampingFactor x mean eigenvalue of F`. With A the n x k matrix of a
/// layer's projected gradients, `A (A^T A / n + lambda I)^-1 = n (A A^T + n lambda I)^-1 A` (Woodbury): where k, the
/// square of the rank, exceeds n, the n x n system is far smaller; it is solved in f64.
///
/// - Parameters:
///   - gradients: n x projection.width.
///   - meanTarget: 1 x projection.width, the mean of the targets' projected gradients.
/// - Returns: n values.
package func lograInfluence(
  gradients: MatrixView, meanTarget: MatrixView, projection: LoGraProjection, dampingFactor: Double,
  workers: Int
) throws -> [Double] {
  let values = try parallelMap(count: projection.layers.count, workers: workers) { _, index in
    let range = projection.layers[index].range
    return try layerInfluence(
      gradients.columns(range), target: meanTarget.columns(range), dampingFactor: dampingFactor)
  }
  return (0..<gradients.rows).map { sample in values.reduce(0) { $0 + $1[sample] } }
}

private func layerInfluence(_ a: MatrixView, target: MatrixView, dampingFactor: Double) throws -> [Double] {
  let n = a.rows
  let gram = Matrix(rows: n, columns: n)
  gemm(a, .no, a, .yes, into: gram)
  let projected = Matrix(rows: n, columns: 1)
  gemm(a, .no, target, .yes, into: projected)
  var system = gram.view.values.map(Double.init)
  let trace = (0..<n).reduce(0) { $0 + system[$1 * n + $1] }
  guard trace > 0 else { return [Double](repeating: 0, count: n) }
  // trace(A A^T) / n is the trace of F, spread over its k eigenvalues.
  let lambda = dampingFactor * trace / Double(n) / Double(a.columns)
  for i in 0..<n { system[i * n + i] += Double(n) * lambda }
  var solution = projected.view.values.map(Double.init)
  guard solvePositiveDefinite(&system, &solution, rightHandSides: 1) else {
    throw LabelError.options("the damped Fisher matrix is not positive definite; raise --damping")
  }
  return solution.map { $0 * Double(n) }
}
