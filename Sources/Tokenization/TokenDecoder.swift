import Formats

/// The last stage of tokenizer.json: turns tokens back into text. Texts are bytes until the end, so that a character
/// whose bytes are spread over several tokens comes out whole.
indirect enum TokenDecoder: Sendable {
  case sequence([TokenDecoder])
  case byteLevel
  case wordPiece(prefix: [UInt8], cleansUp: Bool)
  case byteFallback
  case fuse
  case replace([UInt8], with: [UInt8])
  case strip([UInt8], start: Int, stop: Int)
  case metaspace(replacement: [UInt8], dropsFirst: Bool)
  case suffix([UInt8])

  func decode(_ tokens: [[UInt8]]) -> [[UInt8]] {
    switch self {
    case .sequence(let stages): stages.reduce(tokens) { $1.decode($0) }
    case .byteLevel: [tokens.flatMap { ByteAlphabet.decode($0) ?? $0 }]
    case .wordPiece(let prefix, let cleansUp): Self.wordPiece(tokens, prefix, cleansUp: cleansUp)
    case .byteFallback: Self.byteFallback(tokens)
    case .fuse: [Array(tokens.joined())]
    case .replace(let pattern, let replacement): tokens.map { $0.replacing(pattern, with: replacement) }
    case .strip(let content, let start, let stop): tokens.map { Self.strip($0, content, start, stop) }
    case .metaspace(let replacement, let dropsFirst):
      tokens.enumerated().map { index, token in
        token.replacing(replacement, with: index == 0 && dropsFirst ? [] : [0x20])
      }
    case .suffix(let suffix):
      tokens.enumerated().map { index, token in
        token.replacing(suffix, with: index == tokens.count - 1 ? [] : [0x20])
      }
    }
  }

  private static func wordPiece(_ tokens: [[UInt8]], _ prefix: [UInt8], cleansUp: Bool) -> [[UInt8]] {
    tokens.enumerated().map { index, token in
      var text = token
      if index > 0 {
        text = token.starts(with: prefix) ? Array(token.dropFirst(prefix.count)) : [0x20] + token
      }
      return cleansUp ? contractions.reduce(text) { $0.replacing($1.0, with: $1.1) } : text
    }
  }

  /// What the peer joins again: punctuation and English contractions.
  private static let contractions: [([UInt8], [UInt8])] = [
    (" .", "."), (" ?", "?"), (" !", "!"), (" ,", ","), (" ' ", "'"), (" n't", "n't"), (" 'm", "'m"),
    (" do not", " don't"), (" 's", "'s"), (" 've", "'ve"), (" 're", "'re"),
  ].map { (Array($0.0.utf8), Array($0.1.utf8)) }

  /// Joins runs of `<0x41>` into their bytes; a run that is no UTF-8 becomes one U+FFFD a byte.
  private static func byteFallback(_ tokens: [[UInt8]]) -> [[UInt8]] {
    var result: [[UInt8]] = []
    var run: [UInt8] = []
    func endRun() {
      if run.isEmpty { return }
      if ByteString(run).isValidUTF8 {
        result.append(run)
      } else {
        result += run.map { _ in Array("\u{FFFD}".utf8) }
      }
      run.removeAll()
    }
    for token in tokens {
      if let byte = byte(token) {
        run.append(byte)
      } else {
        endRun()
        result.append(token)
      }
    }
    endRun()
    return result
  }

  /// The byte that `<0x41>` stands for.
  private static func byte(_ token: [UInt8]) -> UInt8? {
    guard token.count == 6, token.starts(with: Array("<0x".utf8)), token[5] == UInt8(ascii: ">") else {
      return nil
    }
    return UInt8(String(decoding: token[3..<5], as: UTF8.self), radix: 16)
  }

  private static func strip(_ token: [UInt8], _ content: [UInt8], _ start: Int, _ stop: Int) -> [UInt8] {
    var text = token[...]
    for _ in 0..<start where text.starts(with: content) { text = text.dropFirst(content.count) }
    for _ in 0..<stop where text.reversed().starts(with: content.reversed()) {
      text = text.dropLast(content.count)
    }
    return Array(text)
  }

  // MARK: Reading

  static let supported = [
    "Sequence", "ByteLevel", "WordPiece", "ByteFallback", "Fuse", "Replace", "Strip", "Metaspace",
    "BPEDecoder",
  ]

  /// The stage a `decoder` object of tokenizer.json describes; nil for null.
  static func read(_ json: JSONValue?) throws -> TokenDecoder? {
    guard let json, !json.isNull else { return nil }
    let type = try json.stageType("decoder")
    switch type {
    case "Sequence": return .sequence(try json.require("decoders").elements().compactMap { try read($0) })
    case "ByteLevel": return .byteLevel
    case "ByteFallback": return .byteFallback
    case "Fuse": return .fuse
    case "WordPiece":
      return .wordPiece(prefix: try json.requireBytes("prefix"), cleansUp: json["cleanup"]?.bool ?? true)
    case "Replace":
      return .replace(try json.requirePattern("decoder Replace"), with: try json.requireBytes("content"))
    case "Strip":
      return .strip(
        try json.requireBytes("content"), start: json["start"]?.int ?? 0, stop: json["stop"]?.int ?? 0)
    case "Metaspace":
      let isNever = json["prepend_scheme"]?.string == "never" || json["add_prefix_space"]?.bool == false
      return .metaspace(replacement: try json.requireBytes("replacement"), dropsFirst: !isNever)
    case "BPEDecoder": return .suffix(json["suffix"]?.byteString?.bytes ?? Array("</w>".utf8))
    default: throw StageError.unsupported("decoder '\(type)'", supported: supported)
    }
  }
}
