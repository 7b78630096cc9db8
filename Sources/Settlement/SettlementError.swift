/// What can be wrong with what a settlement is asked for, or given.
package enum SettlementError: Error, Equatable, CustomStringConvertible {
  /// An option whose value makes no sense.
  case options(String)
  /// There is no row to settle.
  case empty(inputs: [String])
  /// The provider whose page was asked for is not among those that have rows.
  case noSuchProvider(String, by: String, some: [String])
  /// More providers than anybody settles with.
  case tooManyProviders(limit: Int, by: String)
  /// Scores that are no values.
  case rawScores

  package var description: String {
    switch self {
    case .options(let reason): reason
    case .empty(let inputs):
      "\(inputs.joined(separator: ", ")): there is no scored row; a report wants at least one"
    case .noSuchProvider(let name, let by, let some):
      "no row has '\(name)' in '\(by)'; there are \(some.joined(separator: ", ")) (--provider names one of them)"
    case .tooManyProviders(let limit, let by):
      "more than \(limit) providers: '\(by)' seems to differ from row to row; --by names the field that says who brought a row"
    case .rawScores:
      "the scores are the head's own output (--raw), which has no unit and no zero; score without --raw"
    }
  }
}
