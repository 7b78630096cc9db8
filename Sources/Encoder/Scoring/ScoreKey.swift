import Formats

/// The keys that scoring gives a record.
package enum ScoreKey {
  package static let score: ByteString = "alinfik_score"
  package static let low: ByteString = "alinfik_low"
  package static let high: ByteString = "alinfik_high"
  package static let outOfDomain: ByteString = "alinfik_ood"
  package static let tokens: ByteString = "alinfik_tokens"
  package static let truncated: ByteString = "alinfik_truncated"
  /// What made the score (`ScoreOrigin.key`).
  package static let valuator: ByteString = "alinfik_valuator"
  /// In the place of a score: what is wrong with the record.
  package static let error: ByteString = "alinfik_error"

  /// What the valuator says of a text.
  package static let said = [score, low, high, outOfDomain, tokens, truncated]
  /// What does not belong to a new score was said of another one, and is removed.
  static let all = said + [valuator, error]
}
