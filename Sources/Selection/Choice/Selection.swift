import Formats

/// Which rows are chosen; `RowVerdicts` has why others are not.
package struct Selection: Sendable {
  /// A source that could not give what `--per-source-min` asks.
  package struct Shortfall: Sendable, Equatable {
    package var source: ByteString
    package var asked: Int
    package var given: Int
  }

  /// In the order they were chosen, the best first.
  package var chosen: [ChosenRow]
  /// In the budget's unit.
  package var used: Int
  /// The score of the first row that the budget had no room for; nil where there was none, or scores alone do not decide.
  package var cut: Double?
  /// Whether the budget is larger than all that may be chosen, which is chosen then; one that is used up is not.
  package var exceedsData: Bool
  /// Sources that could not give what they must.
  package var shortfalls: [Shortfall] = []
  /// By source and decision: rows that were left out for another reason than the budget or what they are by themselves.
  var refused: [[Int]]
  /// What value was traded against; nil without `--diversity`.
  package var diversity: DiversityReport?

  init(_ allowance: Allowance) {
    chosen = allowance.chosen
    used = allowance.used
    exceedsData = allowance.exceedsData
    refused = allowance.refused
    cut = allowance.firstLeftOut?.score
  }
}

/// What was looked at for diversity.
package struct DiversityReport: Sendable, Equatable {
  package var candidates: Int
  /// Whether `--candidates` kept rows from being looked at that might have been chosen.
  package var isBounded: Bool
  /// Rows that were chosen by value alone, for the candidates left room in the budget.
  package var filled: Int
  /// Of the pool's scores: the unit of value.
  package var deviation: Double
  /// The mean likeness of the chosen rows, each to the likest that was chosen before it.
  package var meanRedundancy: Double

  /// Whether this is the choice from all rows.
  package var isExact: Bool { !isBounded && filled == 0 }
}
