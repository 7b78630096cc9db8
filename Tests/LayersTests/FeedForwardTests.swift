import Layers
import TensorKernels
import Testing

@Suite struct FeedForwardTests {
  /// Against two layers and GELU by themselves, with more rows than are done at a time; within what rounding between the
  /// layers may change.
  @Test(arguments: [(PackedWeight.Numbers.f32, Float(0)), (.bf16, 0.02), (.int8, 0)])
  func equalsItsLayers(_ numbers: PackedWeight.Numbers, _ tolerance: Float) {
    var generator = SeededGenerator(seed: 5)
    func random(_ rows: Int, _ columns: Int) -> Matrix {
      Matrix(
        rows: rows, columns: columns, values: (0..<rows * columns).map { _ in Float(generator.normal()) })
    }
    for (rows, width, hidden) in [(1, 8, 20), (530, 33, 70), (40, 64, 96)] {
      let (x, residual) = (random(rows, width), random(rows, width))
      let (up, down) = (random(hidden, width), random(width, hidden))
      let (upBias, downBias) = (random(1, hidden), random(1, width))
      let (w1, w2) = (PackedWeight(.f32(up.view), as: numbers), PackedWeight(.f32(down.view), as: numbers))
      let (y, between, expected) = (
        Matrix(rows: rows, columns: width), Matrix(rows: rows, columns: hidden),
        Matrix(rows: rows, columns: width)
      )
      FeedForward(up: w1, upBias: upBias.view, down: w2, downBias: downBias.view)(
        x.view, residual: residual.view, into: y)
      w1.product(x.view, into: between, finish: .init(bias: upBias.view, isGELU: true))
      w2.product(between.view, into: expected, finish: .init(bias: downBias.view, residual: residual.view))
      let differences = zip(y.view.values, expected.view.values).map { abs($0 - $1) / max(1, abs($1)) }
      #expect(differences.max()! <= tolerance, "\(rows) x \(width) x \(hidden)")
    }
  }
}
