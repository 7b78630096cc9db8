import Formats
import Foundation
import TensorKernels

/// Opens a language model by its path: a Hugging Face directory or a GGUF file.
package enum ModelLoader {
  /// Model families that can be loaded, as config.json's `model_type` names them.
  package static let supportedFamilies = LlamaFamily.all.map(\.name) + ["gpt2", "gpt_neox"]
  /// Those of them that a GGUF file may hold, as its `general.architecture` names them.
  package static let supportedFamiliesInGGUF = GGUFModel.families.keys.sorted()

  /// Loads the model, with a LoRA adapter merged into it where the directory holds one. Throws `ModelError`, or
  /// `FormatError` for a file that is malformed.
  package static func load(path: String, precision: Precision = .f32) throws -> any CausalLanguageModel {
    if let adapter = try LoRAAdapter(directory: path) {
      try adapter.refuseOtherBase()
      return try AdaptedModel(base: load(path: adapter.basePath, precision: precision), adapter: adapter)
    }
    let model = try ModelSource(path: path).model(precision: precision)
    guard !model.linearLayers.isEmpty else { throw ModelError.configuration(path, "the model has no layers") }
    return model
  }

  /// What `Llama.saveAsEncoder` wrote: a directory of the Llama family that may have no layers at all.
  package static func loadEncoder(directory path: String, precision: Precision = .f32) throws -> Llama {
    guard let model = try ModelSource(path: path).model(precision: precision) as? Llama else {
      throw ModelError.configuration("\(path)/config.json", "is not of the Llama family")
    }
    return model
  }

  /// The files a model consists of, for its hash: configuration, weights and tokenizer, and those of an adapter.
  package static func files(path: String) throws -> [String] {
    var isDirectory: ObjCBool = false
    guard FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory), isDirectory.boolValue
    else {
      return [path]
    }
    let adapter = try LoRAAdapter(directory: path)
    let weights =
      try adapter.map { try [$0.weightsPath] + files(path: $0.basePath) }
      ?? SafetensorsWeights.shards(directory: path)
    let named = [
      "adapter_config.json", "config.json", "model.safetensors.index.json", "tokenizer.json",
      "tokenizer_config.json", "special_tokens_map.json", "chat_template.jinja",
    ]
    return named.map { "\(path)/\($0)" }.filter { FileManager.default.fileExists(atPath: $0) } + weights
  }

  /// Where a model's tokenizer is: beside it, or beside the model that an adapter changes.
  package static func tokenizerPath(path: String) throws -> String {
    guard let adapter = try LoRAAdapter(directory: path),
      !FileManager.default.fileExists(atPath: "\(path)/tokenizer.json")
    else { return path }
    return try tokenizerPath(path: adapter.basePath)
  }

  /// What a model is known by: SHA-256 over the sorted lines `name NUL sha256 LF` of its files.
  package static func sha256(path: String) throws -> String {
    let lines = try files(path: path).map { file in
      Array(file.split(separator: "/").last!.utf8) + [0] + Array(try FileHash.sha256(path: file).utf8)
    }
    let sorted = lines.sorted { $0.lexicographicallyPrecedes($1) }
    return FileHash.sha256(sorted.flatMap { $0 + [UInt8(ascii: "\n")] })
  }

  static func unsupported(_ architecture: String, in file: GGUFFile) -> ModelError {
    .configuration(
      file.path,
      "architecture '\(architecture)' is not supported in a GGUF file; supported: "
        + supportedFamiliesInGGUF.joined(separator: ", "))
  }
}
