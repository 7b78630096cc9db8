import Formats

/// The events of a training that are kept with the valuator (`training.jsonl`).
final class TrainingLog {
  private(set) var lines: [JSONValue] = []

  func add(_ progress: TrainingProgress) {
    if let line = progress.logLine { lines.append(line) }
  }

  /// Takes the place of what this run has said so far, which the one that is gone on with has said too.
  func resume(_ lines: [JSONValue]) { self.lines = lines }
}
