import Formats

/// The tokenizer of a GGUF file as the tokenizer.json that Hugging Face `tokenizers` reads: the same stages, so the same ids.
extension GGUFTokenizerData {
  func tokenizerJSON() throws -> JSONValue {
    let addedTokens = try addedTokens()
    let (normalizer, preTokenizer, decoder, model) = try stagesJSON()
    return [
      "version": "1.0", "truncation": .null, "padding": .null,
      "added_tokens": .array(addedTokens.map(Self.json)),
      "normalizer": normalizer, "pre_tokenizer": preTokenizer, "post_processor": try postProcessor(),
      "decoder": decoder, "model": model,
    ]
  }

  private typealias StagesJSON = (
    normalizer: JSONValue, preTokenizer: JSONValue, decoder: JSONValue, model: JSONValue
  )

  private func stagesJSON() throws -> StagesJSON {
    switch model {
    case "gpt2": try byteLevelJSON()
    case "llama": try sentencePieceJSON()
    default: wordPieceJSON
    }
  }

  private func byteLevelJSON() throws -> StagesJSON {
    let rule = try rule()
    return (
      rule.normalizer == nil ? .null : ["type": "NFC"], try rule.preTokenizer.exported(),
      ["type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true],
      bytePair(merges: try merges().map(Self.merge), ignoresMerges: rule.ignoresMerges)
    )
  }

  private func sentencePieceJSON() throws -> StagesJSON {
    let mark = JSONValue.string(ByteString(Self.spaceMark))
    let spaces: JSONValue = ["type": "Replace", "pattern": ["String": " "], "content": mark]
    let texts: [JSONValue] = [
      ["type": "Replace", "pattern": ["String": mark], "content": " "], ["type": "ByteFallback"],
      ["type": "Fuse"],
    ]
    let strip: JSONValue = ["type": "Strip", "content": " ", "start": 1, "stop": 0]
    let merges = try scoredMerges(try vocabulary()).map {
      Self.merge((tokens[Int($0.left)].bytes, tokens[Int($0.right)].bytes))
    }
    let prepended: JSONValue = [
      "type": "Sequence", "normalizers": [["type": "Prepend", "prepend": mark], spaces],
    ]
    return (
      prependsSpace ? prepended : spaces, .null,
      ["type": "Sequence", "decoders": .array(prependsSpace ? texts + [strip] : texts)],
      bytePair(merges: merges, unknown: id("unknown").map { tokens[Int($0)] }, fallsBack: true)
    )
  }

  private var wordPieceJSON: StagesJSON {
    let spelled = wordPieceTokens
    return (
      [
        "type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true, "strip_accents": .null,
        "lowercase": true,
      ], ["type": "BertPreTokenizer"], ["type": "WordPiece", "prefix": "##", "cleanup": true],
      [
        "type": "WordPiece", "unk_token": id("unknown").map { .string(spelled[Int($0)]) } ?? .null,
        "continuing_subword_prefix": "##", "max_input_chars_per_word": 100, "vocab": Self.object(spelled),
      ]
    )
  }

  private func bytePair(
    merges: [JSONValue], ignoresMerges: Bool = false, unknown: ByteString? = nil, fallsBack: Bool = false
  ) -> JSONValue {
    [
      "type": "BPE", "dropout": .null, "unk_token": unknown.map { .string($0) } ?? .null,
      "continuing_subword_prefix": .null, "end_of_word_suffix": .null, "fuse_unk": JSONValue(fallsBack),
      "byte_fallback": JSONValue(fallsBack), "ignore_merges": JSONValue(ignoresMerges),
      "vocab": Self.object(tokens), "merges": .array(merges),
    ]
  }

  private static func object(_ tokens: [ByteString]) -> JSONValue {
    .object(tokens.enumerated().map { (key: $1, value: JSONValue($0)) })
  }

  private static func merge(_ pair: (left: [UInt8], right: [UInt8])) -> JSONValue {
    [.string(ByteString(pair.left)), .string(ByteString(pair.right))]
  }

  private static func json(_ token: AddedToken) -> JSONValue {
    [
      "id": JSONValue(Int(token.id)), "content": .string(ByteString(token.content)), "single_word": false,
      "lstrip": false, "rstrip": false, "normalized": false, "special": JSONValue(token.isSpecial),
    ]
  }

  /// The beginning and end of text, where the file asks for them.
  private func postProcessor() throws -> JSONValue {
    let tokenizer = try Tokenizer(self)
    let (prefix, suffix) = (tokenizer.postProcessor.prefix, tokenizer.postProcessor.suffix)
    guard !prefix.isEmpty || !suffix.isEmpty else { return .null }
    func stage(_ id: Int32) -> JSONValue {
      ["SpecialToken": ["id": .string(tokens[Int(id)]), "type_id": 0]]
    }
    let text: JSONValue = ["Sequence": ["id": "A", "type_id": 0]]
    let single = JSONValue.array(prefix.map(stage) + [text] + suffix.map(stage))
    let special = Set(prefix + suffix).sorted().map { id in
      (
        key: tokens[Int(id)],
        value: [
          "id": .string(tokens[Int(id)]), "ids": [JSONValue(Int(id))], "tokens": [.string(tokens[Int(id)])],
        ]
          as JSONValue
      )
    }
    return [
      "type": "TemplateProcessing", "single": single, "pair": single, "special_tokens": .object(special),
    ]
  }
}

extension PreTokenizer {
  /// As tokenizer.json names it; of those kinds that a GGUF file can ask for.
  fileprivate func exported() throws -> JSONValue {
    switch self {
    case .sequence(let stages):
      ["type": "Sequence", "pretokenizers": .array(try stages.map { try $0.exported() })]
    case .digits(let individual): ["type": "Digits", "individual_digits": JSONValue(individual)]
    case .byteLevel(let addsPrefixSpace, let splits):
      [
        "type": "ByteLevel", "add_prefix_space": JSONValue(addsPrefixSpace), "trim_offsets": true,
        "use_regex": JSONValue(splits),
      ]
    case .scanner(.lines(let digits)):
      [
        "type": "Split", "behavior": "Isolated", "invert": false,
        "pattern": ["Regex": JSONValue(digits == 3 ? PieceScanner.llama3Pattern : PieceScanner.qwen2Pattern)],
      ]
    default: throw StageError.unsupported("a pre_tokenizer of a GGUF file", supported: ["its rules"])
    }
  }
}
