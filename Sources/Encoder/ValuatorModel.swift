import TensorKernels

/// What a valuator asks of its network: tokens in, one number a text out. Immutable while it scores.
package protocol ValuatorModel: Sendable {
  /// As `encoder` in alinfik.json.
  var kind: String { get }
  static var reading: TextEncoding.Reading { get }
  /// The network in a few words, for the model card.
  var summary: String { get }
  var vocabularySize: Int { get }
  /// The most tokens it can read.
  var maxPositions: Int { get }
  /// Texts that one worker should read together: enough for products at full speed, few enough for all workers to have some.
  var textsAtOnce: Int { get }
  /// What the network makes of each text before its head, one row a text; the same bits whatever the number of workers.
  func features(_ texts: [EncodedText], workers: Int, workspaces: EncoderWorkspaces) throws -> MatrixView
  /// The head's output for each row of features, the same bits whatever the number of workers.
  func outputs(of features: MatrixView, workers: Int) throws -> [Float]
  /// Features as points, one row a text: distances between them are likeness.
  func embeddings(of features: MatrixView) -> MatrixView
  /// Of an embedding.
  var embeddingWidth: Int { get }
  /// Writes its files into a valuator's folder and returns their names.
  func save(to folder: String, maxTokens: Int) throws -> [String]
}

extension ValuatorModel {
  /// The head's output for each text.
  package func scores(_ texts: [EncodedText], workers: Int, workspaces: EncoderWorkspaces) throws -> [Float] {
    try outputs(of: features(texts, workers: workers, workspaces: workspaces), workers: workers)
  }
}

/// Consecutive texts of at most `tokens` tokens, at least one a batch.
func consecutiveBatches(_ texts: [EncodedText], tokens limit: Int) -> [Range<Int>] {
  var batches: [Range<Int>] = []
  var (start, tokens) = (0, 0)
  for (index, text) in texts.enumerated() {
    if tokens > 0 && tokens + text.ids.count > limit {
      batches.append(start..<index)
      (start, tokens) = (index, 0)
    }
    tokens += text.ids.count
  }
  if start < texts.count { batches.append(start..<texts.count) }
  return batches
}
