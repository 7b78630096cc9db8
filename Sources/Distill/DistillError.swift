/// Why a valuator could not be trained.
package enum DistillError: Error, Equatable, CustomStringConvertible {
  /// Label files that do not belong together.
  case different(file: String, other: String, what: String)
  case badLabels(_ place: String, _ reason: String)
  case tooFewRows(_ reason: String)
  case options(_ reason: String)
  case diverged(step: Int)
  /// An output for a calibration text.
  case notFinite
  /// A closed form without a solution.
  case singular(_ what: String)
  case interrupted

  package var description: String {
    switch self {
    case .different(let file, let other, let what):
      "\(file) and \(other) have another \(what), and labels of different \(what)s cannot be learnt as one"
    case .badLabels(let place, let reason): "\(place): \(reason)"
    case .tooFewRows(let reason), .options(let reason): reason
    case .diverged(let step): "the loss is no longer finite at step \(step); use a smaller --learning-rate"
    case .notFinite:
      "the output for a calibration text is not a finite number; the encoder or its weights are broken"
    case .singular(let what):
      "\(what) has no solution on these rows: their features do not vary; label other rows"
    case .interrupted: "interrupted; the same command goes on with what is done"
    }
  }
}
