/// What can be wrong with a selection. Lines that are no scored records are `RecordError`s.
package enum SelectionError: Error, Equatable, CustomStringConvertible {
  case options(String)
  case noRow
  case unknownSource(option: String, source: String)
  /// With `isStrict`.
  case budgetExceedsData(budget: String, data: String)
  case changed(path: String)
  case interrupted

  package var description: String {
    switch self {
    case .options(let reason): reason
    case .noRow: "there is no scored row in the input"
    case .unknownSource(let option, let source):
      "\(option) names the source '\(source)', and no scored row is of it"
    case .budgetExceedsData(let budget, let data):
      "the budget is \(budget), and all that may be chosen is \(data); without --strict all of it is chosen"
    case .changed(let path):
      "\(path): it changed while it was read; select again when nobody writes it"
    case .interrupted: "interrupted"
    }
  }
}
