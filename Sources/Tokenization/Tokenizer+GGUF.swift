import Formats

/// The stages that a GGUF file's tokenizer amounts to.
struct GGUFStages {
  var normalizer: Normalizer?
  var preTokenizer: PreTokenizer?
  var model: TokenModel
  var decoder: TokenDecoder
  /// Whether the beginning and end of text are put around it, where the file does not say.
  var addsBeginning = false
  var addsEnd = false
}

extension GGUFTokenizerData {
  static let supportedModels = ["gpt2", "llama", "bert"]

  /// Throws for a kind of tokenizer that is not known.
  func stages() throws -> GGUFStages {
    switch model {
    case "gpt2": try byteLevelStages()
    case "llama": try sentencePieceStages()
    case "bert": try wordPieceStages()
    default:
      throw StageError.unsupported("tokenizer.ggml.model '\(model)'", supported: Self.supportedModels)
    }
  }

  // MARK: Byte-level byte-pair encoding (GPT-2 and after)

  /// The splitting rules that `tokenizer.ggml.pre` names, as the stages of tokenizer.json.
  struct Rule {
    var normalizer: Normalizer?
    var preTokenizer: PreTokenizer
    var ignoresMerges = false
    /// Where the file does not say.
    var addsBeginning = false
  }

  private static let gpt2Rule = Rule(preTokenizer: .byteLevel(addsPrefixSpace: false, splits: true))
  private static let qwen2Rule = Rule(
    normalizer: .unicode(.nfc),
    preTokenizer: .sequence([
      .scanner(.lines(maximumDigits: 1)), .byteLevel(addsPrefixSpace: false, splits: false),
    ]))

  private static let rules: [String: Rule] = [
    "gpt-2": gpt2Rule,
    "default": gpt2Rule,
    "smollm": Rule(
      preTokenizer: .sequence([.digits(individual: true), .byteLevel(addsPrefixSpace: false, splits: true)])),
    "llama-bpe": Rule(
      preTokenizer: .sequence([
        .scanner(.lines(maximumDigits: 3)), .byteLevel(addsPrefixSpace: false, splits: false),
      ]), ignoresMerges: true, addsBeginning: true),
    "qwen2": qwen2Rule,
  ]

  func rule() throws -> Rule {
    guard let rule = Self.rules[pre] else {
      throw StageError.unsupported("tokenizer.ggml.pre '\(pre)'", supported: Self.rules.keys.sorted())
    }
    return rule
  }

  private func byteLevelStages() throws -> GGUFStages {
    let rule = try rule()
    var options = BytePairModel.Options()
    options.ignoresMerges = rule.ignoresMerges
    let model = try BytePairModel(
      vocabulary: try vocabulary(), merges: try merges(), options: options, isByteLevel: true)
    return GGUFStages(
      normalizer: rule.normalizer, preTokenizer: rule.preTokenizer, model: .bytePair(model),
      decoder: .byteLevel, addsBeginning: rule.addsBeginning)
  }

  // MARK: SentencePiece's byte-pair encoding (Llama 2, Mistral, Gemma, Phi-3)

  static let spaceMark = Array("\u{2581}".utf8)

  /// Whether a space goes before each text.
  var prependsSpace: Bool { metadata["tokenizer.ggml.add_space_prefix"]?.bool ?? true }

  private func sentencePieceStages() throws -> GGUFStages {
    var options = BytePairModel.Options()
    options.unknown = id("unknown")
    options.fusesUnknown = true
    options.fallsBackToBytes = true
    let vocabulary = try vocabulary()
    let merges = try scoredMerges(vocabulary)
    var table = PairTable(capacity: merges.count)
    for merge in merges { table.insert(merge.left, merge.right, .init(rank: merge.rank, id: merge.id)) }
    let spaces = Normalizer.replace([0x20], with: Self.spaceMark)
    let texts: [TokenDecoder] = [.replace(Self.spaceMark, with: [0x20]), .byteFallback, .fuse]
    return GGUFStages(
      normalizer: prependsSpace ? .sequence([.prepend(Self.spaceMark), spaces]) : spaces,
      model: .bytePair(
        BytePairModel(vocabulary: vocabulary, table: table, options: options, isByteLevel: false)),
      decoder: .sequence(prependsSpace ? texts + [.strip([0x20], start: 1, stop: 0)] : texts),
      addsBeginning: true)
  }

