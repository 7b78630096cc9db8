import Encoder
import Formats
import Records

extension SettlementRun {
  /// Lines a worker takes together.
  private static let chunkLines = 512

  /// Reads all of it and closes the account: lines are read side by side and counted in their order, so that nothing depends on the
  /// number of workers. Throws `RecordError.badLine` for a line that is no scored record, has no tokens, no text or no provider, or a
  /// score of another origin than the others; `SettlementError` where nothing can be said of the whole.
  ///
  /// - Parameter progress: called after some rows with their number.
  package static func settle(
    _ paths: [String], records recordOptions: RecordOptions, _ options: SettlementOptions, workers: Int = 1,
    progress: (Int) throws -> Void = { _ in }
  ) throws -> Settlement {
    var recordOptions = recordOptions
    recordOptions.sourceField = options.by
    let run = SettlementRun(options)
    let reader = ClaimReader(options, records: recordOptions)
    var origins = ScoreOrigins(allowsUnknown: options.allowsUnknownOrigin)
    for path in paths {
      let mark = try ScoreMark.fitting(path)
      try origins.add(mark, of: path)
      let input = try LineReader(argument: path, maximumLineBytes: recordOptions.maximumLineBytes)
      var chunks = LineChunks(input, lines: chunkLines)
      let (file, isMarked) = (input.name, mark?.origin != nil)
      try OrderedPipeline<[LineReader.Line], ClaimReader.Part>(workers: workers).run(
        make: { try chunks.next() }, mayWait: { false },
        work: { _, lines in reader.read(lines, of: file, isMarked: isMarked) },
        take: { part in
          try origins.add(part.origins)
          for claim in part.claims { try run.add(claim) }
          if let failure = part.failure { throw failure }
          try progress(run.claimed.rows)
        })
    }
    if origins.known?.isRaw == true { throw SettlementError.rawScores }
    guard run.pool.count.rows > 0 || run.claimed.rows > run.withoutScore else {
      throw SettlementError.empty(inputs: paths)
    }
    return try run.settlement(origins: origins)
  }
}
