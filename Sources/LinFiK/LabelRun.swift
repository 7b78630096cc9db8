import Formats
import LanguageModels
import Records
import Synchronization
import TensorKernels

/// Everything `label` is told; it is kept in the label file, so that a run can be repeated from it.
package struct LabelConfiguration: Sendable {
  package var kind = LabelKind.dot
  package var layers = "*"
  package var projection = Projection.none
  package var gradientNorm = false
  package var perTarget = false
  package var storesGradients = false
  package var gradientStorage = GradientStorage.f16
  package var seed: UInt64 = 0
  package var maximumTokens: Int?
  package var targetDescription = ""
  /// The command line, file names without folders.
  package var command = ""

  package init() {}

  /// Whether each sample's gradient norm is asked for, or needed by the kind.
  var measuresNorm: Bool { gradientNorm || kind.needsNorm }

  /// Throws `LabelError.options` for options that contradict each other.
  package func validate() throws {
    if projection == .none, perTarget || storesGradients {
      throw LabelError.options(
        "\(perTarget ? "--per-target" : "--store-gradients") wants --projection random or pca: whole gradients of "
          + "every target are too large to keep")
    }
    if let rank = projection.rank, rank < 1 { throw LabelError.options("--rank \(rank): at least 1") }
  }
}

/// What a label run says while it works.
package enum LabelProgress: Sendable {
  /// Rows of the pass that the principal components are taken from.
  case components(done: Int, of: Int)
  case targets(done: Int, of: Int)
  /// Samples done, those found in the journal among them, and how fast the others went.
  case samples(done: Int, of: Int, resumed: Int, rate: LabelRate)
  case writing
}

/// How fast samples are labelled.
package struct LabelRate: Sendable {
  package let samplesPerSecond: Double
  package let tokensPerSecond: Double
  package let secondsLeft: Double
}

/// What a label run did.
package struct LabelSummary: Sendable {
  package let samples: Int
  package let resumed: Int
  package let tokens: Int
  package let seconds: Double
}

