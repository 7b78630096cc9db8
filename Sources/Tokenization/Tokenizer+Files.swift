import Formats

extension Tokenizer {
  /// The files to put beside weights, for a tokenizer that was loaded `carrying` them: as they were read, but tokenizer.json
  /// without a truncation or padding of its own, and tokenizer_config.json without the places it was read from and, where
  /// one is given, with this limit.
  package func carriedFiles(maximumLength: Int?) throws -> [(name: String, bytes: [UInt8])] {
    var files: [(name: String, bytes: [UInt8])] = []
    for file in self.files where file.name != Self.configurationName {
      let changes: [(key: ByteString, value: JSONValue?)] = [
        (key: "truncation", value: .null), (key: "padding", value: .null),
      ]
      let isMain = file.name == "tokenizer.json"
      files.append((file.name, isMain ? try JSONObjectScanner(file.bytes).changing(changes) : file.bytes))
    }
    let given = self.files.first { $0.name == Self.configurationName }?.bytes
    let fallback = JSONValue.object([(key: "tokenizer_class", value: "PreTrainedTokenizerFast")]).serialized()
    var changes: [(key: ByteString, value: JSONValue?)] = [
      (key: "name_or_path", value: nil), (key: "tokenizer_file", value: nil),
      (key: "special_tokens_map_file", value: nil),
    ]
    if let maximumLength { changes.append((key: "model_max_length", value: JSONValue(maximumLength))) }
    if given == nil { changes += known }
    files.append((Self.configurationName, try JSONObjectScanner(given ?? fallback).changing(changes)))
    return files
  }

  private static let configurationName = "tokenizer_config.json"

  /// What a GGUF file says of its tokenizer beside the tokens: where a text ends, and the chat template.
  private var known: [(key: ByteString, value: JSONValue?)] {
    [
      (key: "bos_token", value: bosToken.flatMap { token($0) }.map { .string($0) }),
      (key: "eos_token", value: eosToken.flatMap { token($0) }.map { .string($0) }),
      (key: "chat_template", value: chatTemplate.map { .string($0) }),
    ]
  }
}
