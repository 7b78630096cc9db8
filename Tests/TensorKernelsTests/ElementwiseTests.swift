import Foundation
import Synchronization
import TensorKernels
import Testing

/// The vector loops against libm, over lengths that are no multiple of a vector.
@Suite struct ElementwiseTests {
  private let values: [Float] = (0..<203).map { Float($0 - 101) * 0.11 }

  private func row(_ values: [Float]) -> Matrix { Matrix(rows: 1, columns: values.count, values: values) }

  @Test func geluAndItsSlope() {
    let y = row(values)
    gelu(row(values).view, into: y)
    let slope = row(values.map { _ in 1 })
    geluBackward(row(values).view, outputGradient: slope.view, into: slope)
    for (i, x) in values.map(Double.init).enumerated() {
      let cdf = 0.5 * erfc(-x / 2.0.squareRoot())
      let pdf = exp(-x * x / 2) / (2 * Double.pi).squareRoot()
      #expect(abs(Double(y[0, i]) - x * cdf) < 3e-6 * max(1, abs(x)))
      #expect(abs(Double(slope[0, i]) - (cdf + x * pdf)) < 3e-6)
    }
  }

  @Test func geluByTanhAndItsSlope() {
    let y = row(values)
    geluTanh(row(values).view, into: y)
    let slope = row(values.map { _ in 1 })
    geluTanhBackward(row(values).view, outputGradient: slope.view, into: slope)
    let c = (2 / Double.pi).squareRoot()
    for (i, x) in values.map(Double.init).enumerated() {
      let t = tanh(c * (x + 0.044715 * x * x * x))
      let expected = 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * c * (1 + 3 * 0.044715 * x * x)
      #expect(abs(Double(y[0, i]) - 0.5 * x * (1 + t)) < 1e-6 * max(1, abs(x)))
      #expect(abs(Double(slope[0, i]) - expected) < 3e-6)
    }
  }

  @Test func transposedExchangesRowsAndColumns() {
    // Neither side a multiple of the square that is moved at a time; rows apart.
    let x = Matrix(rows: 41, columns: 90, values: (0..<41 * 90).map(Float.init)).columns(3..<73).view
    let turned = x.transposed
    #expect(turned.rows == 70 && turned.columns == 41 && turned.isContiguous)
    for row in 0..<x.rows {
      for column in 0..<x.columns { #expect(turned[column, row] == x[row, column]) }
    }
  }

  @Test func swigluAndItsSlopesInPlace() {
    let up = values.map { 0.3 - $0 * 0.01 }
    let h = row(values)
    GatedActivation.silu.multiply(gate: row(values).view, up: row(up).view, into: h)
    let (dgate, dup) = (row(values), row(up))
    GatedActivation.silu.multiplyBackward(
      gate: dgate, up: dup, outputGradient: row(values.map { _ in 1 }).view)
    for (i, g) in values.map(Double.init).enumerated() {
      let u = Double(up[i])
      let s = 1 / (1 + exp(-g))
      #expect(abs(Double(h[0, i]) - g * s * u) < 1e-5 * max(1, abs(g * u)))
      #expect(abs(Double(dup[0, i]) - g * s) < 1e-5 * max(1, abs(g)))
      #expect(abs(Double(dgate[0, i]) - u * s * (1 + g * (1 - s))) < 1e-5 * max(1, abs(u)))
    }
  }

  @Test func dotAddScaleAndFinite() {
    let x = row(values)
    let exact = values.reduce(0.0) { $0 + Double($1) * Double($1) }
    #expect(abs(dot(x.view, x.view) - exact) < 1e-5 * exact)
    let y = row(values)
    add(x.view, times: -1, to: y)
    #expect(y.view.values.allSatisfy { $0 == 0 })
    scale(x, by: 2)
    #expect(x[0, 7] == 2 * values[7])
    #expect(allFinite(x.view))
    for bad in [Float.nan, .infinity, -.infinity] {
      x[0, 202] = bad
      #expect(!allFinite(x.view))
    }
  }

  @Test func parallelMapKeepsOrderAndTheFirstError() throws {
    struct Failure: Error {}
    let squares = try parallelMap(count: 1000, workers: 3) { _, index in index * index }
    #expect(squares == (0..<1000).map { $0 * $0 })
    let started = Atomic<Int>(0)
    #expect(throws: Failure.self) {
      try parallelForEach(count: 1_000_000, workers: 2) { _, index in
        started.add(1, ordering: .relaxed)
        if index == 10 { throw Failure() }
      }
    }
    #expect(started.load(ordering: .relaxed) < 1_000_000, "after an error no more work is handed out")
  }

  @Test func randomNumbersFollowTheSeedAndTheirLaws() {
    var a = SeededGenerator(seed: 5, stream: "x")
    var b = SeededGenerator(seed: 5, stream: "x")
    var c = SeededGenerator(seed: 5, stream: "y")
    let draws = (0..<20000).map { _ in a.normal() }
    #expect(draws.prefix(50).elementsEqual((0..<50).map { _ in b.normal() }))
    #expect(draws[0] != c.normal())
    let mean = draws.reduce(0, +) / 20000
    let variance = draws.reduce(0) { $0 + $1 * $1 } / 20000
    #expect(abs(mean) < 0.03 && abs(variance - 1) < 0.05)
  }

  /// Of f32 and bf16 tables, for widths around the vectors that are summed at once.
  @Test func sumsOfRowsEqualTheirDefinition() {
    final class Owner {}
    var generator = SeededGenerator(seed: 14)
    for columns in [1, 7, 16, 33, 128, 576, 700] {
      let values = (0..<40 * columns).map { _ in Float(generator.normal()) }
      let numbers = values.map { UInt16($0.bitPattern >> 16) }
      let table = Matrix(rows: 40, columns: columns, values: values).view
      let rows = [3, 3, 39, 0, 17, 5, 21, 8, 30, 11, 12, 13]
      numbers.withUnsafeBufferPointer { buffer in
        let stored = WeightMatrix.bf16(
          BFloat16View(buffer, rows: 40, columns: columns, owner: Owner()))
        for weight in [WeightMatrix.f32(table), stored] {
          for chosen in [rows[...], rows[2..<5], rows[..<0]] {
            let (sum, exact) = (Matrix(rows: 1, columns: columns), weight.f32)
            sum.fill(.nan)
            weight.sumRows(chosen, into: sum)
            for column in 0..<columns {
              let expected = chosen.reduce(0.0) { $0 + Double(exact[$1, column]) }
              #expect(
                abs(Double(sum[0, column]) - expected) < 1e-5, "\(columns) columns, \(chosen.count) rows")
            }
          }
        }
      }
    }
  }
}
