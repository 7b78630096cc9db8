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
  /// lambda as a share of a layer's mean eigenvalue, for kinds with a Fisher matrix.
  package var damping = LabelDefaults.dampingFactor
  /// Adam's eps and beta2, for `adam`.
  package var epsilon = LabelDefaults.epsilon
  package var beta2 = LabelDefaults.beta2
  package var gradientNorm = false
  package var perTarget = false
  package var perLayer = false
  package var storesGradients = false
  package var gradientStorage = GradientStorage.f16
  package var seed: UInt64 = 0
  package var maximumTokens: Int?
  package var targetDescription = ""
  /// Which part of the samples is labelled; nil: all.
  package var shard: Shard?
  /// The command line, file names without folders.
  package var command = ""

  package init() {}

  /// Whether each target's whole gradient is held, for which the targets pass a second time.
  var holdsEachTarget: Bool { perTarget && projection == .none }

  /// Whether each sample's gradient norm is asked for, or needed by the kind.
  var measuresNorm: Bool { gradientNorm || kind.needsNorm }

  /// Throws `LabelError.options` for options that contradict each other.
  package func validate() throws {
    guard projection == .none || kind.allowsProjection else {
      throw LabelError.options("--kind \(kind.rawValue) is measured on whole gradients; --projection none")
    }
    guard projection != .none || !kind.needsProjection else {
      throw LabelError.options(
        "--kind \(kind.rawValue) is measured on projected gradients; --projection random or pca")
    }
    if kind == .tracin, gradientNorm {
      throw LabelError.options("--kind tracin has a gradient a checkpoint, and no one --gradient-norm")
    }
    if kind.needsDamping { try checkDamping(damping) }
    if kind == .adam { try SecondMoment.check(epsilon: epsilon, beta2: beta2) }
    if projection == .none, storesGradients {
      throw LabelError.options(
        "--store-gradients wants --projection random or pca: whole gradients of every sample are too large to keep"
      )
    }
    if let rank = projection.rank, rank < 1 { throw LabelError.options("--rank \(rank): at least 1") }
    if let explained = projection.explained, !(explained > 0 && explained <= 1) {
      throw LabelError.options("--explained \(explained): a share above 0, at most 1")
    }
  }
}

