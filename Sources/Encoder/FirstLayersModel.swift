import Foundation
import LanguageModels
import TensorKernels

/// The first layers of a language model, frozen, with a head of Gaussian units: what the model itself makes of a text
/// before it predicts anything says more of the text's gradient than another encoder does.
///
/// Features of a text of n tokens, from the states x_t of the last kept layer: their mean over all positions but the
/// first (in which models of this family gather attention that has nowhere to go), their mean over the second half, and sqrt(n).
package struct FirstLayersModel: ValuatorModel {
  package static let kind = "first-layers"

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

  package func scores(_ texts: [[Int]], workers: Int, workspaces: EncoderWorkspaces) throws -> [Float] {
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
  package var featureCount: Int { 2 * configuration.hiddenSize + 1 }

  /// Tokens of a batch: enough rows for products at full speed.
  private static let batchTokens = 1024

  /// The features of each text, one row a text; the same bits whatever the number of workers.
  package func features(_ texts: [[Int]], workers: Int, workspaces: EncoderWorkspaces) throws -> MatrixView {
    let plan = consecutiveBatches(texts, tokens: Self.batchTokens)
    let values = try parallelMap(count: plan.count, workers: workers) { worker, index in
      features(Array(texts[plan[index]]), workspaces[worker].languageModel)
    }.flatMap { $0 }
    return Matrix(rows: texts.count, columns: featureCount, values: values).view
  }

  private func features(_ texts: [[Int]], _ workspace: Workspace) -> [Float] {
    let batch = TokenBatch(texts.map { ids in (ids.map { Int32($0) }, ids.map { _ in false }) })
    let states = hiddenStates(of: batch, workspace: workspace)
    let d = configuration.hiddenSize
    let features = Matrix(rows: texts.count, columns: featureCount)
    for text in texts.indices {
      let rows = batch.rows(of: text)
      let row = features.rows(text..<text + 1)
      let all = rows.count > 1 ? rows.dropFirst() : rows
      mean(states.rows(all), into: row.columns(0..<d))
      mean(states.rows(rows.lowerBound + rows.count / 2..<rows.upperBound), into: row.columns(d..<2 * d))
      row[0, 2 * d] = Float(rows.count).squareRoot()
    }
    return features.view.values
  }

  private func mean(_ states: MatrixView, into result: Matrix) {
    addColumnSums(of: states, to: result)
    scale(result, by: 1 / Float(states.rows))
  }
}
