/// Why labels cannot be made.
package enum LabelError: Error, CustomStringConvertible {
  case noLayer(glob: String, examples: [String])
  /// `--layers adapter` for a model without one.
  case noAdapter
  case emptyTarget
  case noSample
  /// A loss or a label that is not finite: what, and where.
  case notFinite(String)
  /// Options that contradict each other.
  case options(String)
  /// A Fisher matrix that is to be inverted without damping and cannot be: the layer, F's rank and width.
  case singular(layer: String, rank: Int, width: Int)
  /// A curvature file that was made for something else, or of something else: the file, and what differs.
  case otherCurvature(_ path: String, _ reason: String)
  /// A label file that cannot be audited.
  case audit(_ path: String, _ reason: String)
  case auditInterrupted
  /// `done` is nil before the samples' turn.
  case interrupted(done: Int?, total: Int)

  package var description: String {
    switch self {
    case .noLayer(let glob, let examples):
      "--layers '\(glob)' matches no linear layer of the model; its layers are named like \(examples.joined(separator: ", "))"
    case .noAdapter:
      "--layers adapter: the model has no LoRA adapter; --model must name a directory with adapter_config.json"
    case .emptyTarget: "the target has no example; --target wants at least one"
    case .noSample: "there is no sample to label; --sample wants at least one"
    case .notFinite(let what): "\(what) is not a finite number; the model or its weights are broken"
    case .options(let what): what
    case .singular(let layer, let rank, let width):
      "the Fisher matrix of '\(layer)' is singular (\(rank) of \(width) directions have curvature); give --damping above 0"
    case .otherCurvature(let path, let reason): "\(path): \(reason)"
    case .audit(let path, let reason): "\(path): \(reason)"
    case .auditInterrupted: "interrupted; an audit writes nothing"
    case .interrupted(done: nil, _):
      "interrupted before the samples; --resume goes on, with the samples that were done before"
    case .interrupted(let done?, let total):
      "interrupted after \(done) of \(total) samples; --resume goes on from there"
    }
  }
}
