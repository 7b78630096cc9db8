/// Why a model cannot be trained further.
package enum FineTuningError: Error, CustomStringConvertible {
  /// Options that are impossible or contradict each other.
  case options(String)
  case noRow
  case noHeldOutRow
  /// The loss or the gradient is no finite number any more.
  case diverged(step: Int)
  case interrupted(step: Int, of: Int)

  package var description: String {
    switch self {
    case .options(let what): what
    case .noRow: "there is no row to train on; --data wants at least one"
    case .noHeldOutRow: "--validation has no row that can be used; leave it out, or give some"
    case .diverged(let step):
      "step \(step): the loss or the gradient is not a finite number; try a smaller --learning-rate"
    case .interrupted(let step, let count):
      "interrupted after \(step) of \(count) steps; the same command goes on from there"
    }
  }
}
