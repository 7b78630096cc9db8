import Foundation
import LanguageModels
import TensorKernels

/// The first layers of a language model, or all of it, frozen, with a head of Gaussian units: what the model itself makes of
/// a text says more of the text's gradient than another encoder does.
package struct FirstLayersModel: ValuatorModel {
  package static let reading = TextEncoding.Reading.record
  /// As `encoder` in alinfik.json.
  private static let kinds = (layers: "first-layers", whole: "language-model")

  package let features: LayerFeatures
  package let head: KernelHead

  package init(features: LayerFeatures, head: KernelHead) {
    self.features = features
    self.head = head
  }

  package var kind: String { features.readsPredictions ? Self.kinds.whole : Self.kinds.layers }
  package var vocabularySize: Int { features.layers.vocabularySize }
  package var embeddingWidth: Int { features.count }
  package var maxPositions: Int { features.layers.contextLength }
  package var summary: String {
    let (count, width) = (features.layers.configuration.layers, features.layers.configuration.hiddenSize)
    let part =
      features.readsPredictions
      ? "\(count) layers and the predictions"
      : count == 0 ? "token embeddings" : count == 1 ? "first layer" : "first \(count) layers"
    return "the \(part) of a language model, width \(width), frozen; \(head.centres.rows) Gaussian units"
  }

  package func scores(_ texts: [EncodedText], workers: Int, workspaces: EncoderWorkspaces) throws -> [Float] {
    let features = try features(texts, workers: workers, workspaces: workspaces)
    let (head, share) = (head, 32)
    return try parallelMap(count: (texts.count + share - 1) / share, workers: workers) { _, index in
      head(features.rows(index * share..<min(texts.count, (index + 1) * share)))
    }.flatMap { $0 }
  }

  package func embeddings(_ texts: [EncodedText], workers: Int, workspaces: EncoderWorkspaces) throws
    -> MatrixView
  {
    head.embeddings(try features(texts, workers: workers, workspaces: workspaces))
  }

  package func save(to folder: String, maxTokens: Int) throws -> [String] {
    try features.layers.saveAsEncoder(to: folder)
    try head.save(to: folder + "/head.safetensors")
    return ["config.json", "model.safetensors", "head.safetensors"]
  }

  /// Nil for an encoder of another kind.
  package static func load(kind: String, directory: String) throws -> FirstLayersModel? {
    guard [kinds.layers, kinds.whole].contains(kind) else { return nil }
    let features = LayerFeatures(
      layers: try ModelLoader.loadEncoder(directory: directory), readsPredictions: kind == kinds.whole)
    return FirstLayersModel(
      features: features,
      head: try KernelHead.load(
        path: directory + "/head.safetensors", features: features.count, linear: features.linearCount))
  }
}
