import Foundation
import Layers
import TensorKernels
import Testing

/// Attention, norms, rotary positions and the head against their definitions and finite differences.
@Suite struct AttentionTests {
  private let shape: AttentionShape
  private let offsets = [0, 4, 4, 9]
  private let q: Matrix
  private let k: Matrix
  private let v: Matrix
  private let upstream: Matrix

  init() {
    shape = AttentionShape(heads: 4, keyValueHeads: 2, headWidth: 3, isCausal: true)
    var generator = SeededGenerator(seed: 11)
    func random(_ columns: Int) -> Matrix {
      Matrix(rows: 9, columns: columns, values: (0..<9 * columns).map { _ in Float(generator.normal()) })
    }
    q = random(12)
    k = random(6)
    v = random(6)
    upstream = random(12)
  }

  private func output(_ shape: AttentionShape) -> Matrix {
    let result = Matrix(rows: 9, columns: 12)
    attention(
      query: q.view, key: k.view, value: v.view, offsets: offsets, shape: shape, into: result,
      arena: Arena(capacity: shape.forwardScratch(length: 5)))
    return result
  }

  /// `softmax(q k / sqrt(d)) v` position by position, in f64.
  private func expected(row: Int, head: Int, feature: Int, causal: Bool) -> Double {
    let sequence = row < 4 ? 0..<4 : 4..<9
    let shared = head / 2
    let visible = sequence.filter { !causal || $0 <= row }
    let scores = visible.map { other in
      (0..<3).reduce(0.0) { $0 + Double(q[row, head * 3 + $1]) * Double(k[other, shared * 3 + $1]) }
        / 3.0.squareRoot()
    }
    let total = scores.reduce(0) { $0 + exp($1) }
    return zip(visible, scores).reduce(0) { $0 + exp($1.1) / total * Double(v[$1.0, shared * 3 + feature]) }
  }

  @Test(arguments: [true, false]) func attentionEqualsItsDefinition(_ causal: Bool) {
    let result = output(AttentionShape(heads: 4, keyValueHeads: 2, headWidth: 3, isCausal: causal))
    for row in 0..<9 {
      for head in 0..<4 {
        for feature in 0..<3 {
          let value = expected(row: row, head: head, feature: feature, causal: causal)
          #expect(abs(Double(result[row, head * 3 + feature]) - value) < 1e-5)
        }
      }
    }
  }

  /// Sequences longer than a block of queries, against the whole matrix of probabilities.
  @Test(arguments: [true, false]) func blocksOfQueriesGiveTheWholeAttention(_ causal: Bool) {
    let shape = AttentionShape(heads: 2, keyValueHeads: 1, headWidth: 8, isCausal: causal)
    let (length, offsets) = (150, [0, 20, 170])
    var generator = SeededGenerator(seed: 4)
    func random(_ columns: Int) -> Matrix {
      Matrix(rows: 170, columns: columns, values: (0..<170 * columns).map { _ in Float(generator.normal()) })
    }
    let (q, k, v, upstream) = (random(16), random(8), random(8), random(16))
    let output = Matrix(rows: 170, columns: 16)
    let arena = Arena(capacity: shape.backwardScratch(length: length))
    attention(
      query: q.view, key: k.view, value: v.view, offsets: offsets, shape: shape, into: output, arena: arena)
    let gradients = [16, 8, 8].map { Matrix(rows: 170, columns: $0) }
    attentionBackward(
      query: q.view, key: k.view, value: v.view, outputGradient: upstream.view, offsets: offsets,
      shape: shape,
      queryGradient: gradients[0], keyGradient: gradients[1], valueGradient: gradients[2], arena: arena)
    let expected = [16, 8, 8].map { Matrix(rows: 170, columns: $0) }
    var worst = 0.0
    for head in 0..<2 {
      for row in 20..<170 {
        let visible = 20..<(causal ? row + 1 : 170)
        func product(_ a: Matrix, _ i: Int, _ b: Matrix, _ j: Int) -> Double {
          (0..<8).reduce(0) { $0 + Double(a[i, head * 8 + $1]) * Double(b[j, $1]) }
        }
        let scores = visible.map { exp(product(q, row, k, $0) / 8.0.squareRoot()) }
        let total = scores.reduce(0, +)
        let p = scores.map { $0 / total }
        for feature in 0..<8 {
          let value = zip(visible, p).reduce(0.0) { $0 + $1.1 * Double(v[$1.0, feature]) }
          worst = max(worst, abs(value - Double(output[row, head * 8 + feature])))
        }
        let dp = visible.map { product(upstream, row, v, $0) }
        let mean = zip(p, dp).reduce(0) { $0 + $1.0 * $1.1 }
        for (index, key) in visible.enumerated() {
          let ds = p[index] * (dp[index] - mean) / 8.0.squareRoot()
          for feature in 0..<8 {
            let column = head * 8 + feature
            expected[0][row, column] += Float(ds * Double(k[key, feature]))
            expected[1][key, feature] += Float(ds * Double(q[row, column]))
            expected[2][key, feature] += Float(p[index] * Double(upstream[row, column]))
          }
        }
      }
    }
    #expect(worst < 1e-5)
    for (found, expected) in zip(gradients, expected) {
      let pairs = zip(found.view.rows(20..<170).values, expected.view.rows(20..<170).values)
      #expect(pairs.allSatisfy { abs($0 - $1) < 2e-5 * max(1, abs($1)) })
    }
  }

