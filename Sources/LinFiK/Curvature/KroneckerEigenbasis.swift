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
    /// L, outputWidth x inputWidth, >= 0; without rows where they are not corrected yet.
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
    let basis = try Self(
      factors: try SummationBlocks(rows: rows, batchTokens: batchTokens).total(
        of: FactorSummand(watched: watched), model: model, workers: workers, progress: progress),
      names: watched.layers.map(\.name), workers: workers)
    try self.init(
      correcting: basis, of: rows, model: model, watched: watched, workers: workers, batchTokens: batchTokens,
      progress: { try progress(rows.count + $0) })
  }

  /// The second pass alone, in a basis that is there already.
  package init(
    correcting basis: KroneckerEigenbasis, of rows: [TokenizedSample], model: any CausalLanguageModel,
    watched: WatchedLayers, workers: Int, batchTokens: Int,
    progress: @escaping @Sendable (_ done: Int) throws -> Void
  ) throws {
    let squares = try SummationBlocks(rows: rows, batchTokens: batchTokens).total(
      of: SquareSummand(watched: watched, rows: rows.count, basis: basis), model: model, workers: workers,
      progress: progress)
    self.init(correcting: basis, squares: squares)
  }

  /// From each layer's sums of squares in a basis.
  init(correcting basis: KroneckerEigenbasis, squares: [DoubleSum]) {
    layers = zip(basis.layers, squares).map { layer, sum in
      Layer(
        name: layer.name, inputVectors: layer.inputVectors, outputVectors: layer.outputVectors,
        values: sum.rounded)
    }
  }

  /// Q_A and Q_S from the factors' sums, A at even places and S at odd; not corrected yet.
  init(factors: [DoubleSum], names: [String], workers: Int) throws {
    let found = try parallelMap(count: factors.count, workers: workers) { _, index in
      let sum = factors[index]
      guard let pairs = symmetricEigenpairs(sum.matrix, order: sum.rows) else {
        throw LabelError.notFinite("the Kronecker factors of '\(names[index / 2])'")
      }
      return Matrix(rows: sum.rows, columns: sum.rows, values: pairs.vectors.map { Float($0) }).view
    }
    layers = names.enumerated().map { place, name in
      Layer(
        name: name, inputVectors: found[2 * place], outputVectors: found[2 * place + 1],
        values: Matrix(rows: 0, columns: found[2 * place].columns).view)
    }
  }
}

/// `A = sum_t x_t x_t^T` and `S = sum_t d_t d_t^T` of every watched layer: A at even places, S at odd.
struct FactorSummand: BlockSummand {
  let watched: WatchedLayers

  func zeros() -> [DoubleSum] {
    watched.layers.flatMap { [DoubleSum(symmetric: $0.inputWidth), DoubleSum(symmetric: $0.outputWidth)] }
  }

  func observer(_ sums: OrderedSum<DoubleSum>, batch: Int, rows: [Int]) -> any GradientObserver {
    FactorObserver(watched: watched, sums: sums, batchIndex: batch)
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
