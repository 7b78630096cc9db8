import CKernels
import EmulatedKernels
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

  /// Shapes beyond one tile, one block and one panel, with edges, in every order of the factors.
  @Test(arguments: [Transpose.no, .yes], [Transpose.no, .yes])
  func largeProductsEqualTheirDefinition(_ transposeA: Transpose, _ transposeB: Transpose) {
    var generator = SeededGenerator(seed: 7)
    for (m, n, k) in [(1, 1, 1), (14, 32, 16), (15, 33, 17), (29, 700, 50), (3, 65, 1300), (40, 263, 641)] {
      let a = transposeA == .no ? random(m, k, &generator) : random(k, m, &generator)
      let b = transposeB == .no ? random(k, n, &generator) : random(n, k, &generator)
      let c = Matrix(rows: m, columns: n)
      c.fill(.nan)  // Not read: beta is zero.
      gemm(a.view, transposeA, b.view, transposeB, into: c)
      var worst = 0.0
      for i in 0..<m {
        for j in 0..<n {
          let sum = (0..<k).reduce(0.0) { sum, l in
            sum + Double(transposeA == .no ? a[i, l] : a[l, i])
              * Double(transposeB == .no ? b[l, j] : b[j, l])
          }
          worst = max(worst, abs(Double(c[i, j]) - sum))
        }
      }
      #expect(worst < 1e-5 * Double(k).squareRoot() + 1e-6, "\(m) x \(n) x \(k): off by \(worst)")
    }
  }

  @Test func aRowsBitsDoNotDependOnTheOthers() {
    var generator = SeededGenerator(seed: 5)
    let (a, b) = (random(37, 700, &generator), random(90, 700, &generator))
    let together = Matrix(rows: 37, columns: 90)
    gemm(a.view, .no, b.view, .yes, into: together)
    for row in [0, 13, 14, 36] {
      let alone = Matrix(rows: 1, columns: 90)
      gemm(a.view.rows(row..<row + 1), .no, b.view, .yes, into: alone)
      #expect(alone.view.values == together.view.rows(row..<row + 1).values)
    }
  }

  /// Columns in the last, partial tile are computed as the others are.
  @Test func aColumnsBitsDoNotDependOnHowManyThereAre() {
    var generator = SeededGenerator(seed: 8)
    let (a, b, start) = (random(5, 700, &generator), random(64, 700, &generator), random(5, 64, &generator))
    let (wide, narrow) = (Matrix(rows: 5, columns: 64), Matrix(rows: 5, columns: 33))
    wide.copy(start.view)
    narrow.copy(start.view.columns(0..<33))
    gemm(a.view, .no, b.view, .yes, into: wide, alpha: 1 / 3, beta: 1)
    gemm(a.view, .no, b.view.rows(0..<33), .yes, into: narrow, alpha: 1 / 3, beta: 1)
    #expect(narrow.view.values == wide.view.columns(0..<33).values)
  }

  private func bfloat16(_ matrix: Matrix) -> (numbers: [UInt16], rounded: Matrix) {
    let numbers = matrix.view.values.map { value -> UInt16 in
      let bits = value.bitPattern
      return UInt16((bits + 0x7fff + (bits >> 16 & 1)) >> 16)
    }
    let rounded = Matrix(
      rows: matrix.rows, columns: matrix.columns,
      values: numbers.map { Float(bitPattern: UInt32($0) << 16) })
    return (numbers, rounded)
  }

  /// A bf16 factor and rounding by the product itself are the same bits; and those of rounding beforehand, unless the
  /// processor multiplies pairs and so adds in another order.
  @Test(arguments: [Transpose.no, .yes]) func bfloat16IsRoundingAndThenF32(_ transposeB: Transpose) {
    var generator = SeededGenerator(seed: 9)
    let (m, n, k) = (17, 45, 330)
    let a = random(m, k, &generator)
    let b = transposeB == .no ? random(k, n, &generator) : random(n, k, &generator)
    let (numbers, roundedB) = bfloat16(b)
    let roundedA = bfloat16(a).rounded
    final class Owner {}
    let results = numbers.withUnsafeBufferPointer { buffer in
      let stored = WeightMatrix.bf16(BFloat16View(buffer, rows: b.rows, columns: b.columns, owner: Owner()))
      #expect(stored.f32.values == roundedB.view.values)
      let results = (0..<3).map { _ in Matrix(rows: m, columns: n) }
      gemm(a.view, .no, stored, transposeB, into: results[0], precision: .bf16)
      gemm(a.view, .no, b.view, transposeB, into: results[1], precision: .bf16)
      gemm(roundedA.view, .no, roundedB.view, transposeB, into: results[2])
      return results.map(\.view.values)
    }
    #expect(results[0] == results[1])
    #expect(agree(results[1], results[2]))
    let exact = Matrix(rows: m, columns: n)
    gemm(a.view, .no, b.view, transposeB, into: exact)
    #expect(exact.view.values != results[2])
  }

  /// The product of pairs, for processors that multiply bf16: the chosen one where this machine does, and everywhere the
  /// same code with the instruction replaced by its definition. Odd k, edges, more than one block, both kinds of weight.
  @Test(arguments: [Transpose.no, .yes], [Transpose.no, .yes])
  func pairsOfBFloat16EqualTheDefinition(_ transposeA: Transpose, _ transposeB: Transpose) {
    var generator = SeededGenerator(seed: 4)
    for (m, n, k) in [(1, 1, 1), (14, 32, 32), (15, 33, 17), (29, 700, 51), (3, 65, 1301), (20, 263, 642)] {
      let a = transposeA == .no ? random(m, k, &generator) : random(k, m, &generator)
      let b = transposeB == .no ? random(k, n, &generator) : random(n, k, &generator)
      let (numbers, roundedB) = bfloat16(b)
      let roundedA = bfloat16(a).rounded
      let before = random(m, n, &generator)
      let left = factor(a.pointer, a.columns, transposeA)
      numbers.withUnsafeBufferPointer { stored in
        let weights = [
          factor(b.pointer, b.columns, transposeB),
          factor(stored.baseAddress!, b.columns, transposeB, isBF16: true),
        ]
        for (weight, product, (alpha, beta)) in weights.flatMap({ weight in
          products.flatMap { product in scalings.map { (weight, product, $0) } }
        }) {
          let c = Matrix(rows: m, columns: n)
          c.copy(before.view)
          product(m, n, k, alpha, left, weight, beta, c.pointer)
          var worst = 0.0
          for i in 0..<m {
            for j in 0..<n {
              let sum = (0..<k).reduce(0.0) { sum, l in
                sum + Double(transposeA == .no ? roundedA[i, l] : roundedA[l, i])
                  * Double(transposeB == .no ? roundedB[l, j] : roundedB[j, l])
              }
              worst = max(
                worst, abs(Double(c[i, j]) - (Double(alpha) * sum + Double(beta) * Double(before[i, j]))))
            }
          }
          #expect(worst < 2e-5 * Double(k).squareRoot() + 1e-6, "\(m) x \(n) x \(k): off by \(worst)")
        }
      }
    }
  }

  /// In the product of pairs too, a row's and a column's bits depend on nothing beside them.
  @Test func pairsOfOneRowAndColumnAreTheSameBitsAlone() {
    var generator = SeededGenerator(seed: 6)
    let (a, b) = (random(37, 1401, &generator), random(90, 1401, &generator))
    for product in products {
      func run(_ rows: Range<Int>, _ columns: Range<Int>) -> Matrix {
        let c = Matrix(rows: rows.count, columns: columns.count)
        product(
          rows.count, columns.count, 1401, 1, factor(a.rows(rows).pointer, 1401, .no),
          factor(b.rows(columns).pointer, 1401, .yes), 0, c.pointer)
        return c
      }
      let together = run(0..<37, 0..<90)
      for row in [0, 13, 14, 36] {
        #expect(run(row..<row + 1, 0..<90).view.values == together.view.rows(row..<row + 1).values)
      }
      for columns in [0..<33, 57..<90] {
        #expect(run(0..<37, columns).view.values == together.view.columns(columns).values)
      }
    }
  }

  /// m, n, k, alpha, A, B, beta, C
  private typealias Product = (
    Int, Int, Int, Float, ck_factor, ck_factor, Float, UnsafeMutablePointer<Float>
  ) -> Void

  private let products: [Product] = [
    { m, n, k, alpha, a, b, beta, c in emulated_bf16_gemm(m, n, k, alpha, a, b, beta, c, n) },
    { m, n, k, alpha, a, b, beta, c in emulated_tile_gemm(m, n, k, alpha, a, b, beta, c, n) },
    { m, n, k, alpha, a, b, beta, c in ck_gemm(m, n, k, alpha, a, b, beta, c, n, 1, nil) },
  ]

  /// Written, added to as it is, and otherwise: each is a way of its own.
  private let scalings: [(alpha: Float, beta: Float)] = [(1, 0), (1, 1), (2, 0.5)]

  /// Where the processor multiplies tiles, it gives the bits of their definition.
  @Test func tilesAreTheBitsOfTheirDefinition() {
    guard ck_multiplies_tiles() == 1 else { return }
    var generator = SeededGenerator(seed: 12)
    let (m, n, k) = (70, 100, 1301)
    let (a, b, before) = (random(m, k, &generator), random(n, k, &generator), random(m, n, &generator))
    for (alpha, beta) in scalings {
      let results = [products[1], products[2]].map { product in
        let c = Matrix(rows: m, columns: n)
        c.copy(before.view)
        product(m, n, k, alpha, factor(a.pointer, k, .no), factor(b.pointer, k, .yes), beta, c.pointer)
        return c.view.values
      }
      #expect(results[0] == results[1])
    }
  }

  private func factor(
    _ values: UnsafeRawPointer, _ stride: Int, _ transpose: Transpose, isBF16: Bool = false
  ) -> ck_factor {
    ck_factor(
      values: values, stride: stride, is_transposed: transpose == .yes ? 1 : 0, is_bf16: isBF16 ? 1 : 0)
  }

  @Test func transposedAIsRoundedToo() {
    var generator = SeededGenerator(seed: 2)
    let (a, b) = (random(30, 20, &generator), random(30, 9, &generator))
    let (one, two) = (Matrix(rows: 20, columns: 9), Matrix(rows: 20, columns: 9))
    gemm(a.view, .yes, b.view, into: one, precision: .bf16)
    gemm(bfloat16(a).rounded.view, .yes, bfloat16(b).rounded.view, into: two)
    #expect(agree(one.view.values, two.view.values))
  }

  private func agree(_ bf16: [Float], _ f32: [Float]) -> Bool {
    guard ck_multiplies_bf16() == 1 else { return bf16 == f32 }
    return zip(bf16, f32).allSatisfy { abs($0 - $1) < 1e-4 }
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
