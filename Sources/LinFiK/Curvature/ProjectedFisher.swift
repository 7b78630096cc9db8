import LanguageModels
import Records
import TensorKernels

/// The empirical Fisher of LoGra-projected gradients (Choe et al. 2024, arXiv 2405.13954), a block a layer:
/// `F = 1/n sum_z (P g(z)) (P g(z))^T` over the samples, never the targets.
///
/// It is kept as eigenpairs, `F = V^T S V`, so that one file serves every damping: nothing inverse is stored.
package struct ProjectedFisher: Sendable {
  /// One layer's block, k x k, k the numbers of its projected gradient.
  package struct Layer: Sendable {
    package let name: String
    /// V, r x k: an eigenvector a row, orthonormal, r <= k. Where r < k, F is zero outside them.
    package let vectors: MatrixView
    /// S, 1 x r, ascending, >= 0.
    package let values: MatrixView

    /// Of all k eigenvalues, in the squared unit of a gradient.
    var meanEigenvalue: Double {
      values.columns == 0 ? 0 : values.values.reduce(0) { $0 + Double($1) } / Double(vectors.columns)
    }

    /// lambda, for this layer alone: `damping x mean eigenvalue`.
    func lambda(_ damping: Double) -> Double { damping * meanEigenvalue }

    /// Whether some direction has no curvature that f32 could tell from none.
    var isSingular: Bool {
      values.columns < vectors.columns || values[0, 0] <= 1e-6 * values[0, values.columns - 1]
    }
  }

  package let layers: [Layer]

  package init(layers: [Layer]) { self.layers = layers }

  /// Throws where `(F + lambda I)` cannot be inverted: damping below zero, or zero with a singular F.
  package func check(damping: Double) throws {
    try checkDamping(damping)
    guard damping == 0, let layer = layers.first(where: \.isSingular) else { return }
    throw LabelError.singular(layer: layer.name, rank: layer.values.columns, width: layer.vectors.columns)
  }

  /// `(F + lambda I)^-1 g` of each row g of `gradients` (m x the projection's width), layer by layer:
  /// `V^T (S + lambda)^-1 V g`, and `1 / lambda` times what V does not span.
  ///
  /// A layer whose F is zero gives zero: no sample has a gradient there.
  package func preconditioned(_ gradients: MatrixView, _ projection: LoGraProjection, damping: Double)
    -> MatrixView
  {
    let result = Matrix(rows: gradients.rows, columns: gradients.columns)
    for (layer, sides) in zip(layers, projection.layers) where layer.meanEigenvalue > 0 {
      let g = gradients.columns(sides.range)
      let solved = result.columns(sides.range)
      let lambda = layer.lambda(damping)
      let coordinates = Matrix(rows: g.rows, columns: layer.values.columns)
      gemm(g, .no, layer.vectors, .yes, into: coordinates)
      // Where V spans everything, what is left of g outside it is rounding.
      let outside = layer.values.columns < layer.vectors.columns ? 1 / lambda : 0
      for column in 0..<coordinates.columns {
        let factor = Float(1 / (Double(layer.values[0, column]) + lambda) - outside)
        for row in 0..<coordinates.rows { coordinates[row, column] *= factor }
      }
      solved.copy(g)
      gemm(coordinates.view, .no, layer.vectors, into: solved, alpha: 1, beta: Float(outside))
    }
    return result.view
  }

  /// Each row's influence on itself, `g^T (F + lambda I)^-1 g`, all layers together (RelatIF: Barshan et al. 2020,
  /// arXiv 2003.11630). A row's bits do not depend on the others.
  package func selfInfluence(of gradients: MatrixView, _ projection: LoGraProjection, damping: Double)
    -> [Double]
  {
    var sums = [Double](repeating: 0, count: gradients.rows)
    for (layer, sides) in zip(layers, projection.layers) where layer.meanEigenvalue > 0 {
      let g = gradients.columns(sides.range)
      let lambda = layer.lambda(damping)
      let inverse = layer.values.values.map { 1 / (Double($0) + lambda) }
      let coordinates = Matrix(rows: g.rows, columns: inverse.count)
      gemm(g, .no, layer.vectors, .yes, into: coordinates)
      for row in 0..<g.rows {
        var (inside, norm) = (0.0, 0.0)
        for column in 0..<inverse.count {
          let square = Double(coordinates[row, column]) * Double(coordinates[row, column])
          inside += square * inverse[column]
          norm += square
        }
        sums[row] += inside
        if inverse.count < layer.vectors.columns {
          let whole = dot(g.rows(row..<row + 1), g.rows(row..<row + 1))
          sums[row] += max(0, whole - norm) / lambda
        }
      }
    }
    return sums
  }
}

