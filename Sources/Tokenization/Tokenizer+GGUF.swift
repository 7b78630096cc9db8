import Formats

extension Tokenizer {
  /// The splitting rules that `tokenizer.ggml.pre` names, as the stages of tokenizer.json.
  struct GGUFRule {
    var normalizer: Normalizer?
    var preTokenizer: PreTokenizer
    var ignoresMerges = false
    /// Where the file does not say.
    var addsBeginning = false
  }

  private static let gpt2Rule = GGUFRule(preTokenizer: .byteLevel(addsPrefixSpace: false, splits: true))

  static let rules: [String: GGUFRule] = [
    "gpt-2": gpt2Rule,
    "default": gpt2Rule,
    "smollm": GGUFRule(
      preTokenizer: .sequence([.digits(individual: true), .byteLevel(addsPrefixSpace: false, splits: true)])),
    "llama-bpe": GGUFRule(
      preTokenizer: .sequence([
        .scanner(.lines(maximumDigits: 3)), .byteLevel(addsPrefixSpace: false, splits: false),
      ]), ignoresMerges: true, addsBeginning: true),
    "qwen2": GGUFRule(
      normalizer: .unicode(.nfc),
      preTokenizer: .sequence([
        .scanner(.lines(maximumDigits: 1)), .byteLevel(addsPrefixSpace: false, splits: false),
      ])),
  ]

  /// Reads the tokenizer that is embedded in a GGUF file (byte-level BPE only).
  package static func load(gguf path: String) throws -> Tokenizer {
    let file = try GGUFFile(path: path)
    return try located(at: path) { try Tokenizer(GGUFTokenizerData(file.metadata)) }
  }

  /// The tokenizer of a GGUF file with the tokenizer.json it amounts to among its `files`, so that it can be carried away.
  package static func load(carrying path: String) throws -> Tokenizer {
    guard GGUFFile.isGGUF(path: path) else { return try load(path) }
    let data = try located(at: path) { try GGUFTokenizerData(GGUFFile(path: path).metadata) }
    var tokenizer = try located(at: path) { try Tokenizer(data) }
    let json = try located(at: path) { try data.tokenizerJSON() }
    tokenizer.files = [SourceFile(name: "tokenizer.json", bytes: json.serialized())]
    return tokenizer
  }

  /// The tokenizer of a GGUF file that is open already.
  package static func load(_ file: GGUFFile) throws -> Tokenizer {
    try located(at: file.path) { try Tokenizer(GGUFTokenizerData(file.metadata)) }
  }

  init(_ data: GGUFTokenizerData) throws {
    guard data.model == "gpt2" else {
      throw StageError.unsupported("tokenizer.ggml.model '\(data.model)'", supported: ["gpt2"])
    }
    guard let rule = Self.rules[data.pre] else {
      throw StageError.unsupported("tokenizer.ggml.pre '\(data.pre)'", supported: Self.rules.keys.sorted())
    }
    var options = BytePairModel.Options()
    options.ignoresMerges = rule.ignoresMerges
    let model = try BytePairModel(
      vocabulary: try data.vocabulary(), merges: try data.merges(), options: options, isByteLevel: true)
    var postProcessor = PostProcessor()
    if data.metadata["tokenizer.ggml.add_bos_token"]?.bool ?? rule.addsBeginning {
      postProcessor.prefix = [try data.requireID("bos")]
    }
    if data.metadata["tokenizer.ggml.add_eos_token"]?.bool ?? false {
      postProcessor.suffix = [try data.requireID("eos")]
    }
    self.init(
      normalizer: rule.normalizer, preTokenizer: rule.preTokenizer, model: .bytePair(model),
      added: try data.addedTokens(), postProcessor: postProcessor, decoder: .byteLevel)
    specialTokens = SpecialTokens(
      beginning: data.id("bos"), end: data.id("eos"), padding: data.id("padding"), unknown: data.id("unknown")
    )
    chatTemplate = data.metadata["tokenizer.chat_template"]?.byteString
  }
}

/// What the metadata of a GGUF file says about its tokenizer.
struct GGUFTokenizerData {
  let metadata: [String: GGUFValue]
  let model: String
  let pre: String
  let tokens: [ByteString]

  init(_ metadata: [String: GGUFValue]) throws {
    self.metadata = metadata
    guard let model = metadata["tokenizer.ggml.model"]?.string,
      let tokens = metadata["tokenizer.ggml.tokens"]?.array?.strings
    else { throw StageError.malformed("the file has no tokenizer.ggml.model or no tokenizer.ggml.tokens") }
    self.model = model
    self.tokens = tokens
    pre = metadata["tokenizer.ggml.pre"]?.string ?? "default"
  }

  func vocabulary() throws -> Vocabulary {
    var vocabulary = Vocabulary(capacity: tokens.count)
    for (index, token) in tokens.enumerated() where !vocabulary.insert(token.bytes, id: Int32(index)) {
      throw StageError.malformed("tokenizer.ggml.tokens has '\(token)' twice")
    }
    return vocabulary
  }

  func merges() throws -> [(left: [UInt8], right: [UInt8])] {
    guard let lines = metadata["tokenizer.ggml.merges"]?.array?.strings else {
      throw StageError.malformed("the file has no tokenizer.ggml.merges")
    }
    return try lines.enumerated().map { index, line in
      guard let pair = BytePairModel.pair(line.bytes) else {
        throw StageError.malformed("merge \(index + 1) is no pair of tokens")
      }
      return pair
    }
  }

  /// Control tokens (type 3) are special, user-defined ones (type 4) are not.
  func addedTokens() throws -> [AddedToken] {
    guard let types = metadata["tokenizer.ggml.token_type"]?.array?.integers else { return [] }
    guard types.count == tokens.count else {
      throw StageError.malformed("\(types.count) token types for \(tokens.count) tokens")
    }
    return types.indices.compactMap { index in
      guard types[index] == 3 || types[index] == 4, !tokens[index].isEmpty else { return nil }
      return AddedToken(id: Int32(index), content: tokens[index].bytes, isSpecial: types[index] == 3)
    }
  }

  /// The id of a token with a role, where there is one in range.
  func id(_ role: String) -> Int32? {
    guard let id = metadata["tokenizer.ggml.\(role)_token_id"]?.int, tokens.indices.contains(id) else {
      return nil
    }
    return Int32(id)
  }

  func requireID(_ role: String) throws -> Int32 {
    guard let id = id(role) else {
      throw StageError.malformed("tokenizer.ggml.\(role)_token_id is missing or not a token")
    }
    return id
  }
}
