import Formats
import LanguageModels
import Records
import TensorKernels

/// What is made ready before the first sample is labelled, and what stands of it in the files.
extension LabelRun {
  /// The projection and the curvature that decide the labels.
  struct Prepared {
    let projection: LoGraProjection?
    let curvature: Curvature?
    let curvatureSHA256: String?

    init(projection: LoGraProjection?, curvature: Curvature?) {
      self.projection = projection
      self.curvature = curvature
      curvatureSHA256 = curvature?.sha256
    }
  }

  /// Where they are not given, made by passes over `principalRows` and the samples.
  func prepared(
    workers: Int, progress: @escaping @Sendable (LabelProgress) throws -> Void
  ) throws -> Prepared {
    if let curvature { return Prepared(projection: curvature.projection, curvature: curvature) }
    let projection = try projection(workers: workers, progress: progress)
    guard let recipe = curvatureRecipe else { return Prepared(projection: projection, curvature: nil) }
    let made = try recipe.curvature(projection, workers: workers) { done, total in
      try progress(.curvature(done: done, of: total))
    }
    try made.check(configuration)
    return Prepared(projection: projection, curvature: made)
  }

  /// How the run makes its curvature; nil where it needs none or has one.
  var curvatureRecipe: CurvatureRecipe? {
    guard curvature == nil, let kind = CurvatureKind(for: configuration.kind) else { return nil }
    return CurvatureRecipe(
      kind: kind, model: model, watched: watched, samples: samples, projection: configuration.projection,
      beta2: configuration.beta2, seed: configuration.seed)
  }

  /// Where it is made from gradients, by one pass over `principalRows`.
  private func projection(
    workers: Int, progress: @escaping @Sendable (LabelProgress) throws -> Void
  ) throws -> LoGraProjection? {
    switch configuration.projection {
    case .none: return nil
    case .random(let rank): return LoGraProjection(watched: watched, rank: rank, seed: configuration.seed)
    case .pca(let rank, let explained):
      let rows = principalRows
      return try LoGraProjection(
        principalComponentsOf: rows, model: model.model, watched: watched, rank: rank, explained: explained,
        seed: configuration.seed, workers: workers, batchTokens: batchTokens,
        progress: { try progress(.components(done: $0, of: rows.count)) })
    }
  }

  /// Throws before any pass where F must be inverted without damping and has fewer rows than numbers.
  func refuseSingularFisher() throws {
    guard configuration.kind.needsProjection, configuration.damping == 0,
      let rank = configuration.projection.rank
    else { return }
    for layer in watched.layers {
      let width = min(rank, layer.inputWidth) * min(rank, layer.outputWidth)
      if samples.count < width {
        throw LabelError.singular(layer: layer.name, rank: samples.count, width: width)
      }
    }
  }

  /// The measure that the configuration asks for, made ready by one pass over the targets.
  func influenceMeasure(
    _ prepared: Prepared, workers: Int, progress: @escaping @Sendable (LabelProgress) throws -> Void
  ) throws -> any InfluenceMeasure {
    let count = targets.count * max(1, checkpoints.count) * (configuration.holdsEachTarget ? 2 : 1)
    let targetProgress = { @Sendable done in try progress(.targets(done: done, of: count)) }
    if configuration.kind == .tracin {
      return try CheckpointInfluence(
        checkpoints, targets: targets.sequences, watched: watched, perTarget: configuration.perTarget,
        perLayer: configuration.perLayer, workers: workers, batchTokens: batchTokens, progress: targetProgress
      )
    }
    guard let projection = prepared.projection else {
      let target = try MeanGradient(
        of: targets.sequences, model: model.model, watched: watched, workers: workers,
        batchTokens: batchTokens, progress: targetProgress)
      let preconditioned = { @Sendable [configuration] (gradient: MeanGradient) in
        try prepared.curvature?.preconditioned(gradient, configuration) ?? gradient
      }
      let others =
        try configuration.perTarget
        ? MeanGradient.ofEach(
          targets.sequences, model: model.model, watched: watched, workers: workers, batchTokens: batchTokens,
          progress: { [first = targets.count] in try targetProgress(first + $0) }, transform: preconditioned)
        : []
      return ExactInfluence(
        model: model.model, watched: watched, target: try preconditioned(target),
        others: others, kind: configuration.kind,
        gradientNorm: configuration.gradientNorm, perLayer: configuration.perLayer)
    }
    return try ProjectedInfluence(
      of: targets.sequences, model: model.model, watched: watched, projection: projection,
      kind: configuration.kind, fisher: try prepared.curvature?.dampedFisher(configuration),
      gradientNorm: configuration.gradientNorm, perTarget: configuration.perTarget,
      perLayer: configuration.perLayer, keepsGradients: configuration.storesGradients, workers: workers,
      batchTokens: batchTokens,
      progress: targetProgress)
  }
}

extension Curvature {
  /// Throws where it cannot be inverted with the configuration's damping or eps.
  func check(_ configuration: LabelConfiguration) throws {
    switch content {
    case .fisher(let fisher, _): try fisher.check(damping: configuration.damping)
    case .kronecker(let basis): try basis.check(damping: configuration.damping)
    case .secondMoment: break
    }
  }

