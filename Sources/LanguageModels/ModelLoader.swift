import Formats
import Foundation
import TensorKernels

/// Opens a language model by its path: a Hugging Face directory or a GGUF file.
package enum ModelLoader {
  /// Model families that can be loaded, as config.json's `model_type` names them.
  package static let supportedFamilies = ["llama", "gpt2"]
  /// Those of them that a GGUF file may hold, as its `general.architecture` names them.
  package static let supportedFamiliesInGGUF = ["llama"]

  /// Loads the model. Throws `ModelError`, or `FormatError` for a file that is malformed.
  package static func load(path: String, precision: Precision = .f32) throws -> any CausalLanguageModel {
    var isDirectory: ObjCBool = false
    guard FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory) else {
      throw ModelError.missing(
        "\(path): no such file or directory; --model wants a Hugging Face directory or a GGUF file")
    }
    let model = isDirectory.boolValue ? try loadDirectory(path, precision) : try loadGGUF(path, precision)
    guard !model.linearLayers.isEmpty else { throw ModelError.configuration(path, "the model has no layers") }
    return model
  }

  /// What `Llama.saveAsEncoder` wrote: a directory of the Llama family that may have no layers at all.
  package static func loadEncoder(directory path: String) throws -> Llama {
    guard let model = try loadDirectory(path, .f32) as? Llama else {
      throw ModelError.configuration("\(path)/config.json", "is not of the Llama family")
    }
    return model
  }

  /// The files a model consists of, for its hash: configuration, weights and tokenizer.
  package static func files(path: String) -> [String] {
    var isDirectory: ObjCBool = false
    guard FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory), isDirectory.boolValue
    else {
      return [path]
    }
    return [
      "config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json",
      "special_tokens_map.json", "chat_template.jinja",
    ]
    .map { "\(path)/\($0)" }.filter { FileManager.default.fileExists(atPath: $0) }
  }

  /// What a model is known by: SHA-256 over the sorted lines `name NUL sha256 LF` of its files.
  package static func sha256(path: String) throws -> String {
    let lines = try files(path: path).map { file in
      Array(file.split(separator: "/").last!.utf8) + [0] + Array(try FileHash.sha256(path: file).utf8)
    }
    let sorted = lines.sorted { $0.lexicographicallyPrecedes($1) }
    return FileHash.sha256(sorted.flatMap { $0 + [UInt8(ascii: "\n")] })
  }

  private static func loadDirectory(_ path: String, _ precision: Precision) throws -> any CausalLanguageModel
  {
    let configPath = "\(path)/config.json"
    let weightsPath = "\(path)/model.safetensors"
    guard FileManager.default.fileExists(atPath: configPath) else {
      throw ModelError.missing(
        "\(path): has no config.json; --model wants a Hugging Face directory or a GGUF file")
    }
    let config = try JSONValue.read(path: configPath)
    let family = config["model_type"]?.string ?? "(none)"
    guard supportedFamilies.contains(family) else {
      throw unsupported(family, supportedFamilies, configPath)
    }
    guard FileManager.default.fileExists(atPath: weightsPath) else {
      let hint =
        FileManager.default.fileExists(atPath: weightsPath + ".index.json")
        ? "its weights are in several files, which is not supported yet; save it as one model.safetensors"
        : "has no model.safetensors"
      throw ModelError.missing("\(path): \(hint)")
    }
    if family == "gpt2" {
      let configuration = try GPT2Configuration(json: config, path: configPath)
      return try GPT2(
        configuration: configuration, weights: SafetensorsWeights(path: weightsPath), precision: precision)
    }
    let configuration = try LlamaConfiguration(json: config, path: configPath)
    return try Llama(
      configuration: configuration, weights: SafetensorsWeights(path: weightsPath), precision: precision)
  }

  private static func loadGGUF(_ path: String, _ precision: Precision) throws -> any CausalLanguageModel {
    let file = try GGUFFile(path: path)
    let family = file.metadata["general.architecture"]?.string ?? "(none)"
    guard supportedFamiliesInGGUF.contains(family) else {
      throw unsupported(family, supportedFamiliesInGGUF, path, where: " in a GGUF file")
    }
    let configuration = try LlamaConfiguration(gguf: file)
    return try Llama(
      configuration: configuration, weights: GGUFWeights(file: file, configuration: configuration),
      precision: precision)
  }

  private static func unsupported(
    _ family: String, _ supported: [String], _ path: String, where place: String = ""
  ) -> ModelError {
    .configuration(
      path,
      "architecture '\(family)' is not supported\(place); supported: \(supported.joined(separator: ", "))")
  }
}
