import Formats

/// Adds a score to every record of a stream, in bounded memory and in order: one line out for one in, its other
/// bytes as they were.
package final class Scorer {
  private let lineScorer: LineScorer
  private let configuration: ScoringConfiguration
  /// Of what has been written so far.
  package private(set) var summary = ScoringSummary()
  /// The place in the input up to which lines have been written.
  package private(set) var position = LineReader.Position.start

  /// Bytes that one worker scores together for each text that its model should read at once.
  private static let bytesAText = 1 << 10

  /// Throws where the valuator's intervals cannot have this coverage.
  package init(valuator: Valuator, configuration: ScoringConfiguration) throws {
    lineScorer = try LineScorer(valuator: valuator, configuration: configuration)
    self.configuration = configuration
  }

  /// Before an input: what an earlier run has written of it.
  package func begin(after position: LineReader.Position, summary: ScoringSummary) {
    (self.position, self.summary) = (position, summary)
  }

  /// Scores every line of `input`, blank ones too, which are bad lines. What was written before an error stays written.
  ///
  /// - Parameters:
  ///   - progress: called when some lines have been handed on.
  ///   - isCancelled: asked after some lines; true ends the run with `EncoderError.interrupted`.
  package func score(
    _ input: LineReader, into output: any LineOutput, progress: (ScoringSummary) throws -> Void = { _ in },
    isCancelled: () -> Bool = { false }
  ) throws {
    input.givesBlankEnd = true
    input.passesOverLongLines = configuration.onError == .mark
    let lines = min(lineScorer.valuator.model.textsAtOnce, configuration.flushEvery)
    var chunks = LineChunks(input, lines: lines, bytes: lines * Self.bytesAText)
    let (lineScorer, name) = (lineScorer, input.name)
    var waiting = 0
    func handOn() throws {
      try output.flush()
      waiting = 0
      try progress(summary)
    }
    // However the run ends, what has its score is handed on.
    defer { try? output.flush() }
    try OrderedPipeline<[LineReader.Line], ScoredLines>(workers: configuration.workers).run(
      make: { try chunks.next() }, mayWait: { input.mayWait },
      work: { worker, lines in try lineScorer.score(lines, of: name, worker: worker) },
      take: { lines in
        for bytes in lines.bytes { try output.write(bytes) }
        summary.add(lines.summary)
        if let end = lines.end { position = end }
        waiting += lines.bytes.count
        let isCancelled = isCancelled()
        if waiting >= configuration.flushEvery || input.mayWait || lines.failure != nil || isCancelled {
          try handOn()
        }
        if let failure = lines.failure { throw failure }
        if isCancelled { throw EncoderError.interrupted }
      })
    try handOn()
  }
}