/// Throws where a damping factor makes no sense: lambda must not be negative.
func checkDamping(_ damping: Double) throws {
  guard damping >= 0, damping.isFinite else {
    throw LabelError.options("--damping \(damping): a number above 0 is wanted")
  }
}

// MARK: - From samples

extension ProjectedFisher {
  /// One forward and backward pass over the samples. The same bits whatever the number of workers.
  package init(
    of rows: [TokenizedSample], model: any CausalLanguageModel, watched: WatchedLayers,
    projection: LoGraProjection, workers: Int, batchTokens: Int,
    progress: @escaping @Sendable (_ done: Int) throws -> Void = { _ in }
  ) throws {
    let summand = FisherSummand(
      rows: rows.count, own: 0..<rows.count, projection: projection, watched: watched,
      precision: model.precision)
    let products = try SummationBlocks(rows: rows, batchTokens: batchTokens)
      .total(of: summand, model: model, workers: workers, progress: progress)
    try self.init(
      rows: rows.count, gradients: summand.gradients.map { $0?.view }, products: products,
      names: watched.layers.map(\.name), workers: workers)
  }

  /// Of gradients that are there already, n x the projection's width.
  package init(
    gradients: MatrixView, projection: LoGraProjection, watched: WatchedLayers, workers: Int
  ) throws {
    layers = try parallelMap(count: watched.layers.count, workers: workers) { _, place in
      try Layer(
        name: watched.layers[place].name, gradients: gradients.columns(projection.layers[place].range))
    }
  }

  /// Of sums over all rows: by layer the gradients, or where there are none `A^T A`.
  init(rows: Int, gradients: [MatrixView?], products: [DoubleSum], names: [String], workers: Int) throws {
    layers = try parallelMap(count: names.count, workers: workers) { _, place in
      try gradients[place].map { try Layer(name: names[place], gradients: $0) }
        ?? Layer(name: names[place], products: products[place].matrix, rows: rows)
    }
  }
}

/// What is kept of the samples' projected gradients until F is known: of a layer with more numbers than there are rows the
/// gradients themselves (A, n x k: `A^T A` would be larger), of any other `A^T A`, in f64.
struct FisherSummand: BlockSummand, @unchecked Sendable {
  private let rows: Int
  private let own: Range<Int>
  private let projection: LoGraProjection
  private let watched: WatchedLayers
  private let precision: Precision
  /// By layer, `own` rows; nil where the products are summed. A row is written by the one worker that has its batch.
  let gradients: [Matrix?]

  /// - Parameters:
  ///   - rows: of all shards.
  ///   - own: those that are passed over here.
  init(
    rows: Int, own: Range<Int>, projection: LoGraProjection, watched: WatchedLayers, precision: Precision
  ) {
    self.rows = rows
    self.own = own
    self.projection = projection
    self.watched = watched
    self.precision = precision
    gradients = projection.layers.map {
      Self.keepsGradients(width: $0.range.count, rows: rows)
        ? Matrix(rows: own.count, columns: $0.range.count) : nil
    }
  }

  static func keepsGradients(width: Int, rows: Int) -> Bool { width > rows }

  func zeros() -> [DoubleSum] {
    projection.layers.map { layer in
      let width = layer.range.count
      return DoubleSum(symmetric: Self.keepsGradients(width: width, rows: rows) ? 0 : width)
    }
  }

