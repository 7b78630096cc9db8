import Formats
import Foundation

/// What happens while a valuator is trained.
package enum TrainingProgress: Sendable, CustomStringConvertible {
  case prepared(
    training: Int, validation: Int, calibration: Int, test: Int, truncated: Int, withinSourceShare: Double)
  /// The frozen encoder with the best ridge head.
  case headFitted(validationSpearman: Double, seconds: Double)
  /// So many rows are learnt from by a teacher's scores.
  case taught(rows: Int, leftOut: Int)
  /// Frozen first layers: features are there for so many of all rows.
  case features(done: Int, of: Int, secondsLeft: Double)
  /// The head of Gaussian units, chosen by cross-validation over the training rows.
  case kernelFitted(gamma: Float, lambda: Double, validationSpearman: Double)
  /// What fewer labels would have given, on the test rows.
  case curve(TrainingReport.CurvePoint)
  /// An unfinished training is gone on with.
  case resumed(epoch: Int)
  case step(epoch: Int, epochs: Int, step: Int, steps: Int, loss: Double, secondsLeft: Double)
  case validated(
    epoch: Int, epochs: Int, loss: Double, validationSpearman: Double, isKept: Bool, seconds: Double,
    secondsLeft: Double)
  case stoppedEarly(epoch: Int, keptEpoch: Int)

  package var description: String {
    switch self {
    case .prepared(let training, let validation, let calibration, let test, let truncated, let share):
      """
      rows: \(training) training, \(validation) validation, \(calibration) calibration, \(test) test; \
      \(truncated) texts are longer than is read; \
      \(Int((100 * share).rounded())) % of what source and length do not explain is aimed at
      """
    case .headFitted(let spearman, let seconds):
      String(format: "frozen encoder: validation Spearman %.3f (%.0f s)", spearman, seconds)
    case .taught(let rows, let leftOut):
      "\(rows) rows by the teacher's scores; \(leftOut) left out: without a score, out of domain, labelled or repeated"
    case .features(let done, let all, let left):
      String(format: "features: %d/%d, %.0f s left", done, all, left)
    case .kernelFitted(let gamma, let lambda, let spearman):
      String(format: "head: gamma %.2g, lambda %.2g, Spearman across folds %.3f", gamma, lambda, spearman)
    case .resumed(let epoch): "resumed after epoch \(epoch)"
    case .curve(let point):
      String(
        format: "with %d labels: Spearman %.3f, within source %.3f", point.labels, point.spearman ?? .nan,
        point.withinSource ?? .nan)
    case .step(let epoch, let epochs, let step, let steps, let loss, let left):
      String(
        format: "epoch %d/%d, step %d/%d, loss %.3f, %.0f s left", epoch, epochs, step, steps, loss, left)
    case .validated(let epoch, let epochs, let loss, let spearman, let isKept, let seconds, let left):
      String(
        format: "epoch %d/%d: loss %.3f, validation Spearman %.3f%@ (%.0f s, at most %.0f s left)", epoch,
        epochs, loss, spearman, isKept ? ", kept" : "", seconds, left)
    case .stoppedEarly(let epoch, let kept):
      "stopped after epoch \(epoch): the weights after epoch \(kept) are kept"
    }
  }

  /// The event as a line of the training log; times are left out, so that a repeated training repeats the log.
  package var logLine: JSONValue? {
    switch self {
    case .prepared(let training, let validation, let calibration, let test, let truncated, let share):
      [
        "event": "prepared", "training": JSONValue(training), "validation": JSONValue(validation),
        "calibration": JSONValue(calibration), "test": JSONValue(test), "truncated": JSONValue(truncated),
        "within_source_share": JSONValue(share),
      ]
    case .headFitted(let spearman, _):
      ["event": "head_fitted", "validation_spearman": JSONValue(spearman)]
    case .taught(let rows, let leftOut):
      ["event": "taught", "rows": JSONValue(rows), "left_out": JSONValue(leftOut)]
    case .features, .curve, .resumed: nil
    case .kernelFitted(let gamma, let lambda, let spearman):
      [
        "event": "kernel_fitted", "gamma": JSONValue(gamma), "lambda": JSONValue(lambda),
        "validation_spearman": JSONValue(spearman),
      ]
    case .step(let epoch, _, let step, _, let loss, _):
      ["event": "step", "epoch": JSONValue(epoch), "step": JSONValue(step), "loss": JSONValue(loss)]
    case .validated(let epoch, _, let loss, let spearman, let isKept, _, _):
      [
        "event": "validated", "epoch": JSONValue(epoch), "loss": JSONValue(loss),
        "validation_spearman": JSONValue(spearman), "is_kept": JSONValue(isKept),
      ]
    case .stoppedEarly(let epoch, let kept):
      ["event": "stopped_early", "epoch": JSONValue(epoch), "kept_epoch": JSONValue(kept)]
    }
  }
}
