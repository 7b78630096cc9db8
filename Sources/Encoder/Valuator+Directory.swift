import Formats
import Foundation
import Tokenization

extension Valuator {
  private static let cardName = "alinfik.json"
  private static let domainName = "domain.bin"
  /// What a valuator's folder may hold; the tokenizer's files are those it came with.
  private static let entries = [
    cardName, "1_Pooling", "2_Dense", "README.md", "added_tokens.json", "config.json", domainName,
    "model.safetensors",
    "modules.json", "sentence_bert_config.json", "special_tokens_map.json", "tokenizer.json",
    "tokenizer_config.json", "training.jsonl", "vocab.txt",
  ]

  /// Reads a valuator directory. Throws where `alinfik.json` is missing, a file is not the one that was saved, or
  /// the weights are not what config.json says.
  package static func load(directory: String) throws -> Valuator {
    let path = directory + "/" + cardName
    guard FileManager.default.fileExists(atPath: path) else {
      throw EncoderError.missing(directory, "this is no valuator: it has no \(cardName)")
    }
    let json = try JSONValue.read(path: path)
    var card = try ValuatorCard(json: json, path: path)
    guard let files = json["files"]?.members, !files.isEmpty else {
      throw EncoderError.malformed(path, "'files' is missing")
    }
    for (name, hash) in files {
      guard try FileHash.sha256(path: directory + "/" + name.string) == hash.string else {
        throw EncoderError.tampered(directory: directory, file: name.string)
      }
    }
    let model = try EncoderModel.load(directory: directory)
    try model.readHead(path: directory + "/2_Dense/model.safetensors")
    guard card.maxTokens <= model.configuration.maxPositions else {
      throw EncoderError.malformed(
        path, "max_tokens \(card.maxTokens) is more than the \(model.configuration.maxPositions) positions")
    }
    if files.contains(where: { $0.key == ByteString(domainName) }) {
      card.domain = try TextDomain(
        fileBytes: Array(try Data(contentsOf: URL(fileURLWithPath: directory + "/" + domainName))),
        json: json["out_of_domain"], vocabulary: model.configuration.vocabularySize,
        path: directory + "/" + domainName)
    }
    let tokenizer = try Tokenizer.load(directory)
    try model.requireVocabulary(of: tokenizer, directory: directory)
    return Valuator(model: model, tokenizer: tokenizer, card: card)
  }

  /// Throws where something stands under this name that a valuator must not replace. Worth asking before training.
  package static func refuseExisting(_ directory: String, force: Bool) throws {
    try OutputDirectory(path: directory, entries: entries, force: force).discard()
  }

  /// Writes the directory beside its name and renames it when it is whole. It loads in sentence-transformers too:
  /// Transformer, Pooling (mean and mean_sqrt_len), Dense without an activation.
  ///
  /// - Parameter log: what becomes `training.jsonl`, a line each.
  package func save(to directory: String, log: [JSONValue] = [], force: Bool = false) throws {
    let output = try OutputDirectory(path: directory, entries: Self.entries, force: force)
    let folder = output.temporaryPath
    for part in ["1_Pooling", "2_Dense"] {
      try FileManager.default.createDirectory(
        atPath: folder + "/" + part, withIntermediateDirectories: false)
    }
    try SafetensorsWriter.write(
      to: folder + "/model.safetensors", tensors: model.tensors, metadata: [(key: "format", value: "pt")])
    try SafetensorsWriter.write(
      to: folder + "/2_Dense/model.safetensors", tensors: model.headTensors,
      metadata: [(key: "format", value: "pt")])
    var names = ["model.safetensors", "2_Dense/model.safetensors"]
    let logBytes = log.flatMap { $0.serialized() + [UInt8(ascii: "\n")] }
    let optional = [("training.jsonl", logBytes), (Self.domainName, card.domain?.fileBytes ?? [])]
    for (name, bytes) in try smallFiles() + optional.filter({ !$0.1.isEmpty }) {
      try OutputFile.write(bytes, to: folder + "/" + name)
      names.append(name)
    }
    let files = try names.sorted().map { (name: $0, sha256: try FileHash.sha256(path: folder + "/" + $0)) }
    try OutputFile.write(card.json(files: files).serialized(pretty: true), to: folder + "/" + Self.cardName)
    try output.commit()
  }

  private func smallFiles() throws -> [(name: String, bytes: [UInt8])] {
    func pretty(_ json: JSONValue) -> [UInt8] { json.serialized(pretty: true) + [UInt8(ascii: "\n")] }
    let files: [(String, [UInt8])] = [
      ("config.json", pretty(model.configuration.json)),
      ("modules.json", pretty(Self.modules)),
      (
        "sentence_bert_config.json",
        pretty(["max_seq_length": JSONValue(card.maxTokens), "do_lower_case": false])
      ),
      ("1_Pooling/config.json", pretty(pooling)),
      ("2_Dense/config.json", pretty(dense)),
      ("README.md", Array(modelCard.utf8)),
    ]
    return files + (try tokenizerFiles())
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
      "word_embedding_dimension": JSONValue(model.configuration.hiddenSize), "pooling_mode_cls_token": false,
      "pooling_mode_mean_tokens": true, "pooling_mode_max_tokens": false,
      "pooling_mode_mean_sqrt_len_tokens": true, "pooling_mode_weightedmean_tokens": false,
      "pooling_mode_lasttoken": false, "include_prompt": true,
    ]
  }

  private var dense: JSONValue {
    [
      "in_features": JSONValue(2 * model.configuration.hiddenSize), "out_features": 1, "bias": true,
      "activation_function": "torch.nn.modules.linear.Identity",
    ]
  }

  /// The tokenizer's files as they were read, but tokenizer.json without a truncation or padding of its own, and
  /// tokenizer_config.json with this valuator's limit.
  private func tokenizerFiles() throws -> [(name: String, bytes: [UInt8])] {
    var files: [(name: String, bytes: [UInt8])] = []
    for file in encoding.tokenizer.files where file.name != "tokenizer_config.json" {
      let isMain = file.name == "tokenizer.json"
      let changes: [(key: ByteString, value: JSONValue?)] = [
        (key: "truncation", value: .null), (key: "padding", value: .null),
      ]
      files.append((file.name, isMain ? try JSONObjectScanner(file.bytes).changing(changes) : file.bytes))
    }
    let given = encoding.tokenizer.files.first { $0.name == "tokenizer_config.json" }?.bytes
    let fallback = JSONValue.object([(key: "tokenizer_class", value: "PreTrainedTokenizerFast")]).serialized()
    let limit: [(key: ByteString, value: JSONValue?)] = [
      (key: "model_max_length", value: JSONValue(card.maxTokens)), (key: "name_or_path", value: nil),
      (key: "tokenizer_file", value: nil), (key: "special_tokens_map_file", value: nil),
    ]
    files.append(("tokenizer_config.json", try JSONObjectScanner(given ?? fallback).changing(limit)))
    return files
  }
}

extension EncoderModel {
  /// Throws where the tokenizer has ids that the embeddings do not.
  package func requireVocabulary(of tokenizer: Tokenizer, directory: String) throws {
    guard tokenizer.vocabularySize <= configuration.vocabularySize else {
      throw EncoderError.malformed(
        directory,
        """
        the tokenizer has \(tokenizer.vocabularySize) tokens, the encoder's embeddings only \
        \(configuration.vocabularySize)
        """)
    }
  }
}
