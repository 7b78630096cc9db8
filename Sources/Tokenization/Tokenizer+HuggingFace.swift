import Formats
import Foundation

extension Tokenizer {
  /// Reads a Hugging Face folder that has a tokenizer.json, a tokenizer.json itself, or the tokenizer of a GGUF file.
  package static func load(_ path: String) throws -> Tokenizer {
    var isDirectory: ObjCBool = false
    guard FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory) else {
      throw TokenizerError.missing(path: path, what: "such file or folder")
    }
    if isDirectory.boolValue { return try load(directory: path) }
    if GGUFFile.isGGUF(path: path) { return try load(gguf: path) }
    let url = URL(fileURLWithPath: path)
    return try load(directory: url.deletingLastPathComponent().path, name: url.lastPathComponent)
  }

  /// Reads tokenizer.json (or the file `name`), and beside it, where they are, tokenizer_config.json,
  /// special_tokens_map.json and chat_template.jinja.
  package static func load(directory: String, name: String = "tokenizer.json") throws -> Tokenizer {
    let folder = URL(fileURLWithPath: directory)
    func read(_ name: String) -> SourceFile? {
      let data = try? Data(contentsOf: folder.appendingPathComponent(name))
      return data.map { SourceFile(name: name, bytes: Array($0)) }
    }
    let path = folder.appendingPathComponent(name).path
    guard let main = read(name) else { throw TokenizerError.missing(path: path, what: "tokenizer") }
    var tokenizer = try parse(main, path: path)
    tokenizer.files = [main]
    for name in ["special_tokens_map.json", "tokenizer_config.json"] {
      guard let file = read(name) else { continue }
      let path = folder.appendingPathComponent(name).path
      let json = try located(at: path) { try JSONValue.parse(file.bytes) }
      try located(at: path) { try tokenizer.configure(from: json) }
      tokenizer.files.append(file)
    }
    if let template = read("chat_template.jinja") {
      tokenizer.chatTemplate = ByteString(template.bytes)
      tokenizer.files.append(template)
    }
    return tokenizer
  }

  static func parse(_ file: SourceFile, path: String) throws -> Tokenizer {
    try located(at: path) {
      let json = try JSONValue.parse(file.bytes)
      let normalizer = try Normalizer.read(json["normalizer"])
      let preTokenizer = try PreTokenizer.read(json["pre_tokenizer"])
      return Tokenizer(
        normalizer: normalizer, preTokenizer: preTokenizer,
        model: try TokenModel.read(
          try json.require("model"), isByteLevel: preTokenizer?.isByteLevel ?? false),
        added: try AddedVocabulary.read(json["added_tokens"]),
        postProcessor: try PostProcessor.read(json["post_processor"]),
        decoder: try TokenDecoder.read(json["decoder"]))
    }
  }

  /// Runs `body` and gives its errors the file's name.
  static func located<Result>(at path: String, _ body: () throws -> Result) throws -> Result {
    do {
      return try body()
    } catch let error as StageError {
      throw error.located(at: path)
    } catch let error as JSONError {
      throw TokenizerError.malformed(path: path, reason: error.description)
    }
  }

  /// Takes the named tokens, the limit and the template of tokenizer_config.json.
  private mutating func configure(from json: JSONValue) throws {
    func id(_ key: ByteString) -> Int32? {
      let value = json[key]
      return (value?.byteString ?? value?["content"]?.byteString).flatMap { self.id(of: $0) }
    }
    if let found = id("bos_token") { specialTokens.beginning = found }
    if let found = id("eos_token") { specialTokens.end = found }
    if let found = id("pad_token") { specialTokens.padding = found }
    if let found = id("unk_token") { specialTokens.unknown = found }
    // Absent limits are written as 10^30.
    if let limit = json["model_max_length"]?.double, limit >= 1, limit < 1e9 { maximumLength = Int(limit) }
    if let template = json["chat_template"], !template.isNull {
      chatTemplate = try Self.template(template)
    }
  }

  /// A template, or of several named ones the default.
  private static func template(_ json: JSONValue) throws -> ByteString {
    if let text = json.byteString { return text }
    let named = try json.elements().first { $0["name"]?.string == "default" }
    guard let text = named?["template"]?.byteString else {
      throw StageError.malformed("'chat_template' is neither a text nor a list with one named 'default'")
    }
    return text
  }
}