  func dampedFisher(_ configuration: LabelConfiguration) throws -> DampedFisher? {
    guard case .fisher(let fisher, _) = content else { return nil }
    return try DampedFisher(fisher, damping: configuration.damping)
  }

  /// C^-1 G of a whole gradient.
  func preconditioned(_ target: MeanGradient, _ configuration: LabelConfiguration) throws -> MeanGradient {
    try MeanGradient(target) { gradient, place in
      switch content {
      case .fisher: preconditionFailure("a projected Fisher and a whole gradient")
      case .kronecker(let basis):
        basis.preconditioned(gradient, place: place, damping: configuration.damping)
      case .secondMoment(let moment):
        moment.preconditioned(gradient, place: place, epsilon: configuration.epsilon)
      }
    }
  }
}

// MARK: - What stands in the files

extension LabelRun {
  /// Rows and widths of the datasets; gradients at their widest, where components are yet to be chosen.
  package var shape: LabelShape {
    shape(width: configuration.projection.rank.map(watched.projectedWidth) ?? 0)
  }

  func shape(_ prepared: Prepared) -> LabelShape { shape(width: prepared.projection?.width ?? 0) }

  private func shape(width: Int) -> LabelShape {
    LabelShape(
      rows: labelled.count, targets: configuration.perTarget ? targets.count : 0,
      layers: configuration.perLayer ? watched.layers.count : 0,
      projected: configuration.storesGradients ? width : 0, storage: configuration.gradientStorage)
  }

  /// Whether the label file keeps the projection beside the gradients: it follows from nothing that the file says.
  var isProjectionKept: Bool {
    guard configuration.storesGradients else { return false }
    if case .pca = configuration.projection { return true }
    // A curvature file's projection came of a seed of its own.
    return curvature != nil
  }

  /// Everything that decides the rows; a journal made with anything else is refused.
  func journalConfiguration(_ prepared: Prepared) -> JSONValue {
    let always: JSONValue = [
      "alinfik_version": JSONValue(alinfikVersion), "model": JSONValue(model.sha256),
      "target": JSONValue(targets.sha256), "sample": JSONValue(samples.sha256),
      "kind": JSONValue(configuration.kind.rawValue), "layers": JSONValue(configuration.layers),
      "precision": JSONValue(model.model.precision.rawValue),
      // Other instructions round otherwise: a resumed run would not equal an uninterrupted one.
      "kernels": JSONValue(vectorInstructionSet),
      "projection": JSONValue(configuration.projection.name),
      "projection_sha256": JSONValue(prepared.projection?.sha256 ?? ""),
      "rank": JSONValue(configuration.projection.rank ?? 0),
      "gradient_norm": JSONValue(configuration.gradientNorm),
      "per_target": JSONValue(configuration.perTarget),
      "store_gradients": JSONValue(configuration.storesGradients),
      "max_tokens": JSONValue(configuration.maximumTokens ?? 0), "seed": JSONValue(configuration.seed),
      "target_description": JSONValue(configuration.targetDescription),
    ]
    let ofKind = kindAttributes(prepared).sorted { $0.key < $1.key }.map {
      (key: ByteString($0.key), value: JSONValue($0.value))
    }
    let damping =
      configuration.kind.needsDamping
      ? [(key: ByteString("damping"), value: JSONValue(configuration.damping))] : []
    return .object((always.members ?? []) + damping + ofKind)
  }

  /// What only some kinds say of themselves.
  private func kindAttributes(_ prepared: Prepared) -> [String: String] {
    var attributes: [String: String] = [:]
    if let sha256 = prepared.curvatureSHA256 { attributes["curvature_sha256"] = sha256 }
    if let explained = configuration.projection.explained { attributes["explained"] = "\(explained)" }
    if let shard = configuration.shard { attributes["shard"] = "\(shard)" }
    if configuration.kind == .adam { attributes["epsilon"] = "\(configuration.epsilon)" }
    if !checkpoints.isEmpty {
      attributes["checkpoints"] = checkpoints.map { "\($0.sha256):\($0.learningRate)" }.joined(separator: " ")
    }
    return attributes
  }

  /// Equal for an interrupted and an uninterrupted run but for `command`.
  func attributes(_ prepared: Prepared) -> LabelAttributes {
    var extra = kindAttributes(prepared)
    extra["layers"] = configuration.layers
    extra["sample_sha256"] = samples.sha256
    if let projection = prepared.projection { extra["projection_sha256"] = projection.sha256 }
    return LabelAttributes(
      alinfikVersion: alinfikVersion, kind: configuration.kind.rawValue, modelSHA256: model.sha256,
      targetSHA256: targets.sha256, targetDescription: configuration.targetDescription,
      projection: configuration.projection.name, rank: configuration.projection.rank ?? 0,
      damping: configuration.kind.needsDamping ? configuration.damping : 0,
      precision: model.model.precision.rawValue, seed: configuration.seed,
      maxTokens: configuration.maximumTokens, command: configuration.command,
      extra: extra)
  }
}
