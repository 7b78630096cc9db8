import LanguageModels
import Records
import TensorKernels

extension LoGraProjection {
  /// The leading eigenvectors of each layer's `sum_t x_t x_t^T` and `sum_t d_t d_t^T` over `rows`, orthonormal and
  /// not scaled (LoGra's PCA initialisation): what a gradient has outside them is lost, and what the rows have in
  /// common is inside.
  ///
  /// One forward and backward pass over `rows`. The same bits whatever the number of workers.
  package init(
    principalComponentsOf rows: [TokenizedSample], model: any CausalLanguageModel, watched: WatchedLayers,
    rank: Int, seed: UInt64, workers: Int, batchTokens: Int,
    progress: @escaping @Sendable (_ done: Int) throws -> Void = { _ in }
  ) throws {
    precondition(rank > 0, "LoGraProjection: rank \(rank)")
    let inputs = watched.layers.map {
      SecondMomentSketch(width: $0.inputWidth, rank: rank, seed: seed, name: "\($0.name) input")
    }
    let outputs = watched.layers.map {
      SecondMomentSketch(width: $0.outputWidth, rank: rank, seed: seed, name: "\($0.name) output")
    }
    let (inputSums, outputSums) = (OrderedSum(sums: inputs.map(\.sum)), OrderedSum(sums: outputs.map(\.sum)))
    let losses = try BatchPlan(rows, batchTokens: batchTokens)
      .map(workers: workers, progress: progress) { index, batch, workspace in
        let observer = SecondMoments(
          watched: watched, batchIndex: index, inputTests: inputs.map(\.tests),
          outputTests: outputs.map(\.tests), inputSums: inputSums, outputSums: outputSums)
        return model.losses(of: batch, workspace: workspace, observer: observer)
      }
    let sketches = inputs + outputs
    guard losses.allSatisfy(\.isFinite), sketches.allSatisfy({ allFinite($0.sum.view) }) else {
      throw LabelError.notFinite("the gradients that the projection is made from")
    }
    let components = try parallelMap(count: sketches.count, workers: workers) { _, index in
      try sketches[index].components(rank)
    }
    self.init(sides: Array(zip(components.prefix(inputs.count), components.suffix(outputs.count))))
  }
}

/// A second moment `A = sum_t x_t x_t^T` (n x n) as seen by s random vectors: `Y = A O`, O: n x s. n s numbers hold its
/// leading eigenvectors, where all of A would be larger than the model's weights.
private struct SecondMomentSketch: @unchecked Sendable {
  let name: String
  /// O, n x s
  let tests: MatrixView
  /// Y, n x s; written through `OrderedSum` alone.
  let sum: Matrix

  /// Twice the rank: the eigenvectors that are kept stand clear of the sketch's edge.
  init(width: Int, rank: Int, seed: UInt64, name: String) {
    self.name = name
    let size = min(2 * rank, width)
    var generator = SeededGenerator(seed: seed, stream: name)
    let tests = Matrix(rows: width, columns: size)
    for row in 0..<width {
      for column in 0..<size { tests[row, column] = Float(generator.normal()) }
    }
    self.tests = tests.view
    sum = Matrix(rows: width, columns: size)
  }

  /// The `rank` leading eigenvectors of Nystrom's `Y (O^T Y)^-1 Y^T ~ A`, a row each, orthonormal (Halko, Martinsson &
  /// Tropp 2011): with `Y^T Y v = lambda (O^T Y) v` they are `Y v / sqrt(lambda)`. Rows that would be nothing but f32's
  /// rounding are zero.
  func components(_ rank: Int) throws -> MatrixView {
    let (width, size) = (sum.rows, sum.columns)
    if width <= rank { return identity(width) }
    let core = innerProducts(tests, sum.view)
    var b = [Double](repeating: 0, count: size * size)
    for i in 0..<size {
      for j in 0..<size { b[i * size + j] = (core[i * size + j] + core[j * size + i]) / 2 }
    }
    let trace = (0..<size).reduce(0) { $0 + b[$1 * size + $1] }
    let result = Matrix(rows: rank, columns: width)
    guard trace > 0 else { return result.view }
    // Rounding in Y makes the small eigenvalues of O^T Y noise of either sign.
    for i in 0..<size { b[i * size + i] += 1e-6 * trace }
    guard let (values, vectors) = generalizedEigenpairs(innerProducts(sum.view, sum.view), b, order: size)
    else {
      throw LabelError.options(
        "no principal components can be found of the \(name) at rank \(rank); use --projection random")
    }
    for row in 0..<rank {
      let index = size - 1 - row
      guard values[index] > 1e-8 * values[size - 1] else { break }
      let scale = 1 / values[index].squareRoot()
      for i in 0..<width {
        var value = 0.0
        for j in 0..<size { value += Double(sum[i, j]) * vectors[index * size + j] }
        result[row, i] = Float(value * scale)
      }
    }
    return result.view
  }
}

/// Adds each batch's `X^T (X O)` and `D^T (D O)` to the sketches.
private struct SecondMoments: GradientObserver {
  let watched: WatchedLayers
  let batchIndex: Int
  let inputTests: [MatrixView]
  let outputTests: [MatrixView]
  let inputSums: OrderedSum
  let outputSums: OrderedSum

  func observe(layer: Int, input: MatrixView, outputGradient: MatrixView, batch: TokenBatch) {
    guard let place = watched.place(ofLayer: layer) else { return }
    add(input, seenBy: inputTests[place], to: inputSums, place: place)
    add(outputGradient, seenBy: outputTests[place], to: outputSums, place: place)
  }

  private func add(_ x: MatrixView, seenBy tests: MatrixView, to sums: OrderedSum, place: Int) {
    let seen = Matrix(rows: x.rows, columns: tests.columns)
    gemm(x, .no, tests, into: seen)
    sums.add(place: place, turn: batchIndex) { gemm(x, .yes, seen.view, into: $0, beta: 1) }
  }
}
