import Records
import Tokenization

/// What is to be chosen.
package struct SelectionConfiguration: Sendable {
  package enum Duplicates: String, Sendable, CaseIterable {
    /// Near and exact ones are counted once.
    case near
    case exact
    /// Every copy counts.
    case keep
  }

  package enum Order: String, Sendable, CaseIterable {
    /// As the rows stand in the input.
    case input
    /// The best first.
    case value
  }

  package var budget: Budget
  package var caps: [SourceLimit] = []
  package var minimums: [SourceLimit] = []
  /// Rows of a lower score are never chosen.
  package var leastScore: Double?
  /// Whether rows that are out of the valuator's domain are never chosen.
  package var dropsOutOfDomain = false
  /// Of the Gumbel noise, in units of the score; nil: the best rows.
  package var temperature: Double?
  package var seed: UInt64 = 0
  package var duplicates = Duplicates.near
  /// The likeness from which rows are near duplicates.
  package var likeness = 0.8
  /// What a row loses that is wholly like a chosen one, in deviations of the pool's scores; nil: value alone.
  package var diversity: Double?
  /// How many times as many rows as value alone would choose are looked at for diversity.
  package var candidateFactor = 8.0
  package static let greatestCandidateFactor = 1e6
  package var order = Order.input
  /// Whether a budget that is larger than all that may be chosen is an error.
  package var isStrict = false
  /// Counts tokens; nil: `alinfik_tokens` does.
  package var tokenizer: Tokenizer?
  /// Tokens of a row behind so many do not count, for they will not be read; nil: all do.
  package var maxTokens: Int?
  /// Whether rows that do not say what made their scores may stand beside rows that do.
  package var allowsUnknownOrigin = false
  package var records = RecordOptions()
  package var workers = 1
  /// Rows that may be chosen: more end the run.
  package var mostChosen = RowVerdicts.mostChosen
  /// Of the rows that are sorted in memory at once.
  package var runBytes = 128 << 20
  /// Where what does not fit into memory lies.
  package var scratchFolder: String

  package init(budget: Budget, scratchFolder: String) {
    (self.budget, self.scratchFolder) = (budget, scratchFolder)
  }

  /// Whether sources matter.
  var hasSourceLimits: Bool { !caps.isEmpty || !minimums.isEmpty }
}