  /// Lengths and widths around the size of tiles, in f32 and with factors in bf16, against the definition in f64.
  @Test(arguments: [Precision.f32, .bf16], [true, false])
  func everyLengthAndWidthEqualsTheDefinition(_ precision: Precision, _ causal: Bool) {
    var generator = SeededGenerator(seed: 31)
    let lengths = [1, 2, 15, 31, 32, 33, 64, 65, 130]
    let offsets = lengths.reduce(into: [0]) { $0.append($0.last! + $1) }
    for width in [3, 8, 32, 40, 64] {
      func random(_ heads: Int) -> Matrix {
        Matrix(
          rows: offsets.last!, columns: heads * width,
          values: (0..<offsets.last! * heads * width).map { _ in Float(generator.normal()) })
      }
      let (q, k, v, output) = (random(4), random(2), random(2), random(4))
      let shape = AttentionShape(
        heads: 4, keyValueHeads: 2, headWidth: width, isCausal: causal, precision: precision)
      attention(
        query: q.view, key: k.view, value: v.view, offsets: offsets, shape: shape, into: output,
        arena: Arena(capacity: shape.forwardScratch(length: 130)))
      var worst = 0.0
      for (start, end) in zip(offsets, offsets.dropFirst()) {
        for (head, row) in (0..<4).flatMap({ head in (start..<end).map { (head, $0) } }) {
          let visible = start..<(causal ? row + 1 : end)
          let p = visible.map { key in
            exp(
              Double(shape.scale)
                * dot(part(q, row, head, width).view, part(k, key, head / 2, width).view))
          }
          let total = p.reduce(0, +)
          for feature in 0..<width {
            let column = head / 2 * width + feature
            let value = zip(visible, p).reduce(0.0) { $0 + $1.1 / total * Double(v[$1.0, column]) }
            worst = max(worst, abs(value - Double(output[row, head * width + feature])))
          }
        }
      }
      #expect(worst < (precision == .f32 ? 1e-5 : 0.06), "width \(width): off by \(worst)")
    }
  }

  private func part(_ matrix: Matrix, _ row: Int, _ head: Int, _ width: Int) -> Matrix {
    matrix.rows(row..<row + 1).columns(head * width..<(head + 1) * width)
  }

  @Test func attentionBackwardEqualsFiniteDifferences() {
    let gradients = [12, 6, 6].map { Matrix(rows: 9, columns: $0) }
    for gradient in gradients { gradient.fill(7) }  // They are written, not added to.
    attentionBackward(
      query: q.view, key: k.view, value: v.view, outputGradient: upstream.view, offsets: offsets,
      shape: shape,
      queryGradient: gradients[0], keyGradient: gradients[1], valueGradient: gradients[2],
      arena: Arena(capacity: shape.backwardScratch(length: 5)))
    for (input, gradient) in zip([q, k, v], gradients) {
      for (row, column) in [(0, 0), (3, 5), (4, 2), (8, 4), (6, 1)] {
        let difference = slope(of: { dot(output(shape).view, upstream.view) }, at: input, row, column)
        #expect(abs(difference - Double(gradient[row, column])) < 2e-3, "(\(row), \(column))")
      }
    }
  }

  /// Central difference of a function of one entry.
  private func slope(of value: () -> Double, at matrix: Matrix, _ row: Int, _ column: Int) -> Double {
    let before = matrix[row, column]
    matrix[row, column] = before + 1e-2
    let up = value()
    matrix[row, column] = before - 1e-2
    let down = value()
    matrix[row, column] = before
    return (up - down) / 2e-2
  }

  @Test func rmsNormBackwardEqualsFiniteDifferences() {
    let weight = Matrix(rows: 1, columns: 12, values: (0..<12).map { 0.5 + Float($0) * 0.1 })
    let inverse = Matrix(rows: 1, columns: 9)
    let y = Matrix(rows: 9, columns: 12)
    func norm() { rmsNorm(q.view, weight: weight.view, epsilon: 1e-5, into: y, inverseRMS: inverse) }
    norm()
    let mean = (0..<12).reduce(0.0) { $0 + Double(q[2, $1]) * Double(q[2, $1]) } / 12
    #expect(abs(Double(y[2, 5]) - Double(q[2, 5]) / (mean + 1e-5).squareRoot() * Double(weight[0, 5])) < 1e-5)
    let gradient = Matrix(rows: 9, columns: 12)
    gradient.fill(1)  // It is added to.
    rmsNormBackward(
      q.view, weight: weight.view, inverseRMS: inverse.view, outputGradient: upstream.view, addingTo: gradient
    )
    for (row, column) in [(0, 0), (5, 7), (8, 11)] {
      let difference = slope(
        of: {
          norm()
          return dot(y.view, upstream.view)
        }, at: q, row, column)
      #expect(abs(difference + 1 - Double(gradient[row, column])) < 2e-3)
    }
  }