/// Labels samples with real gradients: a journal row a sample as it is done, and the label file when all are.
///
/// Given the projection, samples are independent of each other, so an interrupted run goes on where its journal ends, with
/// the same bits.
package struct LabelRun: Sendable {
  package let model: LoadedModel
  package let watched: WatchedLayers
  package let targets: PreparedRows
  package let samples: PreparedRows
  package let configuration: LabelConfiguration

  package init(
    model: LoadedModel, targets: PreparedRows, samples: PreparedRows, configuration: LabelConfiguration
  ) throws {
    try configuration.validate()
    guard !targets.records.isEmpty else { throw LabelError.emptyTarget }
    guard !samples.records.isEmpty else { throw LabelError.noSample }
    self.model = model
    self.targets = targets
    self.samples = samples
    self.configuration = configuration
    watched = try WatchedLayers(of: model.model, matching: configuration.layers)
  }

  /// Labels every sample that is not in the journal yet, then writes `path`.
  ///
  /// - Parameters:
  ///   - resumes: goes on with the journal `path`.partial if it is there; without it a journal is an error, unless
  ///     `force` begins anew.
  ///   - isCancelled: asked between batches; when true, what is done is made safe and `LabelError.interrupted` thrown.
  package func run(
    output path: String, resumes: Bool, force: Bool, workers: Int,
    progress: @escaping @Sendable (LabelProgress) -> Void, isCancelled: @escaping @Sendable () -> Bool
  ) throws -> LabelSummary {
    try OutputFile.refuseExisting(path, force: force)
    let columns = LabelTexts(
      ids: samples.records.map(\.id), sources: samples.records.map { $0.source ?? "" },
      texts: samples.records.map(\.text),
      records: samples.records.map { ByteString($0.contentJSON.serialized()) },
      targetIDs: configuration.perTarget ? targets.records.map(\.id) : nil)
    try columns.check()
    if !resumes && !force { try LabelJournal.refuseUnfinished(path + ".partial") }
    let stoppable = { @Sendable (step: LabelProgress) in
      if isCancelled() { throw LabelError.interrupted(done: nil, total: samples.count) }
      progress(step)
    }
    let begin = ContinuousClock.now
    let projection = try projection(workers: workers, progress: stoppable)
    let journal = try LabelJournal(
      path: path + ".partial", configuration: journalConfiguration(projection), shape: shape,
      resume: resumes, force: force)
    let resumed = journal.count
    if !journal.isComplete {
      let measure = try influenceMeasure(projection, workers: workers, progress: stoppable)
      try labelMissing(journal, measure, workers: workers, progress: progress, isCancelled: isCancelled)
    }
    let seconds = begin.duration(to: .now) / .seconds(1)
    progress(.writing)
    try LabelFile.write(
      to: path, attributes: attributes(projection), columns: columns, journal: journal, force: force)
    journal.remove()
    return LabelSummary(
      samples: samples.count, resumed: resumed, tokens: samples.tokenCount, seconds: seconds)
  }

  private var batchTokens: Int { LabelDefaults.batchTokens(for: model.model) }

  /// The measure that the configuration asks for, made ready by one pass over the targets.
  private func influenceMeasure(
    _ projection: LoGraProjection?, workers: Int,
    progress: @escaping @Sendable (LabelProgress) throws -> Void
  ) throws -> any InfluenceMeasure {
    let targetProgress = { @Sendable [count = targets.count] done in
      try progress(.targets(done: done, of: count))
    }
    guard let projection else {
      let target = try MeanGradient(
        of: targets.sequences, model: model.model, watched: watched, workers: workers,
        batchTokens: batchTokens, progress: targetProgress)
      return ExactInfluence(
        model: model.model, watched: watched, target: target, kind: configuration.kind,
        gradientNorm: configuration.gradientNorm)
    }
    return try ProjectedInfluence(
      of: targets.sequences, model: model.model, watched: watched, projection: projection,
      kind: configuration.kind, gradientNorm: configuration.gradientNorm, perTarget: configuration.perTarget,
      keepsGradients: configuration.storesGradients, workers: workers,
      batchTokens: batchTokens,
      progress: targetProgress)
  }

  /// Where it is made from gradients, by one pass over `principalRows`.
  private func projection(
    workers: Int, progress: @escaping @Sendable (LabelProgress) throws -> Void
  ) throws -> LoGraProjection? {
    switch configuration.projection {
    case .none: return nil
    case .random(let rank): return LoGraProjection(watched: watched, rank: rank, seed: configuration.seed)
    case .pca(let rank):
      let rows = principalRows
      return try LoGraProjection(
        principalComponentsOf: rows, model: model.model, watched: watched, rank: rank,
        seed: configuration.seed, workers: workers, batchTokens: batchTokens,
        progress: { try progress(.components(done: $0, of: rows.count)) })
    }
  }

  /// The rows that principal components are taken from: every target, and samples at even distances.
  var principalRows: [TokenizedSample] {
    let count = min(samples.count, LabelDefaults.principalSamples)
    return targets.sequences + (0..<count).map { samples.sequences[$0 * samples.count / count] }
  }

  /// Labels whole batches, formed over all samples whether done or not, so that a resumed run has the same batches.
  private func labelMissing(
    _ journal: LabelJournal, _ measure: any InfluenceMeasure, workers: Int,
    progress: @escaping @Sendable (LabelProgress) -> Void, isCancelled: @escaping @Sendable () -> Bool
  ) throws {
    let plan = BatchPlan(samples.sequences, batchTokens: batchTokens)
    let open = plan.batches.indices.filter { !plan.batches[$0].allSatisfy(journal.contains) }
    let total = samples.count
    let resumed = journal.count
    let left = open.map { plan.batches[$0] }.joined().filter { !journal.contains($0) }
    let tokensLeft = left.reduce(0) { $0 + samples.sequences[$1].tokens.count }
    let tokensDone = Atomic<Int>(0)
    let begin = ContinuousClock.now
    do {
      try plan.forEach(open, workers: workers) { index, batch, workspace in
        if isCancelled() { throw LabelError.interrupted(done: journal.count, total: total) }
        let rows = measure.measure(batch, workspace: workspace)
        for (position, row) in zip(plan.batches[index], rows) where !journal.contains(position) {
          try journal.append(try journalRow(position, row))
          tokensDone.add(samples.sequences[position].tokens.count, ordering: .relaxed)
        }
        let seconds = begin.duration(to: .now) / .seconds(1)
        let (done, tokens) = (journal.count, tokensDone.load(ordering: .relaxed))
        let rate = LabelRate(
          samplesPerSecond: Double(done - resumed) / seconds, tokensPerSecond: Double(tokens) / seconds,
          secondsLeft: seconds / Double(tokens) * Double(tokensLeft - tokens))
        progress(.samples(done: done, of: total, resumed: resumed, rate: rate))
      }
    } catch {
      try journal.sync()
      if case LabelError.interrupted = error {
        throw LabelError.interrupted(done: journal.count, total: total)
      }
      throw error
    }
    try journal.sync()
  }

  private func journalRow(_ position: Int, _ row: InfluenceRow) throws -> LabelRow {
    // A norm that was not measured is NaN; one that was is divided by, and must be finite too.
    guard row.label.isFinite, row.loss.isFinite, row.gradientNorm.isFinite || !configuration.measuresNorm
    else {
      let record = samples.records[position]
      throw LabelError.notFinite(
        "\(record.file):\(record.line): the label, loss or gradient norm of '\(record.id)'")
    }
    return LabelRow(
      index: position, label: Float(row.label), loss: Float(row.loss), gradientNorm: Float(row.gradientNorm),
      tokenCount: samples.sequences[position].tokens.count, truncated: samples.sequences[position].truncated,
      labelsPerTarget: row.perTarget,
      projectedGradient: row.projectedGradient.isEmpty
        ? nil : StoredGradient(row.projectedGradient, storage: configuration.gradientStorage))
  }
}

// MARK: - Without a file

