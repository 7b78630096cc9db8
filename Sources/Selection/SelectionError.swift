/// What can be wrong with a selection. Lines that are no scored records are `RecordError`s.
package enum SelectionError: Error, Equatable, CustomStringConvertible {
  case options(String)
  case noRow
  case unknownSource(option: String, source: String)
  /// With `isStrict`: all that may be chosen uses so much of it.
  case budgetExceedsData(Budget, used: Int)
  case tooManyChosen(limit: Int)
  case changed(path: String)
  case interrupted

  package var description: String {
    switch self {
    case .options(let reason): reason
    case .noRow: "there is no scored row in the input"
    case .unknownSource(let option, let source):
      "\(option) names the source '\(source)', and no scored row is of it"
    case .budgetExceedsData(let budget, let used):
      "the budget is \(budget.unit.words(budget.amount)), and all that may be chosen is \(budget.unit.words(used)); without --strict all of it is chosen"
    case .tooManyChosen(let limit):
      "more than \(limit) rows would be chosen, which is as many as can be; take a smaller budget, or select from parts of the input"
    case .changed(let path):
      "\(path): it changed while it was read; select again when nobody writes it"
    case .interrupted: "interrupted"
    }
  }
}
