import Formats

/// The tokenizer of a GGUF file as the tokenizer.json that Hugging Face `tokenizers` reads: the same stages, so the same ids.
extension GGUFTokenizerData {
  func tokenizerJSON() throws -> JSONValue {
    guard let rule = Tokenizer.rules[pre] else {
      throw StageError.unsupported("tokenizer.ggml.pre '\(pre)'", supported: Tokenizer.rules.keys.sorted())
    }
    let merges = try merges().map {
      JSONValue.array([.string(ByteString($0.left)), .string(ByteString($0.right))])
    }
    let addedTokens = try addedTokens()
    let vocabulary = tokens.enumerated().map { (key: $1, value: JSONValue($0)) }
    return [
      "version": "1.0", "truncation": .null, "padding": .null,
      "added_tokens": .array(addedTokens.map(Self.json)),
      "normalizer": rule.normalizer == nil ? .null : ["type": "NFC"],
      "pre_tokenizer": try rule.preTokenizer.exported(), "post_processor": try postProcessor(),
      "decoder": ["type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true],
      "model": [
        "type": "BPE", "dropout": .null, "unk_token": .null, "continuing_subword_prefix": .null,
        "end_of_word_suffix": .null, "fuse_unk": false, "byte_fallback": false,
        "ignore_merges": JSONValue(rule.ignoresMerges), "vocab": .object(vocabulary),
        "merges": .array(merges),
      ],
    ]
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
