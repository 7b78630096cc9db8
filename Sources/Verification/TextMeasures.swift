import Encoder
import Formats
import Records
import TensorKernels

/// What of some texts is held against those of training.
package struct TextMeasures: Sendable {
  /// The head's own outputs, and the tokens that were read; by row.
  package private(set) var outputs: [Float] = []
  package private(set) var tokens: [Float] = []
  /// By direction, each of all rows.
  package private(set) var points: [[Float]] = []
  private var outside: [Bool] = []

  package var outOfDomain: Double? {
    outside.isEmpty ? nil : Double(outside.count { $0 }) / Double(outside.count)
  }

  private static let share = 64

  package init(
    of records: [Record], by valuator: Valuator, workers: Int, progress: (Int) -> Void = { _ in },
    isCancelled: () -> Bool = { false }
  ) throws {
    let workspaces = EncoderWorkspaces(workers)
    for start in stride(from: 0, to: records.count, by: Self.share) {
      if isCancelled() { throw VerificationError.interrupted }
      progress(start)
      try add(
        Array(records[start..<min(records.count, start + Self.share)]), valuator, workers, workspaces)
    }
  }

  private mutating func add(
    _ records: [Record], _ valuator: Valuator, _ workers: Int, _ workspaces: EncoderWorkspaces
  ) throws {
    let texts = try valuator.encoding.encodeAll(records, workers: workers)
    let features = try valuator.model.features(texts, workers: workers, workspaces: workspaces)
    let scores = valuator.scores(try valuator.model.outputs(of: features, workers: workers), of: texts)
    for (score, record) in zip(scores, records) where !score.raw.isFinite {
      throw record.failure("its score is not a finite number; the valuator's weights are broken: train anew")
    }
    outputs += scores.map(\.raw)
    tokens += texts.map { Float($0.ids.count) }
    outside += scores.compactMap(\.isOutside)
    guard let rows = valuator.rows else { return }
    let found = rows.points(of: valuator.model.embeddings(of: features))
    let count = min(TrainingDistributions.directions, rows.pointWidth)
    if points.isEmpty { points = Array(repeating: [], count: count) }
    for direction in 0..<count { points[direction] += found.columns(direction..<direction + 1).values }
  }
}
