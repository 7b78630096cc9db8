import Formats
import Records

/// Reads scored records, plain, gzip or Zstandard: lines are read side by side and handed on in their order, in bounded memory, so ids
/// are not compared. Scores of two origins are refused.
package final class ScoredRecordReader {
  /// What is kept of some lines in a row.
  private struct Part<Item: Sendable>: Sendable {
    var items: [Item] = []
    var origins: ScoreOrigins
    /// What ended the lines before their time.
    var failure: RecordError?
  }

  private let options: RecordOptions
  private let workers: Int
  private let allowsUnknownOrigin: Bool
  /// Of what was read so far.
  package private(set) var origins: ScoreOrigins

  /// Lines a worker takes together.
  private static let chunkLines = 512

  /// - Parameter allowsUnknownOrigin: rows that do not say what made their scores may stand beside others.
  package init(options: RecordOptions, workers: Int, allowsUnknownOrigin: Bool) {
    (self.options, self.workers, self.allowsUnknownOrigin) = (options, workers, allowsUnknownOrigin)
    origins = ScoreOrigins(allowsUnknown: allowsUnknownOrigin)
  }

  /// Reads a file, or standard input (`-`). The first bad line ends it by `RecordError.badLine`, after what stands before it was taken;
  /// a mark beside the file that does not fit it by `FormatError.malformed`.
  ///
  /// - Parameters:
  ///   - keep: what is kept of a record, also of one that was marked with an error. Called by several workers.
  ///   - take: gets what was kept of some lines, in their order.
  package func read<Item: Sendable>(
    _ path: String, keep: @escaping @Sendable (ScoredRecord) throws(RecordError) -> Item,
    take: ([Item]) throws -> Void
  ) throws {
    let mark = try ScoreMark.fitting(path)
    try origins.add(mark, of: path)
    let input = try LineReader(argument: path, maximumLineBytes: options.maximumLineBytes)
    var chunks = LineChunks(input, lines: Self.chunkLines)
    let (file, parser, isMarked) = (input.name, RecordParser(options), mark?.origin != nil)
    let empty = Part<Item>(origins: ScoreOrigins(allowsUnknown: allowsUnknownOrigin))
    try OrderedPipeline<[LineReader.Line], Part<Item>>(workers: workers).run(
      make: { try chunks.next() }, mayWait: { false },
      work: { _, lines in
        var part = empty
        for line in lines {
          do throws(RecordError) {
            let record = try ScoredRecord(line.bytes, file: file, line: line.number, parser: parser)
            try part.origins.add(record, isMarked: isMarked)
            part.items.append(try keep(record))
          } catch {
            part.failure = error
            break
          }
        }
        return part
      },
      take: { part in
        try origins.add(part.origins)
        try take(part.items)
        if let failure = part.failure { throw failure }
      })
  }
}
