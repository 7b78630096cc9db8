import Foundation
import LanguageModels
import TensorKernels

/// The first layers of a language model, or all of it, frozen, with a head of Gaussian units: what the model itself makes of
/// a text says more of the text's gradient than another encoder does.
package struct FirstLayersModel: ValuatorModel {
  package static let reading = TextEncoding.Reading.record
  /// As `encoder` in alinfik.json.
  private static let kinds = (layers: "first-layers", whole: "language-model")

  package let reader: LayerFeatures
  package let head: KernelHead

  package init(reader: LayerFeatures, head: KernelHead) {
    self.reader = reader
    self.head = head
  }

  package var kind: String { reader.readsPredictions ? Self.kinds.whole : Self.kinds.layers }
  package var vocabularySize: Int { reader.layers.vocabularySize }
  package var embeddingWidth: Int { reader.count }
  /// Without blocks a text costs less than reading the head's centres.
  package var textsAtOnce: Int { reader.layers.configuration.layers == 0 ? 256 : 8 }
  package var maxPositions: Int { reader.layers.contextLength }
  package var summary: String {
    let (count, width) = (reader.layers.configuration.layers, reader.layers.configuration.hiddenSize)
    let part =
      reader.readsPredictions
      ? "\(count) layers and the predictions"
      : count == 0 ? "token embeddings" : count == 1 ? "first layer" : "first \(count) layers"
    return "the \(part) of a language model, width \(width), frozen; \(head.centres.rows) Gaussian units"
  }

  package func features(_ texts: [EncodedText], workers: Int, workspaces: EncoderWorkspaces) throws
    -> MatrixView
  {
    try reader(texts, workers: workers, workspaces: workspaces)
  }

  package func outputs(of features: MatrixView, workers: Int) throws -> [Float] {
    let (head, share) = (head, max(32, (features.rows + workers - 1) / workers))
    return try parallelMap(count: (features.rows + share - 1) / share, workers: workers) { _, index in
      head(features.rows(index * share..<min(features.rows, (index + 1) * share)))
    }.flatMap { $0 }
  }

  package func embeddings(of features: MatrixView) -> MatrixView { head.embeddings(features) }

  package func save(to folder: String, maxTokens: Int) throws -> [String] {
    try reader.layers.saveAsEncoder(to: folder)
    try head.save(to: folder + "/head.safetensors")
    return ["config.json", "model.safetensors", "head.safetensors"]
  }

  /// Nil for an encoder of another kind.
  package static func load(kind: String, directory: String, precision: Precision) throws -> FirstLayersModel?
  {
    guard [kinds.layers, kinds.whole].contains(kind) else { return nil }
    let reader = LayerFeatures(
      layers: try ModelLoader.loadEncoder(directory: directory, precision: precision),
      readsPredictions: kind == kinds.whole)
    let head = try KernelHead.load(
      path: directory + "/head.safetensors", features: reader.count, linear: reader.linearCount,
      precision: precision)
    return FirstLayersModel(reader: reader, head: head)
  }
}
