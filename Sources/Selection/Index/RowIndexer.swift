import Duplicates
import Encoder
import Formats
import Records

/// Turns scored records into what the first reading keeps of them.
struct RowIndexer: Sendable {
  struct Row: Sendable {
    var source: ByteString
    var decision: RowDecision
    /// Nil where there is no score.
    var ranked: RankedRow?
    /// Whether it says if it is in the valuator's domain.
    var tellsDomain = false
  }

  private let configuration: SelectionConfiguration
  private let noise: GumbelNoise?
  private let encoder: SampleEncoder?

  init(_ configuration: SelectionConfiguration) {
    self.configuration = configuration
    noise = configuration.temperature.map { GumbelNoise(temperature: $0, seed: configuration.seed) }
    encoder = configuration.tokenizer.map { SampleEncoder(tokenizer: $0) }
  }

  /// Throws `RecordError.badLine` for a record without text, or without what the budget goes by.
  func row(_ scored: ScoredRecord) throws(RecordError) -> Row {
    guard let score = scored.score else {
      return Row(source: (try? scored.record())?.source ?? "", decision: .noScore)
    }
    let record = try scored.record()
    if configuration.hasSourceLimits, record.source == nil {
      throw scored.failure(
        "it has no source, by which --per-source-cap and --per-source-min go (--source-field names another key)"
      )
    }
    let text = record.text.bytes
    let hash = ContentHash(text)
    let ranked = RankedRow(
      key: score + (noise?(hash) ?? 0), score: score, hash: hash, line: FileHash.sha256Prefix(scored.bytes).0,
      row: 0, source: 0, tokens: try tokens(scored, record), bytes: text.count, id: record.id,
      signature: configuration.duplicates == .near ? MinHashSignature(of: text) : nil)
    return Row(
      source: record.source ?? "", decision: decision(scored, score), ranked: ranked,
      tellsDomain: scored.isOutside != nil)
  }

  /// Why the row may not be chosen, or that the budget will tell. A score out of domain cannot be relied on, so it is not held against
  /// the least one.
  private func decision(_ scored: ScoredRecord, _ score: Double) -> RowDecision {
    if configuration.dropsOutOfDomain, scored.isOutside == true { return .outOfDomain }
    if let least = configuration.leastScore, score < least { return .belowLeast }
    return .budget
  }

  /// By the tokenizer, or what the valuator has read where that was all, or as much as counts.
  private func tokens(_ scored: ScoredRecord, _ record: Record) throws(RecordError) -> Int? {
    let most = configuration.maxTokens ?? .max
    if let encoder { return min(most, try encoder.read(record).tokens.count) }
    if let tokens = scored.tokens, !scored.isTruncated || tokens >= most { return min(most, tokens) }
    if configuration.budget.unit == .tokens {
      throw scored.failure(
        (scored.tokens == nil
          ? "it has no alinfik_tokens"
          : "it is longer than what the valuator has read (alinfik_truncated), so its tokens are not known")
          + "; --tokenizer PATH counts them (a model's, or the valuator itself), or take a budget of --rows or --bytes"
      )
    }
    return nil
  }
}
