import LanguageModels
import Records
import TensorKernels

extension LoGraProjection {
  /// The leading eigenvectors of each layer's `sum_t x_t x_t^T` and `sum_t d_t d_t^T` over `rows`, orthonormal and
  /// not scaled (LoGra's PCA initialisation): what a gradient has outside them is lost, and what the rows have in
  /// common is inside. With `explained` a side has the fewest that hold this share of its second moment's trace, at most
  /// `rank`.
  ///
  /// One forward and backward pass over `rows`. The same bits whatever the number of workers.
  package init(
    principalComponentsOf rows: [TokenizedSample], model: any CausalLanguageModel, watched: WatchedLayers,
    rank: Int, explained: Double? = nil, seed: UInt64, workers: Int, batchTokens: Int,
    progress: @escaping @Sendable (_ done: Int) throws -> Void = { _ in }
  ) throws {
    precondition(rank > 0, "LoGraProjection: rank \(rank)")
    let inputs = watched.layers.map {
      SecondMomentSketch(width: $0.inputWidth, rank: rank, seed: seed, name: "\($0.name) input")
    }
    let outputs = watched.layers.map {
      SecondMomentSketch(width: $0.outputWidth, rank: rank, seed: seed, name: "\($0.name) output")
    }
    let (inputSums, outputSums) = (OrderedSum(sums: inputs), OrderedSum(sums: outputs))
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
      try sketches[index].components(rank, explained: explained)
    }
    self.init(sides: Array(zip(components.prefix(inputs.count), components.suffix(outputs.count))))
  }
}

/// A second moment `A = sum_t x_t x_t^T` (n x n) as seen by s random vectors: `Y = A O`, O: n x s. n s numbers hold its
/// leading eigenvectors, where all of A would be larger than the model's weights.
private final class SecondMomentSketch: @unchecked Sendable {
  let name: String
  /// O, n x s
  let tests: MatrixView
  /// Y, n x s; written through `OrderedSum` alone.
  let sum: Matrix
  /// The trace of A, `sum_t |x_t|^2`; written as Y is.
  private var trace = 0.0

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

  /// `Y += X^T (X O)`
  func add(_ x: MatrixView, seen: MatrixView) {
    gemm(x, .yes, seen, into: sum, beta: 1)
    trace += dot(x, x)
  }

  /// The `rank` leading eigenvectors, or fewer where they explain enough, a row each; rows that would be nothing but f32's
  /// rounding are zero.
  func components(_ rank: Int, explained: Double?) throws -> MatrixView {
    if sum.rows <= rank, explained == nil { return identity(sum.rows) }
    let rank = min(rank, sum.rows)
    guard let found = leadingEigenpairs(sketch: sum.view, tests: tests, rank: rank) else {
      throw LabelError.options(
        "no principal components can be found of the \(name) at rank \(rank); use --projection random")
    }
    guard let explained else { return found.vectors }
    var held = 0.0
    let enough = found.values.firstIndex { value in
      held += value
      return held >= explained * trace
    }
    return found.vectors.rows(0..<(enough ?? rank - 1) + 1)
  }
}

/// Adds each batch's `X^T (X O)` and `D^T (D O)` to the sketches.
private struct SecondMoments: GradientObserver {
  let watched: WatchedLayers
  let batchIndex: Int
  let inputTests: [MatrixView]
  let outputTests: [MatrixView]
  let inputSums: OrderedSum<SecondMomentSketch>
  let outputSums: OrderedSum<SecondMomentSketch>

  func observe(layer: Int, input: MatrixView, outputGradient: MatrixView, batch: TokenBatch) {
    guard let place = watched.place(ofLayer: layer) else { return }
    add(input, seenBy: inputTests[place], to: inputSums, place: place)
    add(outputGradient, seenBy: outputTests[place], to: outputSums, place: place)
  }

  private func add(
    _ x: MatrixView, seenBy tests: MatrixView, to sums: OrderedSum<SecondMomentSketch>, place: Int
  ) {
    let seen = Matrix(rows: x.rows, columns: tests.columns)
    gemm(x, .no, tests, into: seen)
    sums.add(place: place, turn: batchIndex) { $0.add(x, seen: seen.view) }
  }
}
