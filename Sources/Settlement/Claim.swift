import Duplicates
import Encoder
import Formats
import Records

/// A line of scored records as a settlement sees it before it is held against the others.
struct Claim: Sendable {
  /// With its end.
  var line: [UInt8]
  /// Who brought it; nil only where a line without a score does not say.
  var provider: ByteString?
  /// Nil where the line was marked with `alinfik_error` instead of a score.
  var row: Row?

  struct Row: Sendable {
    var shown: ShownRow
    var value: Double
    /// Nil where it cannot be told, or the valuator does not say.
    var isOutside: Bool?
    /// What copies are told by: nil where they are not looked for; the signature with near ones alone, and a text long enough.
    var hash: ContentHash?
    var signature: MinHashSignature?
  }
}

/// Turns scored records into claims, each alike whatever stands beside it: what workers do side by side.
struct ClaimReader: Sendable {
  private let options: SettlementOptions

  init(_ options: SettlementOptions) { self.options = options }

  /// Throws `RecordError.badLine` for a record without tokens, text or provider.
  func claim(_ scored: ScoredRecord) throws(RecordError) -> Claim {
    let line = scored.bytes + [0x0A]
    guard let score = scored.score else {
      // One that `score` could not read. Whose it is, it may not say.
      let provider = (try? scored.record())?.source
      return Claim(line: line, provider: provider?.isEmpty == true ? nil : provider)
    }
    guard let tokens = scored.tokens else {
      throw scored.failure("it has no alinfik_tokens, by which values are set against tokens; score it again")
    }
    let record = try scored.record()
    guard let provider = record.source, !provider.isEmpty else {
      let lack =
        record.source == nil
        ? "it has no '\(options.by)', which says" : "its '\(options.by)' is empty, which should say"
      throw record.failure("\(lack) who brought it; --by names the field that does")
    }
    let text = record.text
    var row = Claim.Row(
      shown: ShownRow(
        id: record.id.string, score: score, tokens: tokens,
        excerpt: options.includesTexts ? Self.excerpt(text) : nil),
      value: options.weight == .rows ? score : score * Double(tokens) / 1000, isOutside: scored.isOutside)
    if options.duplicates != .keep { row.hash = ContentHash(text.bytes) }
    if case .near = options.duplicates { row.signature = MinHashSignature(of: text.bytes) }
    return Claim(line: line, provider: provider, row: row)
  }

  /// The beginning of a text.
  private static func excerpt(_ text: ByteString) -> String {
    let beginning = text.string.prefix(240)
    return beginning.count < 240 ? String(beginning) : beginning + "…"
  }
}
