import LanguageModels
import Records
import TensorKernels

/// `sum_z w_z g(z)^2`, element by element, of every watched layer's whole per-sample gradients (outputWidth x inputWidth); in a
/// basis of `(Q_S g(z) Q_A^T)^2`.
struct SquareSummand: BlockSummand {
  private let watched: WatchedLayers
  /// w_z
  private let weights: [Double]
  private let basis: KroneckerEigenbasis?

  /// The rows' mean in a basis.
  init(watched: WatchedLayers, rows: Int, basis: KroneckerEigenbasis) {
    self.watched = watched
    weights = [Double](repeating: 1 / Double(rows), count: rows)
    self.basis = basis
  }

  /// A weighted sum as the gradients are.
  init(watched: WatchedLayers, weights: [Double]) {
    self.watched = watched
    self.weights = weights
    basis = nil
  }

  func zeros() -> [DoubleSum] {
    watched.layers.map { DoubleSum(rows: $0.outputWidth, columns: $0.inputWidth) }
  }

  func observer(_ sums: OrderedSum<DoubleSum>, batch: Int, rows: [Int]) -> any GradientObserver {
    SquareObserver(
      watched: watched, sums: sums, batchIndex: batch, weights: rows.map { weights[$0] }, basis: basis)
  }
}

extension DoubleSum {
  /// A copy in f32; not of a symmetric sum.
  var rounded: MatrixView {
    Matrix(rows: rows, columns: columns, values: values.map { Float($0) }).view
  }
}

/// Forms one sample's gradient of a layer after the other and adds its squares.
private struct SquareObserver: GradientObserver {
  let watched: WatchedLayers
  let sums: OrderedSum<DoubleSum>
  let batchIndex: Int
  let weights: [Double]
  let basis: KroneckerEigenbasis?

  func observe(layer: Int, input: MatrixView, outputGradient: MatrixView, batch: TokenBatch) {
    guard let place = watched.place(ofLayer: layer) else { return }
    let x = basis.map { turned(input, $0.layers[place].inputVectors) } ?? input
    let d = basis.map { turned(outputGradient, $0.layers[place].outputVectors) } ?? outputGradient
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
