import Encoder
import Formats
import Records

/// The first reading: every row once, in parallel, in the input's order.
struct IndexBuilder {
  let configuration: SelectionConfiguration
  private let indexer: RowIndexer

  init(_ configuration: SelectionConfiguration) {
    self.configuration = configuration
    indexer = RowIndexer(configuration)
  }

  /// - Parameters:
  ///   - progress: gets the rows read so far.
  ///   - isCancelled: asked after some rows; true ends the reading.
  func index(
    _ paths: [String], progress: (Int) -> Void, isCancelled: () -> Bool
  ) throws -> (index: SelectionIndex, verdicts: RowVerdicts) {
    let runs = RankedRuns(in: configuration.scratchFolder, runBytes: configuration.runBytes)
    let reader = ScoredRecordReader(
      options: configuration.records, workers: configuration.workers,
      allowsUnknownOrigin: configuration.allowsUnknownOrigin)
    var index = SelectionIndex(runs: runs, origins: reader.origins)
    var verdicts = RowVerdicts()
    var places: [ByteString: Int] = [:]
    for path in paths {
      let stamp = try FileStamp(path: path)
      let before = verdicts.count
      try reader.read(path, keep: indexer.row) { rows in
        for row in rows { try take(row, &index, &verdicts, &places) }
        progress(verdicts.count)
        if isCancelled() { throw SelectionError.interrupted }
      }
      index.inputs.append(.init(path: path, stamp: stamp, rows: verdicts.count - before))
    }
    index.origins = reader.origins
    try runs.finish()
    try check(index)
    return (index, verdicts)
  }

  private func take(
    _ row: RowIndexer.Row, _ index: inout SelectionIndex, _ verdicts: inout RowVerdicts,
    _ places: inout [ByteString: Int]
  ) throws {
    let source = places[row.source] ?? index.sources.count
    if source == index.sources.count {
      places[row.source] = source
      index.sources.append(.init(name: row.source))
    }
    verdicts.append(row.decision)
    index.sources[source].rows += 1
    if row.decision.isOfRowAlone { index.sources[source].excluded[row.decision, default: 0] += 1 }
    guard var ranked = row.ranked else { return }
    (ranked.source, ranked.row) = (source, verdicts.count - 1)
    index.sources[source].tokens += ranked.tokens ?? 0
    index.sources[source].bytes += ranked.bytes
    index.hasTokens = index.hasTokens && ranked.tokens != nil
    index.histogram.add(ranked.score)
    index.tellsDomain = index.tellsDomain || row.tellsDomain
    if row.decision.isOfRowAlone { return }
    index.sources[source].available += ranked.size(in: configuration.budget.unit)
    try index.runs.add(ranked)
  }

  /// Throws where nothing can be chosen from, or a source that is named is not there.
  private func check(_ index: SelectionIndex) throws {
    guard index.histogram.count > 0 else { throw SelectionError.noRow }
    let names = Set(index.sources.filter { $0.rows > $0.excluded[.noScore, default: 0] }.map(\.name))
    for (option, limits) in [
      ("--per-source-cap", configuration.caps), ("--per-source-min", configuration.minimums),
    ] {
      for limit in limits {
        guard let source = limit.source, !names.contains(ByteString(source)) else { continue }
        throw SelectionError.unknownSource(option: option, source: source)
      }
    }
  }
}
