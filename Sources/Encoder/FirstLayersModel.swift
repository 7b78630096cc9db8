import Foundation
import LanguageModels
import TensorKernels

/// The first layers of a language model, frozen, with a head of Gaussian units: what the model itself makes of a text
/// before it predicts anything says more of the text's gradient than another encoder does.
///
/// Features of a text, from the states x_t of the last kept layer: their mean over the tokens that the model is not asked to
/// predict (0 where there are none), over those that it is (n of them), and over the second half of these; and the roots of
/// both counts, sqrt(n) last. Position 0, in which models of this family gather attention that has nowhere to go, is never
/// predicted and left out.
///
/// The gradient comes from what is predicted: told apart, the parts say more than their mean (experiments/valuator-features).
package struct FirstLayersModel: ValuatorModel {
  package static let kind = "first-layers"
  package static let reading = TextEncoding.Reading.record

  package let layers: Llama
  package let head: KernelHead

  package init(layers: Llama, head: KernelHead) {
    self.layers = layers
    self.head = head
  }

  package var vocabularySize: Int { layers.vocabularySize }
  package var maxPositions: Int { layers.contextLength }
  package var summary: String {
    let (count, width) = (layers.configuration.layers, layers.configuration.hiddenSize)
    let part = count == 0 ? "token embeddings" : count == 1 ? "first layer" : "first \(count) layers"
    return "the \(part) of a language model, width \(width), frozen; \(head.weights.count) Gaussian units"
  }

  package func scores(_ texts: [EncodedText], workers: Int, workspaces: EncoderWorkspaces) throws -> [Float] {
    let features = try layers.features(texts, workers: workers, workspaces: workspaces)
    let (head, share) = (head, 32)
    return try parallelMap(count: (texts.count + share - 1) / share, workers: workers) { _, index in
      head(features.rows(index * share..<min(texts.count, (index + 1) * share)))
    }.flatMap { $0 }
  }

  package func save(to folder: String, maxTokens: Int) throws -> [String] {
    try layers.saveAsEncoder(to: folder)
    try head.save(to: folder + "/head.safetensors")
    return ["config.json", "model.safetensors", "head.safetensors"]
  }

  package static func load(directory: String) throws -> FirstLayersModel {
    let layers = try ModelLoader.loadEncoder(directory: directory)
    return FirstLayersModel(
      layers: layers,
      head: try KernelHead.load(path: directory + "/head.safetensors", features: layers.featureCount))
  }
}

extension Llama {
  package var featureCount: Int { 3 * configuration.hiddenSize + 2 }

  /// Tokens of a batch: enough rows for products at full speed.
  private static let batchTokens = 1024

  /// The features of each text, one row a text; the same bits whatever the number of workers.
  package func features(_ texts: [EncodedText], workers: Int, workspaces: EncoderWorkspaces) throws
    -> MatrixView
  {
    let plan = consecutiveBatches(texts, tokens: Self.batchTokens)
    let values = try parallelMap(count: plan.count, workers: workers) { worker, index in
      features(Array(texts[plan[index]]), workspaces[worker].languageModel)
    }.flatMap { $0 }
    return Matrix(rows: texts.count, columns: featureCount, values: values).view
  }

  private func features(_ texts: [EncodedText], _ workspace: Workspace) -> [Float] {
    let batch = TokenBatch(texts.map { text in (text.ids.map { Int32($0) }, text.ids.map { _ in false }) })
    let states = hiddenStates(of: batch, workspace: workspace)
    let d = configuration.hiddenSize
    let features = Matrix(rows: texts.count, columns: featureCount)
    for (index, text) in texts.enumerated() {
      let start = batch.rows(of: index).lowerBound
      let row = features.rows(index..<index + 1)
      func pool(_ positions: [Int], _ block: Int) {
        mean(states, of: positions.map { start + $0 }, into: row.columns(block * d..<(block + 1) * d))
      }
      let scored = text.isScored.indices.filter { text.isScored[$0] }
      let others = text.isScored.indices.filter { !text.isScored[$0] }
      pool(others.filter { $0 > 0 }, 0)
      pool(scored, 1)
      pool(Array(scored[(scored.count / 2)...]), 2)
      row[0, 3 * d] = Float(others.count).squareRoot()
      row[0, 3 * d + 1] = Float(text.rootLength)
    }
    return features.view.values
  }

  /// 0 of no rows.
  private func mean(_ states: MatrixView, of rows: [Int], into result: Matrix) {
    for row in rows { addColumnSums(of: states.rows(row..<row + 1), to: result) }
    scale(result, by: 1 / Float(max(1, rows.count)))
  }
}
