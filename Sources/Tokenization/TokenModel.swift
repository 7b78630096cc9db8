import Formats

/// The third stage of tokenizer.json: turns pieces into token ids.
enum TokenModel: Sendable {
  case bytePair(BytePairModel)
  case wordPiece(WordPieceModel)

  /// Appends the ids of one piece after another.
  func encode(_ pieces: Pieces, into ids: inout [Int32]) {
    let text = pieces.text.span
    switch self {
    case .bytePair(let model):
      var merger = PairMerger()
      for range in pieces.ranges { model.encode(text, range, &merger, into: &ids) }
    case .wordPiece(let model):
      var hashes: [UInt64] = []
      for range in pieces.ranges { model.encode(text, range, &hashes, into: &ids) }
    }
  }

  /// Tokens as the file spells them.
  var vocabulary: Vocabulary {
    switch self {
    case .bytePair(let model): model.vocabulary
    case .wordPiece(let model): model.vocabulary
    }
  }

  var unknown: Int32? {
    switch self {
    case .bytePair(let model): model.unknown
    case .wordPiece(let model): model.unknown
    }
  }

  static let supported = ["BPE", "WordPiece"]

  /// The model a `model` object of tokenizer.json describes. Old files leave out its type.
  static func read(_ json: JSONValue, isByteLevel: Bool) throws -> TokenModel {
    let type = json["type"]?.string ?? (json["merges"] == nil ? "WordPiece" : "BPE")
    switch type {
    case "BPE": return .bytePair(try BytePairModel.read(json, isByteLevel: isByteLevel))
    case "WordPiece": return .wordPiece(try WordPieceModel.read(json))
    default: throw StageError.unsupported("model '\(type)'", supported: supported)
    }
  }

  static func readVocabulary(_ json: JSONValue) throws -> Vocabulary {
    guard let members = try json.require("vocab").members else {
      throw StageError.malformed("'vocab' is no object")
    }
    var vocabulary = Vocabulary(capacity: members.count)
    for (token, value) in members {
      let id = try value.requireID("'\(token)'")
      // An id far above the number of tokens would only make the tables large.
      guard Int(id) < 16 * members.count + 65536, vocabulary.insert(token.bytes, id: id) else {
        throw StageError.malformed("'vocab' gives '\(token)' the id \(id), which is taken or far too large")
      }
    }
    return vocabulary
  }
}
