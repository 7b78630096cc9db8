import Formats
import Records
import TensorKernels
import Tokenization

/// A trained encoder with its tokenizer and calibration: what turns a text into its value. Immutable, so any number
/// of workers may share one.
package struct Valuator: Sendable {
  package let model: any ValuatorModel
  package let encoding: TextEncoding
  package var card: ValuatorCard
  /// What a text can be likened to; nil where the valuator does not carry it.
  package let rows: LabelledRows?
  /// What incoming texts are held against; nil where the valuator does not carry it.
  package let distributions: TrainingDistributions?
  private let words: WordStarts

  package init(
    model: any ValuatorModel, tokenizer: Tokenizer, card: ValuatorCard, rows: LabelledRows? = nil,
    distributions: TrainingDistributions? = nil
  ) {
    self.model = model
    encoding = TextEncoding(
      tokenizer: tokenizer, maxTokens: card.maxTokens, reading: type(of: model).reading)
    self.card = card
    self.rows = rows
    self.distributions = distributions
    words = WordStarts(tokenizer, count: model.vocabularySize)
  }

  /// What is said of one text.
  package struct Score: Sendable {
    /// The head's own output.
    package var raw: Float
    /// In label units.
    package var value: Double
    /// The size of the error to expect, in label units; nil where the valuator has no intervals.
    package var spread: Double?
    /// Whether the text is unlike those of training; nil where that cannot be told.
    package var isOutside: Bool?
    package var tokens: Int
    package var isTruncated: Bool

    var isFinite: Bool { raw.isFinite && value.isFinite && spread?.isFinite != false }
  }

  /// Of each record's first window alone (`WindowPooling.first`), as its label is made: for whatever is held against labels.
  package func scores(of records: [Record], workers: Int = 1) throws -> [Score] {
    try scores(of: encoding.encodeAll(records, workers: workers), workers: workers)
  }

  /// One score a text, in order, the same whatever the number of workers.
  package func scores(
    of encoded: [EncodedText], workers: Int = 1, workspaces: EncoderWorkspaces? = nil
  ) throws -> [Score] {
    scores(
      try model.scores(encoded, workers: workers, workspaces: workspaces ?? EncoderWorkspaces(workers)),
      of: encoded)
  }

  /// What the head's outputs for some texts say.
  package func scores(_ outputs: [Float], of encoded: [EncodedText]) -> [Score] {
    zip(outputs, encoded).map { raw, text in
      Score(
        raw: raw, value: card.calibration(Double(raw)),
        spread: card.intervals.map { $0.spread(raw: Double(raw), tokens: text.ids.count) },
        isOutside: card.domain.flatMap { text.hasNoLabel ? true : $0.isOutside(text.ownIDs, words: words) },
        tokens: text.tokenCount,
        isTruncated: text.isTruncated)
    }
  }
}

/// One workspace a worker, kept between calls so that a batch allocates nothing.
package struct EncoderWorkspaces: @unchecked Sendable {
  private let workspaces: [EncoderWorkspace]

  package init(_ workers: Int) { workspaces = (0..<max(1, workers)).map { _ in EncoderWorkspace() } }

  /// Only worker `index` may use it while workers run.
  package subscript(index: Int) -> EncoderWorkspace { workspaces[index] }
}

extension EncoderModel {
  /// Tokens of a batch: enough rows for products at full speed, few enough to stay near the caches.
  static let batchTokens = 1024

  /// The pooled features of each text, one row a text (2 x hidden size columns). Batches are formed in input order by their
  /// tokens.
  package func features(
    _ texts: [EncodedText], workers: Int, workspaces: EncoderWorkspaces
  ) throws -> MatrixView {
    let plan = consecutiveBatches(texts, tokens: Self.batchTokens)
    let values = try parallelMap(count: plan.count, workers: workers) { worker, index in
      pooledFeatures(EncoderBatch(texts[plan[index]].map(\.ids)), workspace: workspaces[worker]).values
    }.flatMap { $0 }
    return Matrix(rows: texts.count, columns: 2 * configuration.hiddenSize, values: values).view
  }

  package func outputs(of features: MatrixView, workers: Int) -> [Float] { headOutputs(features) }
}