  /// Of two neighbours that spell a token, those whose token has the highest score merge first: every way to cut a
  /// token in two is a merge, ranked by the token's score. Tokens that are no text are not merged into.
  func scoredMerges(_ vocabulary: Vocabulary) throws -> [(left: Int32, right: Int32, rank: Int32, id: Int32)]
  {
    guard let scores = metadata["tokenizer.ggml.scores"]?.array?.floats, scores.count == tokens.count else {
      throw StageError.malformed("tokenizer.ggml.scores are missing or not one a token")
    }
    let types = metadata["tokenizer.ggml.token_type"]?.array?.integers ?? []
    // Normal tokens (1) and user-defined ones (4).
    let texts = tokens.indices.filter { types.count != tokens.count || types[$0] == 1 || types[$0] == 4 }
    let ordered = texts.sorted { (scores[$1], $0) < (scores[$0], $1) }
    var merges: [(left: Int32, right: Int32, rank: Int32, id: Int32)] = []
    var rank: Int32 = -1
    var before = Float.nan
    for id in ordered {
      if scores[id] != before { rank += 1 }
      before = scores[id]
      let token = tokens[id].bytes
      // Never inside a character.
      for cut in token.indices.dropFirst() where token[cut] & 0xC0 != 0x80 {
        guard let left = vocabulary.id(token.span, 0..<cut),
          let right = vocabulary.id(token.span, cut..<token.count)
        else { continue }
        merges.append((left, right, rank, Int32(id)))
      }
    }
    return merges
  }

  // MARK: WordPiece (BERT)

  private func wordPieceStages() throws -> GGUFStages {
    let vocabulary = try vocabulary(wordPieceTokens)
    let model = WordPieceModel(
      vocabulary: vocabulary, prefix: Array("##".utf8), unknown: try requireID("unknown"),
      maximumCharacters: 100)
    return GGUFStages(
      normalizer: .bert(BertNormalizer()), preTokenizer: .bert, model: .wordPiece(model),
      decoder: .wordPiece(prefix: Array("##".utf8), cleansUp: true), addsBeginning: true, addsEnd: true)
  }

  /// The vocabulary as BERT spells it: the file marks what begins a word instead of what continues one.
  var wordPieceTokens: [ByteString] {
    tokens.map { token in
      if token.bytes.starts(with: Self.spaceMark) { return ByteString(Array(token.bytes.dropFirst(3))) }
      let isNamed = token.bytes.first == UInt8(ascii: "[") && token.bytes.last == UInt8(ascii: "]")
      return isNamed ? token : ByteString(Array("##".utf8) + token.bytes)
    }
  }
}

extension Tokenizer {
  /// Reads the tokenizer that is embedded in a GGUF file.
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
    let stages = try data.stages()
    var postProcessor = PostProcessor()
    if data.metadata["tokenizer.ggml.add_bos_token"]?.bool ?? stages.addsBeginning {
      postProcessor.prefix = [try data.requireID("bos", or: "cls")]
    }
    if data.metadata["tokenizer.ggml.add_eos_token"]?.bool ?? stages.addsEnd {
      postProcessor.suffix = [try data.requireID("eos", or: "seperator")]
    }
    self.init(
      normalizer: stages.normalizer, preTokenizer: stages.preTokenizer, model: stages.model,
      added: try data.addedTokens(), postProcessor: postProcessor, decoder: stages.decoder)
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

  func vocabulary(_ spelled: [ByteString]? = nil) throws -> Vocabulary {
    let tokens = spelled ?? tokens
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

  /// The id of a token with a role; some files give it by another name.
  func requireID(_ role: String, or other: String? = nil) throws -> Int32 {
    guard let id = id(role) ?? other.flatMap({ self.id($0) }) else {
      throw StageError.malformed("tokenizer.ggml.\(role)_token_id is missing or not a token")
    }
    return id
  }
}
