import Formats
import Foundation
import Synchronization
import TensorKernels
import Tokenization

extension Valuator {
  private static let domainName = "domain.bin"
  /// What a valuator's folder may hold; the tokenizer's files are those it came with.
  private static let entries =
    [
      ValuatorFiles.cardName, ValuatorFiles.signatureName, TrainingDistributions.fileName, "1_Pooling",
      "2_Dense", "chat_template.jinja", "head.safetensors", "README.md",
      "added_tokens.json", "config.json",
      domainName,
      "model.safetensors",
      "modules.json", "sentence_bert_config.json", "special_tokens_map.json", "tokenizer.json",
      "tokenizer_config.json", "training.jsonl", "vocab.txt",
    ] + LabelledRows.fileNames

  /// Reads a valuator directory. Throws where `alinfik.json` is missing, a file is not the one that was saved, or
  /// the weights are not what config.json says.
  ///
  /// - Parameter precision: another than the valuator's own, to see what it changes.
  package static func load(directory: String, precision: ValuatorPrecision? = nil) throws -> Valuator {
    let files = try ValuatorFiles(directory: directory)
    let card = try ValuatorCard(json: files.json, path: files.cardPath)
    // Hashing takes as long as reading: all at once. A file that is not the one that was saved is named before whatever else it
    // led to.
    let tokenizer = Mutex<Result<Tokenizer, any Error>?>(nil)
    let model = Mutex<Result<any ValuatorModel, any Error>?>(nil)
    try parallelForEach(count: 3, workers: 3) { _, part in
      switch part {
      case 0:
        let loaded = Result { try Tokenizer.load(directory) }
        tokenizer.withLock { $0 = loaded }
      case 1: try files.requireUnchanged()
      default:
        let loaded = Result { try readModel(of: files, precision ?? card.precision) }
        model.withLock { $0 = loaded }
      }
    }
    return try assembled(
      try model.withLock { $0! }.get(), try tokenizer.withLock { $0! }.get(), card, files)
  }

  private static func hasDomain(_ json: JSONValue) -> Bool {
    json["out_of_domain"].map { !$0.isNull } ?? false
  }

  private static func readModel(of files: ValuatorFiles, _ precision: ValuatorPrecision) throws
    -> any ValuatorModel
  {
    let (path, json) = (files.cardPath, files.json)
    let required =
      ["config.json", "model.safetensors", "tokenizer.json"] + (hasDomain(json) ? [domainName] : [])
    for name in required where !files.names.contains(name) {
      throw EncoderError.malformed(path, "'files' does not list \(name)")
    }
    return try loadModel(
      kind: json["encoder"]?.string ?? EncoderModel.kind, files.directory, path, precision)
  }

  /// The valuator of parts that have been read. Throws where they do not belong together.
  private static func assembled(
    _ model: any ValuatorModel, _ tokenizer: Tokenizer, _ card: ValuatorCard, _ files: ValuatorFiles
  ) throws -> Valuator {
    let (directory, json, names) = (files.directory, files.json, files.names)
    guard card.maxTokens <= model.maxPositions else {
      throw EncoderError.malformed(
        files.cardPath,
        "max_tokens \(card.maxTokens) is more than the \(model.maxPositions) positions")
    }
    var card = card
    if hasDomain(json) {
      card.domain = try TextDomain(
        fileBytes: Array(try Data(contentsOf: URL(fileURLWithPath: directory + "/" + domainName))),
        json: json["out_of_domain"], vocabulary: model.vocabularySize, path: directory + "/" + domainName)
    }
    try model.requireVocabulary(of: tokenizer, directory: directory)
    let rows = try LabelledRows.load(folder: directory, files: names, embeddingWidth: model.embeddingWidth)
    return Valuator(
      model: model, tokenizer: tokenizer, card: card, rows: rows,
      distributions: try TrainingDistributions.load(folder: directory, files: names, rows: rows))
  }

