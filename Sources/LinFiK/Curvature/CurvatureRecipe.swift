import Formats
import LanguageModels
import Records
import TensorKernels

/// Everything that a curvature is made of; makes it by one or two passes over the samples.
package struct CurvatureRecipe: Sendable {
  package let kind: CurvatureKind
  package let model: LoadedModel
  package let watched: WatchedLayers
  /// Nil where it comes from an optimizer's state.
  package let samples: PreparedRows?
  /// Of `fisher`.
  package let projection: Projection
  /// Of `adam`.
  package let beta2: Double
  package let seed: UInt64

  package init(
    kind: CurvatureKind, model: LoadedModel, watched: WatchedLayers, samples: PreparedRows?,
    projection: Projection, beta2: Double, seed: UInt64
  ) {
    self.kind = kind
    self.model = model
    self.watched = watched
    self.samples = samples
    self.projection = projection
    self.beta2 = beta2
    self.seed = seed
  }

  package var origin: CurvatureOrigin {
    CurvatureOrigin(kind: kind, model: model, watched: watched, samples: samples, projection: projection)
  }

  private var rows: [TokenizedSample] { samples?.sequences ?? [] }
  private var batchTokens: Int { LabelDefaults.batchTokens(for: model.model) }

  /// Of an optimizer's state after `step` steps.
  package func curvature(optimizerState path: String, step: Int) throws -> Curvature {
    Curvature(
      origin: origin,
      content: .secondMoment(
        try SecondMoment(optimizerState: path, step: step, beta2: beta2, watched: watched)))
  }

  /// Of the samples. `progress` gets the rows done of all passes; what it throws ends them.
  ///
  /// - Parameter made: the projection itself, where it is there already; else it is made here, principal components from
  ///   samples alone.
  package func curvature(
    _ made: LoGraProjection? = nil, workers: Int,
    progress: @escaping @Sendable (_ done: Int, _ of: Int) throws -> Void
  ) throws -> Curvature {
    let passes = kind == .ekfac ? 2 : 1
    let step = { @Sendable [count = passes * rows.count] done in try progress(done, count) }
    let content: Curvature.Content
    switch kind {
    case .ekfacBasis: preconditionFailure("a basis is made of shards")
    case .fisher:
      let projection = try made ?? LoGraProjection(self, workers: workers)
      content = .fisher(
        try ProjectedFisher(
          of: rows, model: model.model, watched: watched, projection: projection, workers: workers,
          batchTokens: batchTokens, progress: step), projection)
    case .ekfac:
      content = .kronecker(
        try KroneckerEigenbasis(
          of: rows, model: model.model, watched: watched, workers: workers, batchTokens: batchTokens,
          progress: step))
    case .adam:
      content = .secondMoment(
        try SecondMoment(
          of: rows, beta2: beta2, model: model.model, watched: watched, workers: workers,
          batchTokens: batchTokens, progress: step))
    }
    return Curvature(origin: origin, content: content)
  }
}

extension LoGraProjection {
  /// The projection of a recipe; principal components by a pass over some of its samples.
  init(_ recipe: CurvatureRecipe, workers: Int) throws {
    switch recipe.projection {
    case .none: preconditionFailure("a Fisher matrix without a projection")
    case .random(let rank): self.init(watched: recipe.watched, rank: rank, seed: recipe.seed)
    case .pca(let rank, let explained):
      let samples = recipe.samples?.spread(LabelDefaults.principalSamples) ?? []
      try self.init(
        principalComponentsOf: samples, model: recipe.model.model, watched: recipe.watched, rank: rank,
        explained: explained, seed: recipe.seed, workers: workers,
        batchTokens: LabelDefaults.batchTokens(for: recipe.model.model))
    }
  }
}

extension PreparedRows {
  /// At most `count` sequences, at even distances.
  func spread(_ count: Int) -> [TokenizedSample] {
    let count = min(count, self.count)
    return (0..<count).map { sequences[$0 * self.count / count] }
  }
}

// MARK: - What it takes

extension CurvatureRecipe {
  /// Memory beside the model's, in bytes: sums in f64, those of a block beside the total's, and what is made of them.
  package var memoryBytes: Double {
    switch kind {
    case .fisher:
      let widths = projectedWidths
      let vectors = widths.reduce(0) { $0 + 4 * $1 * min($1, rows.count) }
      return Double(FisherSummand.bytes(rows: rows.count, widths: widths) + vectors)
    case .ekfac, .ekfacBasis:
      let squares = factorNumbers
      // Half of each factor twice in f64, then whole eigenvectors in f32 beside two sums of eigenvalues in f64.
      return max(8 * squares + 4 * squares, 4 * squares + 16 * Double(watched.parameterCount))
    case .adam:
      return (rows.isEmpty ? 4 : 20) * Double(watched.parameterCount)
    }
  }

  /// One block's sums in f64; of EK-FAC's two rounds the larger.
  private var blockBytes: Double {
    switch kind {
    case .fisher:
      projectedWidths.reduce(0) {
        $0 + (FisherSummand.keepsGradients(width: $1, rows: rows.count) ? 0 : 4 * Double($1 * ($1 + 1)))
      }
    case .ekfac, .ekfacBasis: max(4 * factorNumbers, 8 * Double(watched.parameterCount))
    case .adam: 8 * Double(watched.parameterCount)
    }
  }

  private var projectedWidths: [Int] {
    let rank = projection.rank ?? 0
    return watched.layers.map { min(rank, $0.inputWidth) * min(rank, $0.outputWidth) }
  }

  /// Of both Kronecker factors of every layer.
  private var factorNumbers: Double {
    watched.layers.reduce(0) { sum, layer in
      sum + Double(layer.inputWidth * layer.inputWidth + layer.outputWidth * layer.outputWidth)
    }
  }

  /// Floating-point operations of all passes.
  package var operations: Double {
    let pass = Operations(of: rows, model: model.model, watched: watched)
    switch kind {
    case .fisher: return pass.projectedLabels(rank: projection.rank ?? 0)
    case .ekfac, .ekfacBasis: return pass.kroneckerFactors + pass.squaredGradients + pass.kroneckerTurns
    case .adam: return pass.squaredGradients
    }
  }

  package var planDescription: String {
    let teraflop = (operations / 1e11).rounded() / 10
    return
      "\(rows.count) rows, \(teraflop) TFLOP, about \(Int(memoryBytes / 1e6)) MB of memory beside the model's"
  }

  /// Throws where the machine has not enough memory left, saying what to change.
  ///
  /// - Parameter shard: keeps the sums of each of its blocks apart.
  package func refuseTooLittleMemory(shard: Shard? = nil, available: Double? = availableMemory()) throws {
    let apart = shard.map { Double(SummationBlocks.blocks(of: $0).count - 1) * blockBytes } ?? 0
    let needed = memoryBytes + apart
    guard let available, needed > available else { return }
    throw LabelError.options(
      "\(kind.rawValue) curvature needs about \(Int(needed / 1e6)) MB of memory and \(Int(available / 1e6)) MB are "
        + "free; choose fewer --layers\(kind == .fisher ? ", or a smaller --rank" : "")"
        + (apart > 0 ? ", or more shards" : ""))
  }
}

extension Curvature {
  /// A summary as one JSON object.
  package func json(output: String) -> String {
    let object: JSONValue = [
      "output": JSONValue(output), "kind": JSONValue(origin.kind.rawValue),
      "layers": JSONValue(origin.layers.count), "samples": JSONValue(origin.sampleCount),
      "sha256": JSONValue(sha256),
    ]
    return String(decoding: object.serialized(), as: UTF8.self)
  }
}
