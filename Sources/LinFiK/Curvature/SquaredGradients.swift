import LanguageModels
import Records
import TensorKernels

/// `sum_z w_z g(z)^2`, element by element, of every watched layer's whole per-sample gradients (outputWidth x inputWidth),
/// in f64; with bases of `(Q_S g(z) Q_A^T)^2`.
struct SquaredGradients {
  let watched: WatchedLayers
  /// w_z of a row by its place in the input.
  let weight: @Sendable (_ row: Int) -> Double
  /// Q_A and Q_S of each layer, or nil.
  let bases: [(input: MatrixView, output: MatrixView)]?
  private let sums: [DoubleSum]

  init(
    watched: WatchedLayers, weight: @escaping @Sendable (_ row: Int) -> Double,
    bases: [(input: MatrixView, output: MatrixView)]?
  ) {
    self.watched = watched
    self.weight = weight
    self.bases = bases
    sums = Self.zeros(watched)
  }

  private static func zeros(_ watched: WatchedLayers) -> [DoubleSum] {
    watched.layers.map { DoubleSum(rows: $0.outputWidth, columns: $0.inputWidth) }
  }

  func add(
    _ blocks: SummationBlocks, model: any CausalLanguageModel, workers: Int,
    progress: @escaping @Sendable (_ done: Int) throws -> Void
  ) throws {
    let (watched, weight, bases) = (watched, weight, bases)
    try blocks.forEach(
      0..<SummationBlocks.count, model: model, workers: workers, progress: progress,
      makeSums: { Self.zeros(watched) },
      observer: { sums, batch, rows in
        SquareObserver(
          watched: watched, sums: sums, batchIndex: batch, weights: rows.map(weight), bases: bases)
      },
      finish: { _, block in
        for (total, sum) in zip(sums, block) { total.add(sum) }
      })
  }

  /// The sums, rounded to f32.
  func matrices() -> [MatrixView] {
    sums.map { Matrix(rows: $0.rows, columns: $0.columns, values: $0.values.map { Float($0) }).view }
  }
}

/// Forms one sample's gradient of a layer after the other and adds its squares.
private struct SquareObserver: GradientObserver {
  let watched: WatchedLayers
  let sums: OrderedSum<DoubleSum>
  let batchIndex: Int
  let weights: [Double]
  let bases: [(input: MatrixView, output: MatrixView)]?

  func observe(layer: Int, input: MatrixView, outputGradient: MatrixView, batch: TokenBatch) {
    guard let place = watched.place(ofLayer: layer) else { return }
    let x = bases.map { turned(input, $0[place].input) } ?? input
    let d = bases.map { turned(outputGradient, $0[place].output) } ?? outputGradient
    let gradient = Matrix(rows: d.columns, columns: x.columns)
    sums.add(place: place, turn: batchIndex) { sum in
      for sample in 0..<batch.count {
        let rows = batch.rows(of: sample)
        gemm(d.rows(rows), .yes, x.rows(rows), into: gradient)
        sum.addSquares(of: gradient.view, times: weights[sample])
      }
    }
  }

  /// `X Q^T`
  private func turned(_ x: MatrixView, _ basis: MatrixView) -> MatrixView {
    let result = Matrix(rows: x.rows, columns: basis.rows)
    gemm(x, .no, basis, .yes, into: result)
    return result.view
  }
}
