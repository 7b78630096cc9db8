import Formats
import Foundation
import LanguageModels
import TensorKernels

/// What a training moves, and the model that it makes.
package protocol ModelInTraining {
  var parameters: [Parameter] { get }
  /// Whether more is trained than linear layers.
  var trainsAll: Bool { get }
  /// What is trained, in a few words.
  var summary: String { get }
  /// What decides a training beside its parameters' names and first values.
  var settings: JSONValue { get }
  /// The model as its parameters are now.
  func model() throws -> any CausalLanguageModel
  /// Writes it as transformers or PEFT reads it into a folder that is there.
  func save(to folder: String) throws
}

/// All weights of a model.
package struct WholeModel: ModelInTraining {
  private let source: ModelSource
  private let weights: TrainableWeights
  private let precision: Precision

  package init(_ source: ModelSource, precision: Precision = .f32) throws {
    self.source = source
    self.precision = precision
    weights = TrainableWeights(source.weights)
    _ = try model()
  }

  package var parameters: [Parameter] { weights.parameters }
  package var trainsAll: Bool { true }
  package var summary: String {
    "all \(parameters.reduce(0) { $0 + $1.matrix.rows * $1.matrix.columns }) weights"
  }

  package var settings: JSONValue { [:] }

  package func model() throws -> any CausalLanguageModel {
    try source.model(of: weights, precision: precision)
  }

  package func save(to folder: String) throws {
    try SafetensorsWriter.write(
      to: folder + "/model.safetensors",
      tensors: parameters.map { ($0.name, $0.shape, $0.matrix.view.values) },
      metadata: [(key: "format", value: "pt")])
    // What is written is f32, whatever was read.
    let members = (source.json.members ?? []).map { key, value in
      (key: key, value: ["torch_dtype", "dtype"].contains(key) ? "float32" : value)
    }
    try OutputFile.write(
      JSONValue.object(members).serialized(pretty: true) + [UInt8(ascii: "\n")], to: folder + "/config.json")
  }
}

/// A new LoRA adapter (Hu et al. 2021) for some linear layers of a model that stays as it is: `W + alpha / r B A`, at first B = 0
/// and A uniform within `+- 1 / sqrt(inputs)`, as PEFT begins.
package struct AdapterInTraining: ModelInTraining {
  private let base: any CausalLanguageModel
  private let basePath: String
  private let rank: Int
  private let alpha: Double
  /// Indices into the base's linear layers, ascending.
  private let layers: [Int]
  /// A and B of each of them.
  package let parameters: [Parameter]

  package init(
    base: any CausalLanguageModel, path: String, layers: [Int], rank: Int, alpha: Double, seed: UInt64
  ) throws {
    let narrowest =
      layers.map { min(base.linearLayers[$0].inputWidth, base.linearLayers[$0].outputWidth) }.min() ?? 0
    guard (1...max(1, narrowest)).contains(rank) else {
      throw FineTuningError.options(
        "--lora-rank \(rank): from 1 to \(narrowest), the narrowest layer's width")
    }
    guard alpha > 0, alpha.isFinite else { throw FineTuningError.options("--lora-alpha \(alpha): above 0") }
    self.base = base
    basePath = path
    self.layers = layers
    self.rank = rank
    self.alpha = alpha
    parameters = layers.flatMap { index -> [Parameter] in
      let layer = base.linearLayers[index]
      let names = LoRAAdapter.names(ofLayer: layer)
      var generator = SeededGenerator(seed: seed, stream: "initial \(names.a)")
      let a = Matrix(rows: rank, columns: layer.inputWidth)
      let limit = 1 / Double(layer.inputWidth).squareRoot()
      for row in 0..<a.rows {
        for column in 0..<a.columns { a[row, column] = Float(limit * (2 * generator.uniform() - 1)) }
      }
      let b = Matrix(rows: layer.outputWidth, columns: rank)
      b.fill(0)
      return [
        Parameter(name: names.a, matrix: a, isVector: false),
        Parameter(name: names.b, matrix: b, isVector: false),
      ]
    }
  }

  package var trainsAll: Bool { false }
  package var summary: String { "a LoRA adapter of rank \(rank) for \(layers.count) layers" }
  package var settings: JSONValue { ["lora_rank": JSONValue(rank), "lora_alpha": JSONValue(alpha)] }

  package func model() throws -> any CausalLanguageModel {
    let matrices = layers.indices.map { index in
      (
        layer: layers[index],
        matrices: LoRAAdapter.Layer(
          nameA: parameters[2 * index].name, nameB: parameters[2 * index + 1].name,
          a: parameters[2 * index].matrix.view, b: parameters[2 * index + 1].matrix.view,
          scale: Float(alpha / Double(rank)))
      )
    }
    return AdaptedModel(base: base, adapters: matrices)
  }

  package func save(to folder: String) throws {
    try SafetensorsWriter.write(
      to: folder + "/adapter_model.safetensors",
      tensors: parameters.map { ($0.name, [$0.matrix.rows, $0.matrix.columns], $0.matrix.view.values) },
      metadata: [(key: "format", value: "pt")])
    let modules = layers.map { String(base.linearLayers[$0].name.dropLast(".weight".count)) }
    let config: JSONValue = [
      "peft_type": "LORA", "task_type": "CAUSAL_LM", "base_model_name_or_path": JSONValue(basePath),
      "r": JSONValue(rank), "lora_alpha": JSONValue(alpha), "lora_dropout": 0, "bias": "none",
      "fan_in_fan_out": false, "inference_mode": true,
      "target_modules": .array(modules.map { JSONValue($0) }),
    ]
    try OutputFile.write(
      config.serialized(pretty: true) + [UInt8(ascii: "\n")], to: folder + "/adapter_config.json")
  }
}
