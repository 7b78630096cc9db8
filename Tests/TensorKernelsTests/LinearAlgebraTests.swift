import TensorKernels
import Testing

@Suite struct LinearAlgebraTests {
  /// A random symmetric A and a positive definite B.
  private func problem(_ n: Int) -> (a: [Double], b: [Double]) {
    var generator = SeededGenerator(seed: 3)
    let x = (0..<n * n).map { _ in generator.normal() }
    var (a, b) = ([Double](repeating: 0, count: n * n), [Double](repeating: 0, count: n * n))
    for i in 0..<n {
      for j in 0..<n {
        a[i * n + j] = x[i * n + j] + x[j * n + i]
        b[i * n + j] = (0..<n).reduce(i == j ? 1 : 0) { $0 + x[i * n + $1] * x[j * n + $1] }
      }
    }
    return (a, b)
  }

  @Test func eigenpairsSolveTheirEquation() throws {
    let n = 9
    let (a, b) = problem(n)
    let (values, vectors) = try #require(generalizedEigenpairs(a, b, order: n))
    #expect(values == values.sorted())
    for index in 0..<n {
      let v = Array(vectors[index * n..<index * n + n])
      func times(_ m: [Double]) -> [Double] {
        (0..<n).map { i in (0..<n).reduce(0) { $0 + m[i * n + $1] * v[$1] } }
      }
      let (av, bv) = (times(a), times(b))
      for i in 0..<n { #expect(abs(av[i] - values[index] * bv[i]) < 1e-9) }
      #expect(abs(zip(v, bv).reduce(0) { $0 + $1.0 * $1.1 } - 1) < 1e-9)
    }
  }

  @Test func indefiniteMatricesAreRefused() {
    #expect(generalizedEigenpairs([1, 0, 0, 1], [1, 0, 0, -1], order: 2) == nil)
    var (a, b) = ([1.0, 0, 0, -1], [1.0, 1])
    #expect(!solvePositiveDefinite(&a, &b, rightHandSides: 1))
  }

  @Test func innerProductsAreThoseOfColumns() {
    let x = Matrix(rows: 3, columns: 2, values: [1, 2, 3, 4, 5, 6])
    let y = Matrix(rows: 3, columns: 1, values: [1, 0, -1])
    #expect(innerProducts(x.view, x.view) == [35, 44, 44, 56])
    #expect(innerProducts(x.view, y.view) == [-4, -4])
  }
}
