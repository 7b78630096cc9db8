import Formats
import Foundation
import TensorKernels

/// What a model of Llama's kind is made of: a training makes it of other weights.
package struct LlamaSource {
  package let configuration: LlamaConfiguration
  /// config.json: as it was read, or as a GGUF file amounts to it.
  package let json: JSONValue
  package let weights: any WeightSource

  init(configuration: LlamaConfiguration, json: JSONValue, weights: any WeightSource) {
    self.configuration = configuration
    self.json = json
    self.weights = weights
  }

  init(gguf path: String) throws {
    let model = GGUFModel(file: try GGUFFile(path: path))
    configuration = try model.llamaConfiguration()
    json = configuration.json
    weights = GGUFWeights(model, configuration: configuration)
  }

  /// Opens a Hugging Face directory or a GGUF file. Throws `ModelError` for a family that is not of Llama's kind, or an
  /// adapter.
  package init(path: String) throws {
    guard FileManager.default.fileExists(atPath: path) else {
      throw ModelError.missing("\(path): no such file or directory")
    }
    if GGUFFile.isGGUF(path: path) {
      self = try LlamaSource(gguf: path)
    } else {
      (json, configuration) = try Self.configuration(path: path + "/config.json")
      weights = try SafetensorsWeights(directory: path)
    }
  }

  /// A configuration with weights that were never trained, normal with the deviation that it says (`initializer_range`).
  package init(
    untrained path: String,
    weights: (_ path: String, _ deviation: Double, _ neutralNorm: Float) -> any WeightSource
  ) throws {
    (json, configuration) = try Self.configuration(path: path)
    let deviation = json["initializer_range"]?.double ?? 0.02
    guard deviation > 0, deviation.isFinite else {
      throw ModelError.configuration(path, "'initializer_range' is not a number above 0")
    }
    self.weights = weights(path, deviation, 1 - configuration.normOffset)
  }

  private static func configuration(path: String) throws -> (JSONValue, LlamaConfiguration) {
    guard FileManager.default.fileExists(atPath: path) else {
      throw ModelError.missing("\(path): no such file")
    }
    let json = try JSONValue.read(path: path)
    let name = json["model_type"]?.string ?? "(none)"
    guard let family = LlamaFamily.named(name) else {
      throw ModelError.configuration(
        path,
        "all weights of '\(name)' cannot be trained; an adapter can (--lora-rank), and all weights of "
          + LlamaFamily.all.map(\.name).joined(separator: ", "))
    }
    return (json, try LlamaConfiguration(json: json, family: family, path: path))
  }
}

extension Llama {
  package init(_ source: LlamaSource, precision: Precision = .f32) throws {
    try self.init(configuration: source.configuration, weights: source.weights, precision: precision)
  }
}
