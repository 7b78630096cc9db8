import Formats
import Records

/// Reads scored records of some files, plain, gzip or Zstandard, in the order of the files and of their lines; in bounded memory,
/// so ids are not compared. Scores of two origins are refused. Good for one pass.
package final class ScoredRecordReader {
  private let paths: [String]
  private let options: RecordOptions
  /// Of what was read so far.
  package private(set) var origins: ScoreOrigins
  /// Lines that were marked with `alinfik_error`, which have no score.
  package private(set) var marked = 0

  /// - Parameter allowsUnknownOrigin: rows that do not say what made their scores may stand beside others.
  package init(
    paths: [String], options: RecordOptions = RecordOptions(), allowsUnknownOrigin: Bool = false
  ) {
    (self.paths, self.options) = (paths, options)
    origins = ScoreOrigins(allowsUnknown: allowsUnknownOrigin)
  }

  /// Calls `body` for each line, those that were marked with an error too. The first bad line ends it by `RecordError.badLine`.
  package func forEach(_ body: (ScoredRecord) throws -> Void) throws {
    let parser = RecordParser(options)
    for path in paths {
      let mark = try ScoreMark.fitting(path)
      try origins.add(mark, of: path)
      let lines = try LineReader(argument: path, maximumLineBytes: options.maximumLineBytes)
      while let line = try lines.next() {
        let record = try ScoredRecord(line.bytes, file: lines.name, line: line.number, parser: parser)
        try origins.add(record, isMarked: mark?.origin != nil)
        marked += record.score == nil ? 1 : 0
        try body(record)
      }
    }
  }
}
