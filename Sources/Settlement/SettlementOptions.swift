/// What a settlement goes by; all of it is written on its page.
package struct SettlementOptions: Sendable {
  /// What a counted row is worth.
  package enum Weight: String, Sendable, CaseIterable {
    /// Score times its thousands of tokens: dividing a document, or joining two, changes nothing by itself.
    case tokens
    /// Its score, however long it is: as many rows, as many times a score.
    case rows
  }

  /// Which rows count as copies of an earlier one.
  package enum Duplicates: Sendable, Equatable {
    /// Those with the same text.
    case exact
    /// Those, and texts of at least this likeness (of their shingles, by MinHash).
    case near(Double)
    /// None: copies are kept, and count like other rows.
    case keep
  }

  /// The dot path to a row's provider.
  package var by = "source"
  package var weight = Weight.tokens
  package var duplicates = Duplicates.near(Self.standardLikeness)
  /// Whether rows count that are out of the valuator's domain.
  package var countsOutside = false
  /// Whether rows that do not say what made their scores may stand beside rows that do.
  package var allowsUnknownOrigin = false
  package var resamples = 1000
  package var seed: UInt64 = 0
  package var includesTexts = false
  /// The one provider the report is for.
  package var provider: String?
  package var payment: (budget: Money, policy: PaymentPolicy)?

  package init() {}

  /// The likeness from which texts count as copies.
  package static let standardLikeness = 0.8
  /// Rows shown at each end, and copies by id.
  package static let shownRows = 5
  /// Providers at most: each keeps some tens of kilobytes.
  package static let mostProviders = 10_000
  /// Counted rows that an interval wants.
  package static let fewestForInterval = 20

  /// What stays in memory of a text, about: what copies are told by.
  package var bytesPerText: Int {
    switch duplicates {
    case .keep: 0
    case .exact: 60
    case .near: 500
    }
  }

  /// And of a provider: the bootstrap's sums, three numbers a resample, and a sketch of its scores.
  package var bytesPerProvider: Int { 24 * resamples + 8000 }
}
