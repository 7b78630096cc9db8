import Encoder
import Formats
import Foundation
import LanguageModels
import LinFiK
import Records
import Reporting
import TensorKernels

/// Everything `compare` is told beside its rows.
package struct ComparisonConfiguration: Sendable {
  package var layers = "*"
  /// A side of LoGra's projection.
  package var rank = 16
  package var dampingFactor = LabelDefaults.dampingFactor
  /// For TracIn, and TRAK's mean.
  package var checkpoints: [Checkpoint] = []
  /// Of in-run Shapley's training; nil leaves it out.
  package var inRunRate: Double?
  /// Of `ComparisonRun.furtherKinds`.
  package var kinds: [LabelKind] = []
  /// Rows that the model is really stepped on; 0 leaves the oracle out.
  package var oracleRows = 32
  /// Target examples whose loss the oracle watches; all of them would take far longer and say the same.
  package var oracleTargets = 8
  package var oracleStep = 1e-4
  /// Rows that halves of the target label, to say how far any method can agree with the reference; 0 leaves it out.
  package var ceilingRows = 48
  package var seed: UInt64 = 0
  package var maximumTokens: Int?
  package var targetDescription = ""
  package var command = ""
  package var showsTexts = true
  package var workers = 1

  package init() {}
}

/// What a comparison says while it works.
package enum ComparisonProgress: Sendable {
  /// Rows that one pass of a method has done.
  case rows(method: String, done: Int, of: Int)
  /// A method is done.
  case method(String, done: Int, of: Int)
}

/// Why methods cannot be compared.
package enum ComparisonError: Error, CustomStringConvertible {
  /// Labels or a valuator that were made for something else: the file, what differs.
  case mismatch(path: String, what: String)
  case tooFewRows(left: Int, of: Int)

  package var description: String {
    switch self {
    case .mismatch(let path, let what): "\(path): \(what)"
    case .tooFewRows(let left, let all):
      "only \(left) of \(all) samples are new to the valuator; at least \(ComparisonRun.fewestRows) are needed: give more --sample files"
    }
  }
}