extension LabelRun {
  /// The same run on the rows of its first batches, two a worker, that say how fast the whole will be.
  func firstBatches(workers: Int) throws -> LabelRun {
    func first(_ rows: PreparedRows) -> PreparedRows {
      let plan = BatchPlan(rows.sequences, batchTokens: batchTokens)
      return rows.selecting(plan.batches.prefix(2 * workers).flatMap { $0 })
    }
    var small = configuration
    // Any projection of the rank takes as long.
    if let rank = configuration.projection.rank { small.projection = .random(rank: rank) }
    return try LabelRun(
      model: model, targets: first(targets), samples: first(samples), configuration: small)
  }

  /// The labels alone, with the same bits as in a file; nothing is written.
  func labels(
    workers: Int, progress: @escaping @Sendable (LabelProgress) -> Void,
    isCancelled: @escaping @Sendable () -> Bool
  ) throws -> [Float] {
    let total = samples.count
    let stoppable = { @Sendable (step: LabelProgress) in
      if isCancelled() { throw LabelError.auditInterrupted }
      progress(step)
    }
    let measure = try influenceMeasure(
      try projection(workers: workers, progress: stoppable), workers: workers, progress: stoppable)
    let plan = BatchPlan(samples.sequences, batchTokens: batchTokens)
    let begin = ContinuousClock.now
    let labels = try plan.map(
      workers: workers,
      progress: { done in
        let seconds = begin.duration(to: .now) / .seconds(1)
        let rate = LabelRate(
          samplesPerSecond: Double(done) / seconds, tokensPerSecond: 0,
          secondsLeft: seconds / Double(done) * Double(total - done))
        try stoppable(.samples(done: done, of: total, resumed: 0, rate: rate))
      },
      { _, batch, workspace in
        measure.measure(batch, workspace: workspace).map { Float($0.label) }
      })
    if let row = labels.firstIndex(where: { !$0.isFinite }) {
      throw LabelError.notFinite("the label of '\(samples.records[row].id)'")
    }
    return labels
  }

  /// The time that the pass over the targets takes, and that over the samples; nothing is written.
  func passSeconds(workers: Int) throws -> (targets: Double, samples: Double) {
    let projection = try projection(workers: workers, progress: { _ in })
    let begin = ContinuousClock.now
    let measure = try influenceMeasure(projection, workers: workers, progress: { _ in })
    let middle = ContinuousClock.now
    let plan = BatchPlan(samples.sequences, batchTokens: batchTokens)
    _ = try plan.map(workers: workers) { _, batch, workspace in
      measure.measure(batch, workspace: workspace).map(\.label)
    }
    return (begin.duration(to: middle) / .seconds(1), middle.duration(to: .now) / .seconds(1))
  }
}

// MARK: - What stands in the files

extension LabelRun {
  /// Rows and widths of the datasets.
  package var shape: LabelShape {
    let width = configuration.projection.rank.map(watched.projectedWidth)
    return LabelShape(
      rows: samples.count, targets: configuration.perTarget ? targets.count : 0,
      projected: configuration.storesGradients ? width ?? 0 : 0, storage: configuration.gradientStorage)
  }

  /// Everything that decides the rows; a journal made with anything else is refused.
  private func journalConfiguration(_ projection: LoGraProjection?) -> JSONValue {
    [
      "alinfik_version": JSONValue(alinfikVersion), "model": JSONValue(model.sha256),
      "target": JSONValue(targets.sha256), "sample": JSONValue(samples.sha256),
      "kind": JSONValue(configuration.kind.rawValue), "layers": JSONValue(configuration.layers),
      "precision": JSONValue(model.model.precision.rawValue),
      // Other instructions round otherwise: a resumed run would not equal an uninterrupted one.
      "kernels": JSONValue(vectorInstructionSet),
      "projection": JSONValue(configuration.projection.name),
      "projection_sha256": JSONValue(projection?.sha256 ?? ""),
      "rank": JSONValue(configuration.projection.rank ?? 0),
      "gradient_norm": JSONValue(configuration.gradientNorm),
      "per_target": JSONValue(configuration.perTarget),
      "store_gradients": JSONValue(configuration.storesGradients),
      "max_tokens": JSONValue(configuration.maximumTokens ?? 0), "seed": JSONValue(configuration.seed),
      "target_description": JSONValue(configuration.targetDescription),
    ]
  }

  /// Equal for an interrupted and an uninterrupted run but for `command`.
  private func attributes(_ projection: LoGraProjection?) -> LabelAttributes {
    var extra = ["layers": configuration.layers, "sample_sha256": samples.sha256]
    if let projection { extra["projection_sha256"] = projection.sha256 }
    return LabelAttributes(
      alinfikVersion: alinfikVersion, kind: configuration.kind.rawValue, modelSHA256: model.sha256,
      targetSHA256: targets.sha256, targetDescription: configuration.targetDescription,
      projection: configuration.projection.name, rank: configuration.projection.rank ?? 0,
      precision: model.model.precision.rawValue, seed: configuration.seed,
      maxTokens: configuration.maximumTokens, command: configuration.command,
      extra: extra)
  }
}
