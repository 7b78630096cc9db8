import Encoder
import Formats
import Foundation
import RankStatistics
import TensorKernels
import Tokenization

/// Trains an encoder on labels, calibrates it, and reads the test part once.
package struct Trainer: Sendable {
  package let configuration: TrainingConfiguration
  package let dataset: DistillationDataset
  /// Asked between steps; true ends the run with `DistillError.interrupted`.
  package let isCancelled: @Sendable () -> Bool

  package init(
    configuration: TrainingConfiguration, dataset: DistillationDataset,
    isCancelled: @escaping @Sendable () -> Bool = { false }
  ) {
    self.configuration = configuration
    self.dataset = dataset
    self.isCancelled = isCancelled
  }

  /// The valuator, what was measured of it, and the log of its training. What a run that is broken off goes on with
  /// (`TrainingConfiguration.features`, `checkpoint`) stays until `TrainingConfiguration.discardUnfinished`.
  package func run(
    version: String, progress: (TrainingProgress) -> Void = { _ in }
  ) throws -> (valuator: Valuator, report: TrainingReport, log: [JSONValue]) {
    let started = DispatchTime.now()
    let log = TrainingLog()
    let trained = try train(log) { event in
      log.add(event)
      progress(event)
    }
    let (material, outputs) = (trained.material, trained.outputs)
    let calibrated = material.parts.calibration.map { (row: $0, output: outputs[$0]) } + trained.heldOut
    let labels = calibrated.map { dataset.rows[$0.row].label }
    guard let map = IsotonicMap.fit(inputs: calibrated.map(\.output), outputs: labels)
    else { throw DistillError.notFinite }
    let words = WordStarts(trained.tokenizer, count: trained.model.vocabularySize)
    var card = ValuatorCard(
      labelKind: dataset.kind, labelProjection: dataset.projection,
      scoreUnit: Self.unit(ofKind: dataset.kind, projection: dataset.projection),
      modelSHA256: dataset.modelSHA256, targetSHA256: dataset.targetSHA256,
      targetDescription: dataset.targetDescription, initialEncoder: trained.name,
      maxTokens: material.maxTokens, seed: configuration.seed, version: version, calibration: map,
      intervals: ScoreIntervals.fit(
        raw: calibrated.map(\.output), tokens: calibrated.map { material.texts[$0.row].ids.count },
        labels: labels, texts: calibrated.map { dataset.rows[$0.row].sha256 }),
      domain: TextDomain(
        training: material.parts.training.map { material.texts[$0].ownIDs },
        calibration: material.parts.calibration.map { material.texts[$0].ownIDs },
        words: words),
      metrics: .null, rows: material.hashes)
    card.labelLayers = dataset.layers
    card.precision = configuration.precision
    let evaluation = TestEvaluation(
      dataset: dataset, material: material, vocabularySize: trained.model.vocabularySize)
    if isCancelled() { throw DistillError.interrupted }
    let methods = evaluation.methods(valuator: outputs, frozen: trained.frozen, seed: configuration.seed)
    let report = TrainingReport(
      rows: material.counts, epochs: trained.epochs, keptEpoch: trained.keptEpoch,
      validationSpearman: trained.validationSpearman, methods: methods,
      curve: trained.curve,
      intervals: try evaluation.intervals(outputs, card: card, words: words),
      warnings: trained.warnings + evaluation.warnings(methods, outputs: outputs) + Self.warnings(card),
      seconds: seconds(since: started), seed: configuration.seed, kind: dataset.kind,
      withinSourceShare: material.targets.share, settings: configuration.optimisation)
    card.metrics = report.metrics
    card.rows.taught = trained.taught
    card.leftOutSources = configuration.parts.leftOut.sorted()
    if isCancelled() { throw DistillError.interrupted }
    let rows = labelledRows(trained)
    return (
      Valuator(
        model: trained.model, tokenizer: trained.tokenizer, card: card, rows: rows,
        distributions: distributions(trained, rows)),
      report, log.lines
    )
  }

  private static func warnings(_ card: ValuatorCard) -> [String] {
    let texts = Set(card.rows.calibration).count
    var warnings: [String] = []
    if card.intervals == nil, texts < ScoreIntervals.fewestRows {
      warnings.append(
        "\(texts) calibration texts are too few for intervals (\(ScoreIntervals.fewestRows)): scores come without; "
          + "label more rows")
    } else if card.intervals == nil {
      warnings.append("the calibration rows' errors have no spread to learn: scores come without intervals")
    }
    if card.domain == nil {
      warnings.append(
        "\(texts) calibration texts are too few, or too short, to tell texts of another kind: scores come without "
          + "alinfik_ood")
    }
    return warnings
  }

  /// Where the encoder is the first layers of a language model.
  private var firstLayers: FirstLayersTraining? {
    guard case .firstLayers(let count, let model) = configuration.initialEncoder else { return nil }
    return FirstLayersTraining(
      count: count, modelPath: model, configuration: configuration, isCancelled: isCancelled)
  }

  private func train(_ log: TrainingLog, _ progress: (TrainingProgress) -> Void) throws -> TrainedModel {
    if let firstLayers { return try firstLayers.run(dataset, progress) }
    let (model, tokenizer, name) = try initialModel()
    let material = try TrainingMaterial(
      dataset, tokenizer: tokenizer, reading: EncoderModel.reading,
      maxTokens: configuration.maxTokens ?? Self.standardMaxTokens, maxPositions: model.maxPositions,
      configuration)
    progress(material.summary)
    var session = TrainingSession(
      model: model, material: material, configuration: configuration, log: log, isCancelled: isCancelled)
    let frozen = try session.fitHead(progress)
    try session.fineTune(progress)
    // From here on in the precision in which it will score.
    let valued = model.at(configuration.precision)
    let features = try valued.features(
      material.texts, workers: configuration.workers, workspaces: EncoderWorkspaces(configuration.workers))
    return TrainedModel(
      model: valued, tokenizer: tokenizer, name: name, material: material,
      outputs: valued.outputs(of: features, workers: configuration.workers).map(Double.init),
      embeddings: valued.embeddings(of: features), frozen: frozen, epochs: session.epochsRun,
      keptEpoch: session.keptEpoch,
      validationSpearman: session.keptSpearman)
  }

  /// What a run would do, in words: rows and parts, memory, and the arithmetic of the whole training.
  package func plan() throws -> String {
    if let firstLayers { return try firstLayers.plan(dataset) }
    let (model, tokenizer, _) = try initialModel()
    let material = try TrainingMaterial(
      dataset, tokenizer: tokenizer, reading: EncoderModel.reading,
      maxTokens: configuration.maxTokens ?? Self.standardMaxTokens, maxPositions: model.maxPositions,
      configuration)
    let tables = model.layout.embeddingNormWeight.offset
    let trained =
      configuration.optimisation.trainsEmbeddingTables ? model.layout.count : model.layout.count - tables
    let tokens = material.trainingRows.reduce(0) { $0 + $1.ids.count }
    // 6 operations a weight and token: forward 2, backward 4.
    let operations =
      6 * Double(model.layout.count - tables) * Double(tokens * configuration.optimisation.epochs)
    let floats = 2 * model.layout.count + (Optimiser.blocks + 2) * trained
    return """
      \(material.summary)
      \(trained) of \(model.layout.count) weights are trained on \(tokens) tokens, at most \
      \(configuration.optimisation.epochs) times: \(Int(operations / 1e9)) GFLOP
      memory: \((4 * floats) >> 20) MiB for weights, gradients and moments, and activations of a batch
      disk: \((4 * model.layout.count) >> 20) MiB; while it runs \(4 * (2 * model.layout.count + 2 * trained) >> 20) MiB to go on \
      with, twice as much for a moment after each epoch
      """
  }

  /// Of a text encoder.
  package static let standardMaxTokens = 256

  private func initialModel() throws -> (EncoderModel, Tokenizer, String) {
    switch configuration.initialEncoder {
    case .firstLayers: preconditionFailure("first layers are not fine-tuned")
    case .directory(let path):
      let model = try EncoderModel.load(directory: path)
      let tokenizer = try Tokenizer.load(path)
      try model.requireVocabulary(of: tokenizer, directory: path)
      return (model, tokenizer, URL(fileURLWithPath: path).lastPathComponent)
    case .scratch(let size, let path):
      let tokenizer = try Tokenizer.load(path)
      guard size.heads > 0, size.layers > 0, size.hiddenSize > 0, size.hiddenSize % size.heads == 0 else {
        throw DistillError.options(
          "a hidden size of \(size.hiddenSize) does not divide into \(size.heads) heads")
      }
      let model = EncoderModel(
        configuration: EncoderConfiguration(
          vocabularySize: tokenizer.vocabularySize, hiddenSize: size.hiddenSize, layers: size.layers,
          heads: size.heads, intermediateSize: 4 * size.hiddenSize,
          maxPositions: max(512, configuration.maxTokens ?? 0)))
      model.initialise(seed: configuration.seed)
      return (model, tokenizer, "scratch")
    }
  }

  /// What one unit of a label of this kind is.
  static func unit(ofKind kind: String, projection: String) -> String {
    let suffix = projection == "none" ? "" : ", of gradients projected (\(projection))"
    let unit =
      switch kind {
      case "dot": "decrease of the target's mean token loss (nats) per unit of learning rate, to first order"
      case "cosine": "cosine between the text's gradient and the target's"
      case "layer-cosine": "sum over layers of the cosine between the text's gradient and the target's"
      default: "label of kind \(kind)"
      }
    return unit + suffix
  }
}

/// What a way of training gives.
struct TrainedModel {
  let model: any ValuatorModel
  let tokenizer: Tokenizer
  /// Of what it began from.
  let name: String
  let material: TrainingMaterial
  /// The head's output for every row.
  let outputs: [Double]
  /// Of every row.
  let embeddings: MatrixView
  let frozen: FrozenEncoder
  let epochs: Int
  let keptEpoch: Int
  let validationSpearman: Double
  var warnings: [String] = []
  /// Outputs for learned rows by heads that did not learn from them: as good for calibration as rows kept for it.
  var heldOut: [(row: Int, output: Double)] = []
  /// SHA-256 of texts learnt from by a teacher's scores, and of those that the teacher had seen.
  var taught: [String] = []
  /// Empty where it was not measured.
  var curve: [TrainingReport.CurvePoint] = []
}

func seconds(since start: DispatchTime) -> Double {
  Double(DispatchTime.now().uptimeNanoseconds - start.uptimeNanoseconds) / 1e9
}
