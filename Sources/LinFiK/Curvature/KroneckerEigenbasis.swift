import LanguageModels
import Records
import TensorKernels

/// EK-FAC (George et al. 2018, arXiv 1806.03884; for influence Grosse et al. 2023, arXiv 2308.03296): a layer's empirical
/// Fisher, diagonal in the basis of its Kronecker factors' eigenvectors.
///
/// With `A = sum_t x_t x_t^T` and `S = sum_t d_t d_t^T` over the samples' positions, Q_A and Q_S their eigenvectors, and the
/// corrected eigenvalues `L = 1/n sum_z (Q_S g(z) Q_A^T)^2` element by element: `F ~ (Q_A kron Q_S)^T diag(L) (Q_A kron Q_S)`.
/// The gradients are those of the samples' own tokens, not of tokens drawn from the model.
package struct KroneckerEigenbasis: Sendable {
  package struct Layer: Sendable {
    package let name: String
    /// Q_A, inputWidth x inputWidth: an eigenvector of A a row.
    package let inputVectors: MatrixView
    /// Q_S, outputWidth x outputWidth: an eigenvector of S a row.
    package let outputVectors: MatrixView
    /// L, outputWidth x inputWidth, >= 0.
    package let values: MatrixView

    var meanEigenvalue: Double {
      values.values.reduce(0) { $0 + Double($1) } / Double(values.rows * values.columns)
    }
  }

  package let layers: [Layer]

  package init(layers: [Layer]) { self.layers = layers }

  /// Throws where damping is below zero, or zero where a corrected eigenvalue is too.
  package func check(damping: Double) throws {
    try checkDamping(damping)
    guard damping == 0 else { return }
    for layer in layers {
      let values = layer.values.values
      let limit = 1e-6 * (values.max() ?? 0)
      let rank = values.count { $0 > limit }
      if rank < values.count {
        throw LabelError.singular(layer: layer.name, rank: rank, width: values.count)
      }
    }
  }

  /// `(F_l + lambda I)^-1 G_l = Q_S^T ((Q_S G_l Q_A^T) / (L + lambda)) Q_A`, lambda the damping times this layer's mean
  /// eigenvalue. G_l: outputWidth x inputWidth. Zero where F_l is.
  package func preconditioned(_ gradient: MatrixView, place: Int, damping: Double) -> MatrixView {
    let layer = layers[place]
    let (n, m) = (gradient.rows, gradient.columns)
    let mean = layer.meanEigenvalue
    let result = Matrix(rows: n, columns: m)
    guard mean > 0 else { return result.view }
    let half = Matrix(rows: n, columns: m)
    gemm(layer.outputVectors, .no, gradient, into: half)
    gemm(half.view, .no, layer.inputVectors, .yes, into: result)
    for row in 0..<n {
      for column in 0..<m {
        let value = Double(result[row, column]) / (Double(layer.values[row, column]) + damping * mean)
        result[row, column] = Float(value)
      }
    }
    gemm(result.view, .no, layer.inputVectors, into: half)
    gemm(layer.outputVectors, .yes, half.view, into: result)
    return result.view
  }
}

// MARK: - From samples

extension KroneckerEigenbasis {
  /// Two forward and backward passes over the samples: for the factors, and for the eigenvalues in their basis. The same
  /// bits whatever the number of workers. `progress` counts the rows of both passes.
  package init(
    of rows: [TokenizedSample], model: any CausalLanguageModel, watched: WatchedLayers, workers: Int,
    batchTokens: Int, progress: @escaping @Sendable (_ done: Int) throws -> Void = { _ in }
  ) throws {
    let blocks = SummationBlocks(rows: rows, batchTokens: batchTokens)
    let factors = KroneckerFactors(watched)
    try factors.add(blocks, model: model, watched: watched, workers: workers, progress: progress)
    let bases = try factors.eigenvectors(watched: watched, workers: workers)
    let squares = SquaredGradients(watched: watched, weight: { _ in 1 / Double(rows.count) }, bases: bases)
    try squares.add(blocks, model: model, workers: workers, progress: { try progress(rows.count + $0) })
    let values = squares.matrices()
    layers = watched.layers.indices.map {
      Layer(
        name: watched.layers[$0].name, inputVectors: bases[$0].input, outputVectors: bases[$0].output,
        values: values[$0])
    }
  }
}

/// `A = sum_t x_t x_t^T` and `S = sum_t d_t d_t^T` of every watched layer, in f64: A at even places, S at odd.
final class KroneckerFactors: @unchecked Sendable {
  private var sums: [DoubleSum]

  init(_ watched: WatchedLayers) { sums = Self.zeros(watched) }

  private static func zeros(_ watched: WatchedLayers) -> [DoubleSum] {
    watched.layers.flatMap { [DoubleSum(symmetric: $0.inputWidth), DoubleSum(symmetric: $0.outputWidth)] }
  }

  func add(
    _ blocks: SummationBlocks, model: any CausalLanguageModel, watched: WatchedLayers, workers: Int,
    progress: @escaping @Sendable (_ done: Int) throws -> Void
  ) throws {
    try blocks.forEach(
      0..<SummationBlocks.count, model: model, workers: workers, progress: progress,
      makeSums: { Self.zeros(watched) },
      observer: { sums, batch, _ in FactorObserver(watched: watched, sums: sums, batchIndex: batch) },
      finish: { _, block in
        for (total, sum) in zip(sums, block) { total.add(sum) }
      })
  }

  /// Q_A and Q_S of each layer; the sums are gone afterwards.
  func eigenvectors(
    watched: WatchedLayers, workers: Int
  ) throws -> [(input: MatrixView, output: MatrixView)] {
    let found = try parallelMap(count: sums.count, workers: workers) { _, index in
      let sum = self.sums[index]
      guard let pairs = symmetricEigenpairs(sum.matrix, order: sum.rows) else {
        throw LabelError.notFinite("the Kronecker factors of '\(watched.layers[index / 2].name)'")
      }
      return Matrix(rows: sum.rows, columns: sum.rows, values: pairs.vectors.map { Float($0) }).view
    }
    sums = []
    return stride(from: 0, to: found.count, by: 2).map { (found[$0], found[$0 + 1]) }
  }
}

/// Adds each batch's `X^T X` and `D^T D`.
private struct FactorObserver: GradientObserver {
  let watched: WatchedLayers
  let sums: OrderedSum<DoubleSum>
  let batchIndex: Int

  func observe(layer: Int, input: MatrixView, outputGradient: MatrixView, batch: TokenBatch) {
    guard let place = watched.place(ofLayer: layer) else { return }
    for (index, x) in [(2 * place, input), (2 * place + 1, outputGradient)] {
      let product = Matrix(rows: x.columns, columns: x.columns)
      gemm(x, .yes, x, into: product)
      sums.add(place: index, turn: batchIndex) { $0.add(product.view) }
    }
  }
}
