import Encoder
import Formats
import Records
import TensorKernels

/// Embeds the candidates' texts, which are read again: around the mean of what the valuator was trained on (of the candidates, where it
/// does not carry that).
struct CandidateEmbeddings {
  let configuration: SelectionConfiguration
  let inputs: [SelectionIndex.Input]
  let valuator: Valuator
  let progress: (Int, Int) -> Void
  let isCancelled: () -> Bool

  /// Texts that are embedded together for each worker.
  private static let textsAWorker = 256

  private typealias Candidate = (number: Int, record: Record)

  func vectors(of rows: [RankedRow]) throws -> UnitVectors {
    let width = valuator.model.embeddingWidth
    var vectors = UnitVectors(
      count: rows.count, width: valuator.rows == nil ? width : min(LabelledRows.dimensions, width))
    let workspaces = EncoderWorkspaces(configuration.workers)
    let batch = Self.textsAWorker * configuration.workers
    var waiting: [Candidate] = []
    var done = 0
    func embedWaiting() throws {
      try embed(waiting, into: &vectors, workspaces)
      done += waiting.count
      waiting.removeAll(keepingCapacity: true)
      progress(done, rows.count)
      if isCancelled() { throw SelectionError.interrupted }
    }
    try forEachRecord(rows) { candidate in
      waiting.append(candidate)
      if waiting.count == batch { try embedWaiting() }
    }
    try embedWaiting()
    if valuator.rows == nil { vectors.centre() }
    vectors.normalize()
    return vectors
  }

  private func embed(
    _ candidates: [Candidate], into vectors: inout UnitVectors, _ workspaces: EncoderWorkspaces
  ) throws {
    guard !candidates.isEmpty else { return }
    let texts = try valuator.encoding.encodeAll(candidates.map(\.record), workers: configuration.workers)
    let embeddings = valuator.model.embeddings(
      of: try valuator.model.features(texts, workers: configuration.workers, workspaces: workspaces))
    let points = valuator.rows?.points(of: embeddings) ?? embeddings
    for (row, candidate) in candidates.enumerated() {
      vectors.set(candidate.number, (0..<points.columns).map { points[row, $0] })
    }
  }

  /// The candidates' records, in the order of the input.
  private func forEachRecord(_ rows: [RankedRow], _ body: (Candidate) throws -> Void) throws {
    let parser = RecordParser(configuration.records)
    var candidates = rows.indices.sorted { rows[$0].row < rows[$1].row }[...]
    var place = 0
    for input in inputs {
      try input.refuseChanged()
      let end = place + input.rows
      let lines = try LineReader(path: input.path, maximumLineBytes: configuration.records.maximumLineBytes)
      while let number = candidates.first, rows[number].row < end, let line = try lines.next() {
        if place == rows[number].row {
          candidates.removeFirst()
          try body((number, try parser.parse(line.bytes, file: input.path, line: line.number)))
        }
        place += 1
      }
      place = end
    }
    guard candidates.isEmpty else { throw SelectionError.changed(path: inputs.last?.path ?? "") }
  }
}