/// Values the same rows by every method, and times each.
///
/// The rows are those the valuator has not seen. Labels are taken from a label file where it has the row, else computed.
package struct ComparisonRun {
  static let fewestRows = 20

  let model: LoadedModel
  let watched: WatchedLayers
  let targets: PreparedRows
  let samples: PreparedRows
  let labels: LabelFile?
  let valuator: Valuator?
  let configuration: ComparisonConfiguration
  let progress: @Sendable (ComparisonProgress) throws -> Void
  private let sampleCount: Int
  private var methodCount: Int {
    11 + (valuator == nil ? 0 : 1) + (configuration.inRunRate == nil ? 0 : 1) + configuration.kinds.count
  }

  /// What `progress` throws ends the run.
  ///
  /// Throws `ComparisonError` where labels or valuator do not belong to this model and target, or too few rows are left.
  package init(
    model: LoadedModel, targets: PreparedRows, samples: PreparedRows, labels: LabelFile?, valuator: Valuator?,
    valuatorPath: String?, configuration: ComparisonConfiguration,
    progress: @escaping @Sendable (ComparisonProgress) throws -> Void
  ) throws {
    self.model = model
    self.targets = targets
    self.labels = labels
    self.valuator = valuator
    self.configuration = configuration
    self.progress = progress
    guard !targets.records.isEmpty else { throw LabelError.emptyTarget }
    watched = try WatchedLayers(of: model.model, matching: configuration.layers)
    sampleCount = samples.count
    let unseen = valuator?.card.rows.unseen(samples.records) ?? Array(samples.records.indices)
    guard unseen.count >= Self.fewestRows else {
      throw ComparisonError.tooFewRows(left: unseen.count, of: samples.count)
    }
    self.samples = samples.selecting(unseen)
    if let labels { try check(labels) }
    if let card = valuator?.card, let path = valuatorPath {
      try check(path, "model", card.modelSHA256, model.sha256)
      try check(path, "target", card.targetSHA256, targets.sha256)
      guard card.labelKind == LabelKind.dot.rawValue, card.labelProjection == "none" else {
        throw ComparisonError.mismatch(
          path: path,
          what:
            "predicts '\(card.labelKind)' labels (projection \(card.labelProjection)); compare holds valuators of "
            + "exact 'dot' labels against LinFiK")
      }
      guard card.labelLayers == configuration.layers else {
        throw ComparisonError.mismatch(
          path: path,
          what: "predicts labels made with --layers '\(card.labelLayers)'; give compare the same")
      }
    }
  }

  private func check(_ labels: LabelFile) throws {
    let attributes = labels.attributes
    guard attributes.maxTokens == configuration.maximumTokens else {
      throw ComparisonError.mismatch(
        path: labels.path,
        what:
          "was made with --max-tokens \(attributes.maxTokens.map(String.init) ?? "(none)"); give compare the same"
      )
    }
    try check(labels.path, "model", attributes.modelSHA256, model.sha256)
    try check(labels.path, "target", attributes.targetSHA256, targets.sha256)
    guard attributes.kind == LabelKind.dot.rawValue, attributes.projection == "none" else {
      throw ComparisonError.mismatch(
        path: labels.path,
        what:
          "holds '\(attributes.kind)' labels (projection \(attributes.projection)); exact 'dot' labels are wanted"
      )
    }
    guard attributes.extra["layers"] == configuration.layers else {
      throw ComparisonError.mismatch(
        path: labels.path,
        what: "was made with --layers '\(attributes.extra["layers"] ?? "*")'; give compare the same")
    }
  }

  private func check(_ path: String, _ what: String, _ theirs: String, _ ours: String) throws {
    guard theirs == ours else {
      throw ComparisonError.mismatch(
        path: path,
        what: "was made with another \(what) (SHA-256 \(theirs.prefix(12))..., here \(ours.prefix(12))...)")
    }
  }

  /// Runs every method and computes the report.
  package func run() throws -> ComparisonReport {
    let oracle = try oracle()
    let halves = try targetHalves()
    var methods: [ComparedMethod] = []
    func add(_ method: () throws -> ComparedMethod) throws {
      let made = try method()
      methods.append(made)
      try progress(.method(made.name, done: methods.count, of: methodCount))
    }
    try add { try linfik(oracle) }
    let projected = try projectedRows(model.model)
    try add { try logra(projected) }
    try add { try trak(projected) }
    try add { try tracin() }
    if let rate = configuration.inRunRate { try add { try inRunShapley(learningRate: rate) } }
    for kind in configuration.kinds { try add { try labels(of: kind) } }
    var forecast: Forecast?
    if valuator != nil {
      let scored = try alinfik(labelSecondsPerRow: methods[0].cost?.secondsPerRow)
      forecast = scored.forecast
      try add { scored.method }
    }
    let similarities = try similarities()
    try add { representationSimilarity(similarities) }
    try add { knnShapley(similarities) }
    try add { bm25() }
    try add { tfidf() }
    try add { length() }
    try add { try modelLoss() }
    try add { random() }
    return ComparisonReport.make(
      rows: samples.records.map(comparedRow), methods: methods, forecast: forecast,
      labelCurve: labelCurve, halves: halves, oracle: oracle?.measured, facts: facts)
  }

  /// What the valuator's training measured of fewer labels.
  private var labelCurve: [LabelCurvePoint] {
    (valuator?.card.metrics["label_curve"]?.array ?? []).compactMap { point in
      point["labels"]?.int.map {
        LabelCurvePoint(
          labels: $0, spearman: point["spearman"]?.double, withinSource: point["within_source"]?.double)
      }
    }
  }

  private func comparedRow(_ record: Record) -> ComparedRow {
    let text = record.text.string
    return ComparedRow(
      id: record.id.string, source: record.source?.string ?? "(no source)",
      excerpt: configuration.showsTexts ? String(text.prefix(240)) : nil)
  }

  /// The target in words: as given now, else as the labels or the valuator were given it.
  private var targetDescription: String {
    let known = [
      configuration.targetDescription, labels?.attributes.targetDescription, valuator?.card.targetDescription,
    ]
    return known.compactMap { $0 }.first { !$0.isEmpty } ?? ""
  }

  private var facts: RunFacts {
    RunFacts(
      model: model.model.summary, modelSHA256: model.sha256,
      targetDescription: targetDescription,
      targetSHA256: targets.sha256, targetCount: targets.count, sampleCount: sampleCount,
      seenCount: sampleCount - samples.count, seed: configuration.seed,
      maxTokens: configuration.maximumTokens,
      threads: configuration.workers, blasKernel: BLAS.coreName,
      versions: [.init(name: "alinfik", version: alinfikVersion)], command: configuration.command)
  }

  var plan: BatchPlan {
    BatchPlan(samples.sequences, batchTokens: LabelDefaults.batchTokens(for: model.model))
  }

  /// Tells how far a pass over `total` rows has come.
  func rowProgress(_ method: String, of total: Int) -> @Sendable (_ done: Int) throws -> Void {
    { [progress] done in try progress(.rows(method: method, done: done, of: total)) }
  }
}

extension ComparisonRun {
  /// The plan in a line, for `--dry-run`.
  package var planDescription: String {
    let operations = Operations(of: samples.sequences, model: model.model, watched: watched)
    let watching = Operations(
      of: Array(targets.sequences.prefix(configuration.oracleTargets)), model: model.model, watched: watched)
    let oracleRows = min(configuration.oracleRows, samples.count)
    let halves = Operations(
      of: Array(samples.sequences.prefix(configuration.ceilingRows)), model: model.model, watched: watched)
    let total =
      halves.exactLabels + (labels == nil ? operations.exactLabels : 0)
      + operations.projectedLabels(rank: configuration.rank)
      + 2 * operations.forward + 2 * Double(oracleRows) * watching.forward
    return String(
      format: "%d rows to compare (%d left out as seen), %d really stepped on, %.1f TFLOP", samples.count,
      sampleCount - samples.count, oracleRows, total / 1e12)
  }
}

extension ComparisonReport {
  /// Each method's fidelity in one JSON object.
  package func briefJSON(output: String) -> String {
    let methods = fidelity.map { found -> (key: ByteString, value: JSONValue) in
      func number(_ estimate: Estimate) -> JSONValue { estimate.value.map { JSONValue($0) } ?? .null }
      return (
        ByteString(found.method),
        [
          "spearman": number(found.spearman), "within_source": number(found.withinSource),
          "ndcg": number(found.ndcg), "recall": number(found.recall),
        ]
      )
    }
    let object: JSONValue = [
      "output": JSONValue(output), "rows": JSONValue(rows.count), "fidelity": .object(methods),
    ]
    return String(decoding: object.serialized(), as: UTF8.self)
  }
}
