import Comparison
import TensorKernels
import Testing

@Suite("TRAK")
struct ProjectedKernelTests {
  /// `(Phi^T Phi + lambda I) x = phi(q)` solved as it is written, p x p, then held against each row.
  @Test("the dual is the primal", arguments: [0.1, 3])
  func equalsPrimal(damping: Double) throws {
    var generator = SeededGenerator(seed: 5)
    let (rows, width) = (6, 4)
    func random(_ rows: Int) -> Matrix {
      Matrix(rows: rows, columns: width, values: (0..<rows * width).map { _ in Float(generator.normal()) })
    }
    let (samples, target) = (random(rows).view, random(1).view)
    let phi = samples.values.map(Double.init)
    let lambda = damping * phi.reduce(0) { $0 + $1 * $1 } / Double(rows)
    var primal = (0..<width * width).map { index in
      let (i, j) = index.quotientAndRemainder(dividingBy: width)
      return (0..<rows).reduce(i == j ? lambda : 0) { $0 + phi[$1 * width + i] * phi[$1 * width + j] }
    }
    var solved = target.values.map(Double.init)
    try #require(solvePositiveDefinite(&primal, &solved, rightHandSides: 1))
    let values = try ProjectedKernel(samples: samples, damping: damping).values(target: target)
    for (row, value) in values.enumerated() {
      let expected = (0..<width).reduce(0.0) { $0 + phi[row * width + $1] * solved[$1] }
      #expect(abs(value - expected) < 1e-5 * max(1, abs(expected)))
    }
  }
}