/// What a label run says while it works.
package enum LabelProgress: Sendable {
  /// Rows of the pass that the principal components are taken from.
  case components(done: Int, of: Int)
  /// Rows of the passes that curvature is made from; then what is made of the sums.
  case curvature(done: Int, of: Int)
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
  /// All samples, of which projection and curvature are made.
  package let samples: PreparedRows
  /// Those of the shard.
  package let labelled: PreparedRows
  package let configuration: LabelConfiguration
  /// For kinds with curvature, what was made before; without it the run makes it from its samples.
  package let curvature: Curvature?
  /// For `tracin`.
  package let checkpoints: [Checkpoint]

  /// - Parameter curvature: made of this model, these layers and these samples (`Curvature.init(path:wanted:)`).
  package init(
    model: LoadedModel, targets: PreparedRows, samples: PreparedRows, configuration: LabelConfiguration,
    curvature: Curvature? = nil, checkpoints: [Checkpoint] = []
  ) throws {
    var configuration = configuration
    if let projection = curvature?.origin.madeProjection { configuration.projection = projection }
    try configuration.validate()
    guard !targets.records.isEmpty else { throw LabelError.emptyTarget }
    guard !samples.records.isEmpty else { throw LabelError.noSample }
    self.model = model
    self.targets = targets
    self.samples = samples
    labelled =
      configuration.shard.map { samples.selecting(Array($0.range(of: samples.count))) } ?? samples
    if let shard = configuration.shard, labelled.records.isEmpty {
      throw LabelError.options("--shard \(shard): \(samples.count) samples are too few for so many shards")
    }
    self.configuration = configuration
    self.curvature = curvature
    self.checkpoints = checkpoints
    watched = try WatchedLayers(of: model.model, matching: configuration.layers)
    guard checkpoints.isEmpty == (configuration.kind != .tracin) else {
      throw LabelError.options("--kind tracin and --checkpoint PATH:RATE want each other")
    }
    try curvature?.check(configuration)
    try refuseSingularFisher()
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
      ids: labelled.records.map(\.id), sources: labelled.records.map { $0.source ?? "" },
      texts: labelled.records.map(\.text),
      records: labelled.records.map { ByteString($0.contentJSON.serialized()) },
      targetIDs: configuration.perTarget ? targets.records.map(\.id) : nil,
      layerNames: configuration.perLayer ? watched.layers.map { ByteString($0.name) } : nil)
    try columns.check()
    if !resumes && !force { try LabelJournal.refuseUnfinished(path + ".partial") }
    let stoppable = { @Sendable (step: LabelProgress) in
      if isCancelled() { throw LabelError.interrupted(done: nil, total: labelled.count) }
      progress(step)
    }
    let begin = ContinuousClock.now
    let prepared = try prepared(workers: workers, progress: stoppable)
    let journal = try LabelJournal(
      path: path + ".partial", configuration: journalConfiguration(prepared), shape: shape(prepared),
      resume: resumes, force: force)
    let resumed = journal.count
    if !journal.isComplete {
      let measure = try influenceMeasure(prepared, workers: workers, progress: stoppable)
      try labelMissing(journal, measure, workers: workers, progress: progress, isCancelled: isCancelled)
    }
    let seconds = begin.duration(to: .now) / .seconds(1)
    progress(.writing)
    try LabelFile.write(
      to: path, attributes: attributes(prepared), columns: columns, journal: journal,
      projection: isProjectionKept ? prepared.projection?.stored : nil, force: force)
    journal.remove()
    return LabelSummary(
      samples: labelled.count, resumed: resumed, tokens: labelled.tokenCount, seconds: seconds)
  }

  var batchTokens: Int { LabelDefaults.batchTokens(for: model.model) }

  /// The rows that principal components are taken from: every target, and samples at even distances.
  var principalRows: [TokenizedSample] {
    targets.sequences + samples.spread(LabelDefaults.principalSamples)
  }

  /// Labels whole batches, formed over all samples whether done or not, so that a resumed run has the same batches.
  private func labelMissing(
    _ journal: LabelJournal, _ measure: any InfluenceMeasure, workers: Int,
    progress: @escaping @Sendable (LabelProgress) -> Void, isCancelled: @escaping @Sendable () -> Bool
  ) throws {
    let plan = BatchPlan(labelled.sequences, batchTokens: batchTokens)
    let open = plan.batches.indices.filter { !plan.batches[$0].allSatisfy(journal.contains) }
    let total = labelled.count
    let resumed = journal.count
    let left = open.map { plan.batches[$0] }.joined().filter { !journal.contains($0) }
    let tokensLeft = left.reduce(0) { $0 + labelled.sequences[$1].tokens.count }
    let tokensDone = Atomic<Int>(0)
    let begin = ContinuousClock.now
    do {
      try plan.forEach(open, workers: workers) { index, batch, workspace in
        if isCancelled() { throw LabelError.interrupted(done: journal.count, total: total) }
        let rows = measure.measure(batch, workspace: workspace)
        for (position, row) in zip(plan.batches[index], rows) where !journal.contains(position) {
          try journal.append(try journalRow(position, row))
          tokensDone.add(labelled.sequences[position].tokens.count, ordering: .relaxed)
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
      let record = labelled.records[position]
      throw LabelError.notFinite(
        "\(record.file):\(record.line): the label, loss or gradient norm of '\(record.id)'")
    }
    return LabelRow(
      index: position, label: Float(row.label), loss: Float(row.loss), gradientNorm: Float(row.gradientNorm),
      tokenCount: labelled.sequences[position].tokens.count,
      truncated: labelled.sequences[position].truncated,
      labelsPerTarget: row.perTarget, labelsPerLayer: row.perLayer,
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
    small.shard = nil
    // Any projection of the rank takes as long, and what curvature does to the target takes no time a sample.
    if let rank = configuration.projection.rank { small.projection = .random(rank: rank) }
    small.kind =
      configuration.kind == .tracin || CurvatureKind(for: configuration.kind) != nil ? .dot : small.kind
    return try LabelRun(
      model: model, targets: first(targets), samples: first(labelled), configuration: small)
  }

  /// The labels alone, with the same bits as in a file; nothing is written.
  package func labels(
    workers: Int, progress: @escaping @Sendable (LabelProgress) throws -> Void,
    isCancelled: @escaping @Sendable () -> Bool
  ) throws -> [Float] {
    let total = samples.count
    let stoppable = { @Sendable (step: LabelProgress) in
      if isCancelled() { throw LabelError.auditInterrupted }
      try progress(step)
    }
    let measure = try influenceMeasure(
      try prepared(workers: workers, progress: stoppable), workers: workers, progress: stoppable)
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
    let prepared = try prepared(workers: workers, progress: { _ in })
    let begin = ContinuousClock.now
    let measure = try influenceMeasure(prepared, workers: workers, progress: { _ in })
    let middle = ContinuousClock.now
    let plan = BatchPlan(samples.sequences, batchTokens: batchTokens)
    _ = try plan.map(workers: workers) { _, batch, workspace in
      measure.measure(batch, workspace: workspace).map(\.label)
    }
    return (begin.duration(to: middle) / .seconds(1), middle.duration(to: .now) / .seconds(1))
  }
}
