import Formats
import Foundation
import TensorKernels

/// A BERT encoder as a valuator's network. Its folder loads in sentence-transformers too: Transformer, Pooling (mean and
/// mean_sqrt_len), Dense without an activation.
extension EncoderModel: ValuatorModel {
  package static let kind = "bert"
  package var kind: String { Self.kind }
  package static let reading = TextEncoding.Reading.text

  package var vocabularySize: Int { configuration.vocabularySize }
  package var embeddingWidth: Int { configuration.hiddenSize }
  package var textsAtOnce: Int { 32 }
  package var maxPositions: Int { configuration.maxPositions }
  package var summary: String { "BERT, \(configuration.layers) layers of width \(configuration.hiddenSize)" }

  package func embeddings(of features: MatrixView) -> MatrixView {
    features.columns(0..<configuration.hiddenSize)
  }

  package func save(to folder: String, maxTokens: Int) throws -> [String] {
    for part in ["1_Pooling", "2_Dense"] {
      try FileManager.default.createDirectory(
        atPath: folder + "/" + part, withIntermediateDirectories: false)
    }
    try SafetensorsWriter.write(
      to: folder + "/model.safetensors", tensors: tensors, metadata: [(key: "format", value: "pt")])
    try SafetensorsWriter.write(
      to: folder + "/2_Dense/model.safetensors", tensors: headTensors,
      metadata: [(key: "format", value: "pt")])
    let limit: JSONValue = ["max_seq_length": JSONValue(maxTokens), "do_lower_case": false]
    let files: [(name: String, json: JSONValue)] = [
      ("config.json", configuration.json), ("modules.json", Self.modules),
      ("sentence_bert_config.json", limit), ("1_Pooling/config.json", pooling),
      ("2_Dense/config.json", dense),
    ]
    for file in files {
      try OutputFile.write(
        file.json.serialized(pretty: true) + [UInt8(ascii: "\n")], to: folder + "/" + file.name)
    }
    return ["model.safetensors", "2_Dense/model.safetensors"] + files.map(\.name)
  }

  private static let modules: JSONValue = {
    let modules = [
      ("", "sentence_transformers.models.Transformer"), ("1_Pooling", "sentence_transformers.models.Pooling"),
      ("2_Dense", "sentence_transformers.models.Dense"),
    ]
    return .array(
      modules.enumerated().map { index, module in
        [
          "idx": JSONValue(index), "name": JSONValue(String(index)), "path": JSONValue(module.0),
          "type": JSONValue(module.1),
        ]
      })
  }()

  private var pooling: JSONValue {
    [
      "word_embedding_dimension": JSONValue(configuration.hiddenSize), "pooling_mode_cls_token": false,
      "pooling_mode_mean_tokens": true, "pooling_mode_max_tokens": false,
      "pooling_mode_mean_sqrt_len_tokens": true, "pooling_mode_weightedmean_tokens": false,
      "pooling_mode_lasttoken": false, "include_prompt": true,
    ]
  }

  private var dense: JSONValue {
    [
      "in_features": JSONValue(2 * configuration.hiddenSize), "out_features": 1, "bias": true,
      "activation_function": "torch.nn.modules.linear.Identity",
    ]
  }
}
