import TensorKernels
import Testing

/// Products and solves against their definitions.
@Suite struct GEMMTests {
  private func random(_ rows: Int, _ columns: Int, _ generator: inout SeededGenerator) -> Matrix {
    Matrix(rows: rows, columns: columns, values: (0..<rows * columns).map { _ in Float(generator.normal()) })
  }

  @Test(arguments: [Transpose.no, .yes], [Transpose.no, .yes])
  func productEqualsItsDefinition(_ transposeA: Transpose, _ transposeB: Transpose) {
    var generator = SeededGenerator(seed: 3)
    let (m, n, k) = (5, 7, 11)
    let a = transposeA == .no ? random(m, k, &generator) : random(k, m, &generator)
    let b = transposeB == .no ? random(k, n, &generator) : random(n, k, &generator)
    let c = random(m, n, &generator)
    let before = c.view.values
    gemm(a.view, transposeA, b.view, transposeB, into: c, alpha: 2, beta: 0.5)
    for i in 0..<m {
      for j in 0..<n {
        let sum = (0..<k).reduce(0.0) { sum, l in
          sum + Double(transposeA == .no ? a[i, l] : a[l, i]) * Double(transposeB == .no ? b[l, j] : b[j, l])
        }
        #expect(abs(Double(c[i, j]) - (2 * sum + 0.5 * Double(before[i * n + j]))) < 1e-4)
      }
    }
  }

  @Test func columnsOfAWiderMatrixAreAView() {
    let whole = Matrix(rows: 2, columns: 4, values: [1, 2, 3, 4, 5, 6, 7, 8])
    let part = whole.columns(1..<3)
    #expect(part.view.values == [2, 3, 6, 7])
    part[1, 1] = 70
    #expect(whole[1, 2] == 70)
    #expect(whole.rows(1..<2).view.values == [5, 6, 70, 8])
  }

  @Test func solveFindsTheSolutionOrSaysThereIsNone() {
    var a: [Double] = [4, 1, 1, 3]
    var b: [Double] = [1, 2]
    #expect(solvePositiveDefinite(&a, &b, rightHandSides: 1))
    #expect(abs(b[0] - 1.0 / 11) < 1e-12 && abs(b[1] - 7.0 / 11) < 1e-12)
    var indefinite: [Double] = [1, 2, 2, 1]
    #expect(!solvePositiveDefinite(&indefinite, &b, rightHandSides: 1))
  }

  @Test func arenaGivesBackWhatWasTaken() {
    let arena = Arena(capacity: 64)
    let first = arena.matrix(2, 8)
    let mark = arena.mark
    let second = arena.matrix(1, 16)
    arena.release(to: mark)
    let third = arena.matrix(1, 16)
    #expect(second.pointer == third.pointer && first.pointer != third.pointer)
  }
}
