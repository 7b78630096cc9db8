import Formats

/// The fourth stage of tokenizer.json, for a single text: the special tokens put around it.
struct PostProcessor: Sendable {
  var prefix: [Int32] = []
  var suffix: [Int32] = []

  static let supported = [
    "TemplateProcessing", "BertProcessing", "RobertaProcessing", "ByteLevel", "Sequence",
  ]

  /// The stage a `post_processor` object of tokenizer.json describes; nothing for null.
  static func read(_ json: JSONValue?) throws -> PostProcessor {
    guard let json, !json.isNull else { return PostProcessor() }
    let type = try json.stageType("post_processor")
    switch type {
    case "ByteLevel": return PostProcessor()  // moves offsets only
    case "BertProcessing", "RobertaProcessing":
      return PostProcessor(prefix: [try pairID(json, "cls")], suffix: [try pairID(json, "sep")])
    case "TemplateProcessing": return try readTemplate(json)
    case "Sequence":
      var result = PostProcessor()
      for stage in try json.require("processors").elements() {
        let outer = try read(stage)
        result.prefix.insert(contentsOf: outer.prefix, at: 0)
        result.suffix += outer.suffix
      }
      return result
    default: throw StageError.unsupported("post_processor '\(type)'", supported: supported)
    }
  }

  /// The id of `["[CLS]", 101]`.
  private static func pairID(_ json: JSONValue, _ key: ByteString) throws -> Int32 {
    guard let pair = json[key]?.array, pair.count == 2 else {
      throw StageError.malformed("post_processor: '\(key)' is no pair of token and id")
    }
    return try pair[1].requireID("'\(key)'")
  }

  private static func readTemplate(_ json: JSONValue) throws -> PostProcessor {
    var result = PostProcessor()
    var sequences = 0
    for piece in try json.require("single").elements() {
      if piece["Sequence"] != nil {
        sequences += 1
      } else if let name = piece["SpecialToken"]?["id"]?.byteString {
        let ids = try ids(of: name, json)
        if sequences == 0 { result.prefix += ids } else { result.suffix += ids }
      } else {
        throw StageError.malformed("post_processor: a piece of its template is neither text nor token")
      }
    }
    guard sequences == 1 else {
      throw StageError.malformed("post_processor: its template has the text \(sequences) times")
    }
    return result
  }

  private static func ids(of name: ByteString, _ json: JSONValue) throws -> [Int32] {
    guard let token = json["special_tokens"]?[name] else {
      throw StageError.malformed("post_processor: its template names '\(name)' without its ids")
    }
    return try token.require("ids").elements().map { try $0.requireID("'\(name)'") }
  }
}
