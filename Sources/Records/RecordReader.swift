import Formats

/// Reads the records of some files, in the order of the files and of their lines.
///
/// Given ids must be unique; a made id that is taken already gets `-2`, `-3`, ... A reader is good for one pass.
package final class RecordReader {
  /// What was read.
  package struct Summary: Sendable, Equatable {
    /// Records handed on.
    package var records = 0
    package var badLines = 0
    /// The first ten messages about bad lines.
    package var messages: [String] = []
    /// The shapes that were met, in order of appearance.
    package var shapes: [RecordShape] = []

    package init() {}
  }

  private let paths: [String]
  private let options: RecordOptions
  private let parser: RecordParser
  private let onShape: (RecordShape, String) -> Void
  private var identifiers = Identifiers()
  private var summary = Summary()
  private var quarantine: OutputFile?

  private static let maximumMessages = 10

  /// - Parameters:
  ///   - paths: files in JSON Lines, plain, gzip or Zstandard; `-` is standard input.
  ///   - onShape: called once for each shape that is met, with the file and line that has it first.
  package init(
    paths: [String], options: RecordOptions = RecordOptions(),
    onShape: @escaping (RecordShape, String) -> Void = { _, _ in }
  ) {
    self.paths = paths
    self.options = options
    self.onShape = onShape
    parser = RecordParser(options)
  }

  /// Calls `body` for each record.
  ///
  /// A `RecordError.badLine` that `body` throws counts as a bad line and its record as not read, other errors end the
  /// reading. With `onError` `fail` the whole input is read, so that all bad lines are counted, and then
  /// `RecordError.badLines` is thrown.
  package func forEach(_ body: (Record) throws -> Void) throws -> Summary {
    if case .quarantine(let path, let force) = options.onError {
      try OutputFile.refuseExisting(path, force: force)
    }
    for path in paths {
      let lines = try LineReader(argument: path, maximumLineBytes: options.maximumLineBytes)
      while let line = try lines.next() {
        do {
          try read(line, of: lines.name, body)
        } catch let error as RecordError {
          guard case .badLine = error else { throw error }
          try note(error, line.bytes)
        }
      }
    }
    try quarantine?.commit()
    if options.onError == .fail && summary.badLines > 0 {
      throw RecordError.badLines(messages: summary.messages, count: summary.badLines)
    }
    return summary
  }

  /// All records of some files at once.
  package static func readAll(
    _ paths: [String], options: RecordOptions = RecordOptions(),
    onShape: @escaping (RecordShape, String) -> Void = { _, _ in }
  ) throws -> (records: [Record], summary: Summary) {
    var records: [Record] = []
    let summary = try RecordReader(paths: paths, options: options, onShape: onShape).forEach {
      records.append($0)
    }
    return (records, summary)
  }

  private func read(_ line: LineReader.Line, of file: String, _ body: (Record) throws -> Void) throws {
    var record = try parser.parse(line.bytes, file: file, line: line.number)
    if record.hasGivenID {
      if let reason = identifiers.claim(record) { throw record.failure(reason) }
    } else {
      record.id = identifiers.make(record)
    }
    if !summary.shapes.contains(record.shape) {
      summary.shapes.append(record.shape)
      onShape(record.shape, "\(file):\(line.number)")
    }
    try body(record)
    summary.records += 1
  }

  private func note(_ error: RecordError, _ bytes: [UInt8]) throws {
    summary.badLines += 1
    if summary.messages.count < Self.maximumMessages { summary.messages.append(error.description) }
    guard case .quarantine(let path, let force) = options.onError else { return }
    let file = try quarantine ?? OutputFile(path: path, force: force)
    quarantine = file
    try file.write(bytes + [0x0A])
  }
}

/// The ids in use, and where the given ones were.
private struct Identifiers {
  private var places: [ByteString: String] = [:]
  private var repeats: [ByteString: Int] = [:]

  /// Takes a given id; says what is wrong where it is taken already.
  mutating func claim(_ record: Record) -> String? {
    if let place = places[record.id] { return "the id '\(record.id)' was used before, in \(place)" }
    places[record.id] = "\(record.file):\(record.line)"
    return nil
  }

  /// The record's made id, or the next of its repeats that is free.
  mutating func make(_ record: Record) -> ByteString {
    var id = record.id
    while places[id] != nil {
      let number = repeats[record.id, default: 1] + 1
      repeats[record.id] = number
      id = ByteString("\(record.id)-\(number)")
    }
    places[id] = "\(record.file):\(record.line)"
    return id
  }
}
