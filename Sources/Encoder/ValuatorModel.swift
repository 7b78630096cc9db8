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
  /// The head's output for each text, the same bits whatever the number of workers.
  func scores(_ texts: [EncodedText], workers: Int, workspaces: EncoderWorkspaces) throws -> [Float]
  /// What the network makes of each text before its head, one row a text: distances between them are likeness.
  func embeddings(_ texts: [EncodedText], workers: Int, workspaces: EncoderWorkspaces) throws -> MatrixView
  /// Of an embedding.
  var embeddingWidth: Int { get }
  /// Writes its files into a valuator's folder and returns their names.
  func save(to folder: String, maxTokens: Int) throws -> [String]
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
