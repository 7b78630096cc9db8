import CKernels
import EmulatedKernels
import TensorKernels
import Testing

/// Products with weights that were packed once, and what is done to them on the way.
@Suite struct PackedWeightTests {
  private func random(_ rows: Int, _ columns: Int, _ generator: inout SeededGenerator) -> Matrix {
    Matrix(rows: rows, columns: columns, values: (0..<rows * columns).map { _ in Float(generator.normal()) })
  }

  /// Edges of tiles, odd and even k, more than one block of rows, columns and depth.
  private let shapes = [
    (1, 1, 1), (33, 65, 70), (5, 40, 384), (40, 70, 1536), (15, 33, 17), (70, 1400, 701), (3, 33, 3001),
  ]

  @Test(arguments: [Precision.f32, .bf16]) func packingChangesNoBit(_ precision: Precision) {
    var generator = SeededGenerator(seed: 21)
    for (m, n, k) in shapes {
      let (x, w, before) = (random(m, k, &generator), random(n, k, &generator), random(m, n, &generator))
      let packed = PackedWeight(.f32(w.view), as: precision == .f32 ? .f32 : .bf16)
      for beta in [Float(0), 1] {
        let (once, anew) = (Matrix(rows: m, columns: n), Matrix(rows: m, columns: n))
        once.copy(before.view)
        anew.copy(before.view)
        packed.product(x.view, into: once, beta: beta)
        gemm(x.view, .no, w.view, .yes, into: anew, beta: beta, precision: precision)
        if beta == 0 || precision == .f32 || !precision.multipliesTiles {
          #expect(once.view.values == anew.view.values, "\(m) x \(n) x \(k), beta \(beta)")
        } else {
          // Tiles add to what is there; a finished square is added to it.
          #expect(
            zip(once.view.values, anew.view.values).allSatisfy { abs($0 - $1) < 1e-4 * max(1, abs($1)) })
        }
      }
    }
  }

  /// `y = r + gelu(x W^T + b)` in the product's own pass, against its parts.
  @Test(arguments: [PackedWeight.Numbers.f32, .bf16, .int8]) func finishingEqualsItsParts(
    _ numbers: PackedWeight.Numbers
  ) {
    var generator = SeededGenerator(seed: 22)
    for (m, n, k) in shapes {
      let (x, w, bias) = (random(m, k, &generator), random(n, k, &generator), random(1, n, &generator))
      let residual = random(m, n + 5, &generator).columns(3..<n + 3)
      let packed = PackedWeight(.f32(w.view), as: numbers)
      for finish in [
        ProductFinish(bias: bias.view), .init(residual: residual.view), .init(isGELU: true),
        .init(bias: bias.view, isGELU: true), .init(bias: bias.view, residual: residual.view),
        .init(bias: bias.view, isGELU: true, residual: residual.view),
      ] {
        let (found, expected) = (Matrix(rows: m, columns: n), Matrix(rows: m, columns: n))
        packed.product(x.view, into: found, finish: finish)
        packed.product(x.view, into: expected)
        if let bias = finish.bias { addBias(bias, to: expected) }
        if finish.isGELU { gelu(expected.view, into: expected) }
        if let residual = finish.residual { add(residual, to: expected) }
        #expect(found.view.values == expected.view.values, "\(m) x \(n) x \(k)")
      }
    }
  }

  /// The chosen instruction set against tiles, pairs and plain loops by their definition: int8 is the same bits everywhere.
  @Test func theChosenSetAgreesWithTheEmulatedOne() {
    var generator = SeededGenerator(seed: 23)
    for (m, n, k) in shapes {
      let (x, w) = (random(m, k, &generator), random(n, k, &generator))
      for numbers in [CK_F32, CK_BF16, CK_INT8] {
        let results = [
          product(x, w, Int32(numbers), ck_packed_bytes, ck_pack_weight, ck_linear),
          product(x, w, Int32(numbers), emulated_packed_bytes, emulated_pack_weight, emulated_linear),
        ]
        if numbers == CK_INT8 || (numbers == CK_BF16 && ck_multiplies_tiles() == 1) {
          #expect(results[0] == results[1], "\(m) x \(n) x \(k), numbers \(numbers)")
        } else {
          #expect(zip(results[0], results[1]).allSatisfy { abs($0 - $1) < 1e-4 * max(1, abs($1)) })
        }
      }
    }
  }

  private func product(
    _ x: Matrix, _ w: Matrix, _ numbers: Int32, _ bytes: (Int32, Int, Int) -> Int,
    _ pack: (Int32, Int, Int, ck_factor, UnsafeMutableRawPointer) -> Void,
    _ multiply: (
      Int32, Int, Int, Int, UnsafePointer<Float>, Int, UnsafeRawPointer, Float, UnsafePointer<ck_finish>?,
      UnsafeMutablePointer<Float>, Int
    ) -> Void
  ) -> [Float] {
    let packed = UnsafeMutableRawPointer.allocate(
      byteCount: bytes(numbers, w.rows, w.columns), alignment: 64)
    defer { packed.deallocate() }
    let weight = ck_factor(values: w.pointer, stride: w.stride, is_transposed: 1, is_bf16: 0)
    pack(numbers, w.rows, w.columns, weight, packed)
    let y = Matrix(rows: x.rows, columns: w.rows)
    multiply(
      numbers, x.rows, w.rows, w.columns, UnsafePointer(x.pointer), x.stride, packed, 0, nil, y.pointer,
      y.stride)
    return y.view.values
  }

  /// int8 against its definition: rows of x and of W rounded to 127 steps of their largest number.
  @Test func int8EqualsItsDefinition() {
    var generator = SeededGenerator(seed: 11)
    for (m, n, k) in [(1, 1, 1), (33, 65, 70), (5, 40, 384), (3, 33, 9000)] {
      let (x, w, before) = (random(m, k, &generator), random(n, k, &generator), random(m, n, &generator))
      let weight = PackedWeight(.f32(w.view), as: .int8)
      for beta in [Float(0), 0.5] {
        let y = Matrix(rows: m, columns: n)
        y.copy(before.view)
        weight.product(x.view, into: y, beta: beta)
        var worst = 0.0
        let (xs, ws) = ((0..<m).map { rounded(x, $0) }, (0..<n).map { rounded(w, $0) })
        for i in 0..<m {
          for j in 0..<n {
            let sum = zip(xs[i].numbers, ws[j].numbers).reduce(0.0) { $0 + $1.0 * $1.1 }
            let value = sum * xs[i].scale * ws[j].scale + Double(beta * before[i, j])
            worst = max(worst, abs(Double(y[i, j]) - value))
          }
        }
        #expect(worst < 2e-6 * Double(k).squareRoot(), "\(m) x \(n) x \(k): off by \(worst)")
      }
    }
    let (zeros, y) = (Matrix(rows: 2, columns: 3), Matrix(rows: 2, columns: 2))
    PackedWeight(.f32(zeros.view), as: .int8).product(zeros.view, into: y)
    #expect(y.view.values == [0, 0, 0, 0])
  }

  private func rounded(_ matrix: Matrix, _ row: Int) -> (numbers: [Double], scale: Double) {
    let values = matrix.view.rows(row..<row + 1).values
    let largest = values.map(abs).max()!
    return (values.map { Double(($0 * (127 / largest)).rounded(.toNearestOrEven)) }, Double(largest / 127))
  }

  /// A row's bits depend on nothing beside it.
  @Test(arguments: [PackedWeight.Numbers.f32, .bf16, .int8]) func aRowAloneIsTheSameBits(
    _ numbers: PackedWeight.Numbers
  ) {
    var generator = SeededGenerator(seed: 24)
    let (x, w) = (random(37, 700, &generator), random(90, 700, &generator))
    let packed = PackedWeight(.f32(w.view), as: numbers)
    let together = Matrix(rows: 37, columns: 90)
    packed.product(x.view, into: together)
    for row in [0, 13, 31, 32, 36] {
      let alone = Matrix(rows: 1, columns: 90)
      packed.product(x.view.rows(row..<row + 1), into: alone)
      #expect(alone.view.values == together.view.rows(row..<row + 1).values)
    }
  }

  /// What is no number stays so, through every way to multiply.
  @Test(arguments: [PackedWeight.Numbers.f32, .bf16, .int8]) func notANumberIsNotHidden(
    _ numbers: PackedWeight.Numbers
  ) {
    let (x, w) = (Matrix(rows: 2, columns: 8), Matrix(rows: 3, columns: 8))
    x.fill(1)
    w.fill(1)
    x[1, 2] = .nan
    let y = Matrix(rows: 2, columns: 3)
    PackedWeight(.f32(w.view), as: numbers).product(x.view, into: y, finish: .init(isGELU: true))
    #expect(y.view.rows(0..<1).values.allSatisfy { abs($0 - 8) < 1e-5 })
    #expect(y.view.rows(1..<2).values.allSatisfy { $0.isNaN })
  }
}