  @Test func rotationKeepsLengthsAndDependsOnDistanceAlone() {
    let rope = RotaryEmbedding(headWidth: 4, theta: 100).angles(positions: 6)
    let x = Matrix(rows: 6, columns: 4)
    for row in 0..<6 { for column in 0..<4 { x[row, column] = [0.3, -1, 2, 0.7][column] } }
    rope.rotate(x, offsets: [0, 6])
    func product(_ a: Int, _ b: Int) -> Double { dot(x.view.rows(a..<a + 1), x.view.rows(b..<b + 1)) }
    #expect(abs(product(0, 2) - product(3, 5)) < 1e-5)
    #expect(abs(product(4, 4) - product(0, 0)) < 1e-5)
    #expect(abs(product(0, 2) - product(0, 3)) > 1e-3)
    #expect(abs(Double(x[1, 0]) - (0.3 * cos(1) - 2 * sin(1))) < 1e-6, "halves turn together, not neighbours")
    rope.rotateBack(x, offsets: [0, 6])
    #expect(abs(x[5, 2] - 2) < 1e-6)
  }

  /// More positions than a chunk and more vocabulary than a block.
  @Test func headByChunksAndBlocksEqualsItsDefinition() {
    var generator = SeededGenerator(seed: 6)
    let (positions, vocabulary, width) = (600, 1400, 4)
    func random(_ rows: Int) -> Matrix {
      Matrix(
        rows: rows, columns: width, values: (0..<rows * width).map { _ in Float(2 * generator.normal()) })
    }
    let (hidden, head) = (random(positions), random(vocabulary))
    let predictions = (0..<positions).map {
      PredictedToken(row: $0, token: ($0 * 97) % vocabulary, sample: $0 % 2, weight: 1 / 300)
    }
    let gradient = Matrix(rows: positions, columns: width)
    let arena = Arena(
      capacity: headCrossEntropyScratch(width: width, vocabulary: vocabulary, positions: positions))
    let losses = headCrossEntropy(
      hidden: hidden.view, head: .f32(head.view), predictions: predictions, samples: 2,
      hiddenGradient: gradient, arena: arena, precision: .f32)
    var expected = [0.0, 0.0]
    var worst = 0.0
    for prediction in predictions {
      let row = prediction.row
      let logits = (0..<vocabulary).map { token in
        (0..<width).reduce(0.0) { $0 + Double(hidden[row, $1]) * Double(head[token, $1]) }
      }
      let top = logits.max()!
      let p = logits.map { exp($0 - top) }
      let total = p.reduce(0, +)
      expected[prediction.sample] += prediction.weight * (log(total) + top - logits[prediction.token])
      for feature in 0..<width {
        let pull = zip(p.indices, p).reduce(0.0) { $0 + $1.1 / total * Double(head[$1.0, feature]) }
        let value = prediction.weight * (pull - Double(head[prediction.token, feature]))
        worst = max(worst, abs(value - Double(gradient[row, feature])))
      }
    }
    #expect(abs(losses[0] - expected[0]) < 1e-5 && abs(losses[1] - expected[1]) < 1e-5)
    #expect(worst < 1e-7, "off by \(worst)")
  }

  @Test func headCrossEntropyEqualsItsDefinition() {
    let predictions = [
      PredictedToken(row: 0, token: 2, sample: 0, weight: 0.5),
      PredictedToken(row: 1, token: 0, sample: 0, weight: 0.5),
      PredictedToken(row: 8, token: 4, sample: 1, weight: 1),
    ]
    let head = k.rows(0..<5)
    let hidden = v
    let gradient = Matrix(rows: 9, columns: 6)
    let arena = Arena(capacity: headCrossEntropyScratch(width: 6, vocabulary: 5, positions: 3))
    func losses(_ gradient: Matrix?) -> [Double] {
      headCrossEntropy(
        hidden: hidden.view, head: .f32(head.view), predictions: predictions, samples: 2,
        hiddenGradient: gradient,
        arena: arena, precision: .f32)
    }
    let found = losses(gradient)
    let logits = (0..<5).map { token in
      (0..<6).reduce(0.0) { $0 + Double(hidden[8, $1]) * Double(head[token, $1]) }
    }
    #expect(abs(found[1] - (log(logits.reduce(0) { $0 + exp($1) }) - logits[4])) < 1e-5)
    #expect(losses(nil) == found)
    for (row, column) in [(0, 1), (1, 5), (8, 3), (4, 0)] {
      let difference = slope(of: { losses(nil).reduce(0, +) }, at: hidden, row, column)
      #expect(abs(difference - Double(gradient[row, column])) < 2e-3)
    }
    #expect(
      gradient.rows(4..<5).view.values.allSatisfy { $0 == 0 }, "a state that predicts nothing has no gradient"
    )
  }
}
