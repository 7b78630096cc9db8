import Encoder
import RankStatistics
import Tokenization

/// The data set as training reads it: token ids, parts, targets.
struct TrainingMaterial: Sendable {
  let parts: DataParts
  let maxTokens: Int
  let encoding: TextEncoding
  /// Every row.
  let texts: [EncodedText]
  let truncated: Int
  /// The rows that are learnt from in the end: those for training, and in closed form, where nothing has to be stopped, those
  /// for validation too.
  let learned: [Int]
  /// Of the learned rows.
  let targets: TrainingTargets
  /// Of every row; NaN of those that are not learned.
  private let targetOfRow: [Double]
  let labels: [Double]
  let hashes: RowHashes

  init(
    _ dataset: DistillationDataset, tokenizer: Tokenizer, reading: TextEncoding.Reading, maxTokens: Int,
    maxPositions: Int, learnsValidation: Bool = false, _ configuration: TrainingConfiguration
  ) throws {
    guard (4...maxPositions).contains(maxTokens) else {
      throw DistillError.options("--max-tokens \(maxTokens): this encoder reads 4 to \(maxPositions)")
    }
    let hashes = dataset.rows.map(\.sha256)
    if let unknown = configuration.parts.leftOut.subtracting(dataset.rows.map(\.source)).min() {
      throw DistillError.options("--leave-out \(unknown): no labelled row has this source")
    }
    let parts = try DataParts(
      hashes: hashes, sources: dataset.rows.map(\.source), sizes: configuration.parts)
    guard Set(parts.training.map { dataset.rows[$0].label }).count > 1 else {
      throw DistillError.tooFewRows("every label of the training rows is the same: there is nothing to learn")
    }
    encoding = TextEncoding(tokenizer: tokenizer, maxTokens: maxTokens, reading: reading)
    let texts = try encoding.encodeAll(dataset.rows.map(\.record), workers: configuration.workers)
    learned = learnsValidation ? (parts.training + parts.validation).sorted() : parts.training
    targets = TrainingTargets(
      labels: learned.map { dataset.rows[$0].label },
      sources: learned.map { dataset.rows[$0].source },
      rootLengths: learned.map { texts[$0].rootLength },
      share: configuration.optimisation.withinSourceShare)
    var targetOfRow = [Double](repeating: .nan, count: texts.count)
    for (row, target) in zip(learned, targets.values) { targetOfRow[row] = target }
    self.targetOfRow = targetOfRow
    self.parts = parts
    self.maxTokens = maxTokens
    self.texts = texts
    truncated = texts.count { $0.isTruncated }
    labels = dataset.rows.map(\.label)
    func select(_ rows: [Int]) -> [String] { rows.map { hashes[$0] } }
    self.hashes = RowHashes(
      training: select(parts.training), validation: select(parts.validation),
      calibration: select(parts.calibration), test: select(parts.test))
  }

  /// Of learned rows.
  func targets(of rows: [Int]) -> [Double] { rows.map { targetOfRow[$0] } }

  /// In the order of `parts.training`.
  var trainingRows: [TrainingRow] {
    parts.training.map { TrainingRow(ids: texts[$0].ids, target: targetOfRow[$0]) }
  }

  /// Of every row.
  var rootLengths: [Double] { texts.map(\.rootLength) }
  var validationLabels: [Double] { parts.validation.map { labels[$0] } }

  var counts: TrainingReport.Rows {
    TrainingReport.Rows(
      training: parts.training.count, validation: parts.validation.count,
      calibration: parts.calibration.count, test: parts.test.count, truncated: truncated)
  }

  var summary: TrainingProgress {
    .prepared(
      training: parts.training.count, validation: parts.validation.count,
      calibration: parts.calibration.count, test: parts.test.count, truncated: truncated,
      withinSourceShare: targets.share)
  }
}