  /// Numbers held, in bytes: what a plan must reckon with, a block's own sums included.
  static func bytes(rows: Int, widths: [Int]) -> Int {
    widths.reduce(0) { $0 + ($1 > rows ? 4 * $1 * rows : 8 * $1 * ($1 + 1)) }
  }

  func observer(_ sums: OrderedSum<DoubleSum>, batch: Int, rows: [Int]) -> any GradientObserver {
    FisherObserver(
      projection: projection, watched: watched,
      projected: ProjectedGradients(
        projection: projection, watched: watched, samples: rows.count, precision: precision),
      gradients: gradients, products: sums, batchIndex: batch, rows: rows.map { $0 - own.lowerBound })
  }
}

extension ProjectedFisher.Layer {
  /// From `A^T A` (k x k, its lower triangle), n the rows of A.
  fileprivate init(name: String, products: [Double], rows n: Int) throws {
    let k = Int(Double(products.count).squareRoot())
    guard let found = symmetricEigenpairs(products.map { $0 / Double(n) }, order: k) else {
      throw LabelError.notFinite("the Fisher matrix of '\(name)'")
    }
    let isZero = (found.values.last ?? 0) <= 0
    let (rows, values) = isZero ? (0, []) : (k, found.values.map { Float(max(0, $0)) })
    self.init(
      name: name,
      vectors: Matrix(rows: rows, columns: k, values: isZero ? [] : found.vectors.map { Float($0) }).view,
      values: Matrix(rows: 1, columns: rows, values: values).view)
  }

  /// From the gradients A, n x k. Where k > n: `A A^T / n` (n x n) has the same eigenvalues s, and from its eigenvectors u
  /// come those of F, `A^T u / sqrt(n s)`.
  fileprivate init(name: String, gradients a: MatrixView) throws {
    let (n, k) = (a.rows, a.columns)
    guard k > n else {
      try self.init(name: name, products: innerProducts(a, a), rows: n)
      return
    }
    let transposed = a.transposed
    guard
      let found = symmetricEigenpairs(
        innerProducts(transposed, transposed).map { $0 / Double(n) }, order: n)
    else { throw LabelError.notFinite("the Fisher matrix of '\(name)'") }
    let largest = found.values.last ?? 0
    // Below this an eigenvector would be made of rounding.
    let kept = largest > 0 ? found.values.indices.filter { found.values[$0] > 1e-10 * largest } : []
    let combined = product(kept.flatMap { found.vectors[$0 * n..<($0 + 1) * n] }, a)
    let vectors = Matrix(rows: kept.count, columns: k)
    for (row, index) in kept.enumerated() {
      let scale = 1 / (Double(n) * found.values[index]).squareRoot()
      for column in 0..<k { vectors[row, column] = Float(combined[row * k + column] * scale) }
    }
    self.init(
      name: name, vectors: vectors.view,
      values: Matrix(rows: 1, columns: kept.count, values: kept.map { Float(found.values[$0]) }).view)
  }
}

/// Projects a batch's gradients and adds them to the sums, layer by layer.
private struct FisherObserver: GradientObserver, @unchecked Sendable {
  let projection: LoGraProjection
  let watched: WatchedLayers
  let projected: ProjectedGradients
  let gradients: [Matrix?]
  let products: OrderedSum<DoubleSum>
  let batchIndex: Int
  /// Where each sample's gradient is kept.
  let rows: [Int]

  func observe(layer: Int, input: MatrixView, outputGradient: MatrixView, batch: TokenBatch) {
    guard let place = watched.place(ofLayer: layer) else { return }
    projected.observe(layer: layer, input: input, outputGradient: outputGradient, batch: batch)
    let found = projected.gradients.view.columns(projection.layers[place].range)
    if let kept = gradients[place] {
      for (sample, row) in rows.enumerated() {
        kept.rows(row..<row + 1).copy(found.rows(sample..<sample + 1))
      }
    } else {
      let product = Matrix(rows: found.columns, columns: found.columns)
      gemm(found, .yes, found, into: product)
      products.add(place: place, turn: batchIndex) { $0.add(product.view) }
    }
  }
}