  private static func loadModel(
    kind: String, _ directory: String, _ path: String, _ precision: ValuatorPrecision
  ) throws -> any ValuatorModel {
    if let model = try FirstLayersModel.load(
      kind: kind, directory: directory, precision: precision.products)
    {
      guard precision != .int8 else {
        throw EncoderError.unsupported(
          directory, "int8 is for text encoders; a language model's layers take bf16")
      }
      return model
    }
    guard kind == EncoderModel.kind else {
      throw EncoderError.unsupported(path, "an encoder of kind '\(kind)' is not known")
    }
    let model = try EncoderModel.load(directory: directory)
    try model.readHead(path: directory + "/2_Dense/model.safetensors")
    return model.at(precision)
  }

  /// Throws where something stands under this name that a valuator must not replace. Worth asking before training.
  package static func refuseExisting(_ directory: String, force: Bool) throws {
    try OutputDirectory(path: directory, entries: entries, force: force).discard()
  }

  /// Bytes of a valuator's files.
  package static func bytes(directory: String) throws -> Int {
    let names = FileManager.default.enumerator(atPath: directory)?.compactMap { $0 as? String } ?? []
    return try names.reduce(0) { sum, name in
      let attributes = try FileManager.default.attributesOfItem(atPath: directory + "/" + name)
      return sum
        + (attributes[.type] as? FileAttributeType == .typeRegular ? attributes[.size] as? Int ?? 0 : 0)
    }
  }

  /// The lines of `training.jsonl` of a valuator that is there; none where it has none.
  package static func trainingLog(directory: String) throws -> [JSONValue] {
    let path = directory + "/training.jsonl"
    guard FileManager.default.fileExists(atPath: path) else { return [] }
    let reader = try LineReader(path: path)
    var log: [JSONValue] = []
    while let line = try reader.next() {
      do { log.append(try JSONValue.parse(line.bytes)) } catch {
        throw EncoderError.malformed("\(path):\(line.number)", error.description)
      }
    }
    return log
  }

  /// Writes the directory beside its name and renames it when it is whole. What it says of the built-in texts now becomes its self-test.
  ///
  /// - Parameter log: what becomes `training.jsonl`, a line each.
  package func save(to directory: String, log: [JSONValue] = [], force: Bool = false) throws {
    let output = try OutputDirectory(path: directory, entries: Self.entries, force: force)
    let folder = output.temporaryPath
    var names = try model.save(to: folder, maxTokens: card.maxTokens)
    names += try rows?.save(to: folder) ?? []
    if let distributions {
      try distributions.save(to: folder)
      names.append(TrainingDistributions.fileName)
    }
    let logBytes = log.flatMap { $0.serialized() + [UInt8(ascii: "\n")] }
    let optional = [("training.jsonl", logBytes), (Self.domainName, card.domain?.fileBytes ?? [])]
    let readme = [("README.md", Array(modelCard.utf8))]
    for (name, bytes) in try encoding.tokenizer.carriedFiles(maximumLength: card.maxTokens) + readme
      + optional.filter({ !$0.1.isEmpty })
    {
      try OutputFile.write(bytes, to: folder + "/" + name)
      names.append(name)
    }
    let files = try names.sorted().map { (name: $0, sha256: try FileHash.sha256(path: folder + "/" + $0)) }
    var card = card
    card.selfTest = try selfTest()
    try OutputFile.write(
      card.json(encoder: model.kind, files: files).serialized(pretty: true),
      to: folder + "/" + ValuatorFiles.cardName)
    try output.commit()
  }

}

extension ValuatorModel {
  /// Throws where the tokenizer has ids that the embeddings do not.
  package func requireVocabulary(of tokenizer: Tokenizer, directory: String) throws {
    guard tokenizer.vocabularySize <= vocabularySize else {
      throw EncoderError.malformed(
        directory,
        """
        the tokenizer has \(tokenizer.vocabularySize) tokens, the encoder's embeddings only \
        \(vocabularySize)
        """)
    }
  }
}
