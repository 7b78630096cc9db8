import Formats
import Foundation
import TensorKernels

/// What a model is made of, so that a training can make it again of other weights.
package struct ModelSource {
  /// config.json: as it was read, or as a GGUF file amounts to it.
  package let json: JSONValue
  package let weights: any WeightSource
  private let family: Family

  private enum Family {
    case llama(LlamaConfiguration)
    case gpt2(GPT2Configuration)
    case gptNeoX(GPTNeoXConfiguration)

    /// Throws for a family that is not known.
    init(json: JSONValue, path: String) throws {
      let name = json["model_type"]?.string ?? "(none)"
      if let llama = LlamaFamily.named(name) {
        self = .llama(try LlamaConfiguration(json: json, family: llama, path: path))
        return
      }
      switch name {
      case "gpt2": self = .gpt2(try GPT2Configuration(json: json, path: path))
      case "gpt_neox": self = .gptNeoX(try GPTNeoXConfiguration(json: json, path: path))
      default:
        throw ModelError.configuration(
          path,
          "architecture '\(name)' is not supported; supported: "
            + ModelLoader.supportedFamilies.joined(separator: ", "))
      }
    }
  }

  /// Opens a Hugging Face directory or a GGUF file. Throws `ModelError`, also for an adapter, which is no whole model.
  package init(path: String) throws {
    var isDirectory: ObjCBool = false
    guard FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory) else {
      throw ModelError.missing(
        "\(path): no such file or directory; --model wants a Hugging Face directory or a GGUF file")
    }
    guard !FileManager.default.fileExists(atPath: path + "/adapter_config.json") else {
      throw ModelError.configuration(path, "it is an adapter; give the model that it changes")
    }
    if !isDirectory.boolValue {
      let model = GGUFModel(file: try GGUFFile(path: path))
      let configuration = try model.llamaConfiguration()
      json = configuration.json
      weights = GGUFWeights(model, configuration: configuration)
      family = .llama(configuration)
    } else {
      let config = path + "/config.json"
      guard FileManager.default.fileExists(atPath: config) else {
        throw ModelError.missing(
          "\(path): has no config.json; --model wants a Hugging Face directory or a GGUF file")
      }
      json = try JSONValue.read(path: config)
      family = try Family(json: json, path: config)
      weights = try SafetensorsWeights(directory: path)
    }
  }

  /// How transformers draws the weights of a model that has learnt nothing: matrices normal with mean 0, biases 0.
  package struct Initialisation: Sendable {
    /// `initializer_range`
    package let deviation: Double
    /// What the deviation of the layers that write into the residual is multiplied by: GPT-2's `1 / sqrt(2 layers)`.
    package let residualFactor: Double
    /// What a norm's weight is where it changes nothing.
    package let neutralNorm: Float
  }

  /// A configuration with weights that were never trained.
  package init(
    untrained path: String, weights: (_ path: String, _ start: Initialisation) -> any WeightSource
  ) throws {
    guard FileManager.default.fileExists(atPath: path) else {
      throw ModelError.missing("\(path): no such file")
    }
    json = try JSONValue.read(path: path)
    family = try Family(json: json, path: path)
    let deviation = json["initializer_range"]?.double ?? 0.02
    guard deviation > 0, deviation.isFinite else {
      throw ModelError.configuration(path, "'initializer_range' is not a number above 0")
    }
    let (norm, residual): (Float, Double) =
      switch family {
      case .llama(let configuration): (1 - configuration.normOffset, 1)
      case .gpt2(let configuration): (1, 1 / Double(2 * configuration.layers).squareRoot())
      case .gptNeoX: (1, 1)
      }
    self.weights = weights(
      path, Initialisation(deviation: deviation, residualFactor: residual, neutralNorm: norm))
  }

  /// The model of these weights, or of others under the same names.
  package func model(
    of others: (any WeightSource)? = nil, precision: Precision = .f32
  ) throws -> any CausalLanguageModel {
    let weights = others ?? weights
    return switch family {
    case .llama(let configuration):
      try Llama(configuration: configuration, weights: weights, precision: precision)
    case .gpt2(let configuration):
      try GPT2(configuration: configuration, weights: weights, precision: precision)
    case .gptNeoX(let configuration):
      try GPTNeoX(configuration: configuration, weights: weights, precision: precision)
    }
  }
}
