import Glibc

/// The lines of a text file, plain, gzip or Zstandard (told by the first bytes), in bounded memory.
///
/// Lines end in LF or CRLF, which are not part of them; a byte-order mark at the very start is dropped. Blank
/// lines are given as empty lines, except those at the end of the file, which are passed over unless
/// `givesBlankEnd`. A file that is longer when its end is reached than it was is read to that end; one that is
/// shorter is an error. Not for several threads.
package final class LineReader {
  /// One line and its number, counted from 1.
  package struct Line: Sendable {
    package let number: Int
    package let bytes: [UInt8]
    /// Where the next line begins.
    package let end: Position
    /// What is wrong with a line of which nothing is kept (`passesOverLongLines`).
    package var fault: String?
  }

  /// A place between two lines.
  package struct Position: Sendable, Equatable {
    /// Bytes before it, after decompression.
    package var offset: Int
    /// Lines before it.
    package var lines: Int

    package static let start = Position(offset: 0, lines: 0)

    package init(offset: Int, lines: Int) { (self.offset, self.lines) = (offset, lines) }
  }

  package static let defaultMaximum = 64 << 20

  /// The name of the input in messages.
  package let name: String
  /// The size of the file as it lies on disk, or nil for a pipe.
  package let fileSize: Int?
  /// How much of the file has been taken, before decompression: with `fileSize`, the progress.
  package var bytesConsumed: Int { input.bytesConsumed }

  /// Whether blank lines at the end are lines too, as a reader wants it who answers line for line.
  package var givesBlankEnd = false
  /// Whether a line that is too long is passed over, and given without its bytes and with a `fault`, instead of being an error.
  package var passesOverLongLines = false

  private let input: DecodedInput
  private let maximumLineBytes: Int
  private let block = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 18, alignment: 16)
  private var unread: Range<Int> = 0..<0
  private var lineNumber = 0
  private var offset = 0
  /// A line that has been read behind blank ones, and where each of those ends.
  private var held: Line?
  private var blankEnds: ArraySlice<Position> = []

  package convenience init(
    path: String, maximumLineBytes: Int = LineReader.defaultMaximum
  ) throws(FormatError) {
    self.init(try InputFile(path: path), maximumLineBytes: maximumLineBytes)
  }

  /// Goes on with a file from a place that a reader of the same file gave.
  package convenience init(
    path: String, from position: Position, maximumLineBytes: Int = LineReader.defaultMaximum
  ) throws(FormatError) {
    try self.init(path: path, maximumLineBytes: maximumLineBytes)
    try input.skip(position.offset)
    (offset, lineNumber) = (position.offset, position.lines)
  }

  /// Reads standard input.
  package convenience init(
    standardInputNamed name: String, maximumLineBytes: Int = LineReader.defaultMaximum
  ) {
    self.init(InputFile(standardInputNamed: name), maximumLineBytes: maximumLineBytes)
  }

  /// A file as a command line names it: `-` is standard input.
  package convenience init(
    argument path: String, maximumLineBytes: Int = LineReader.defaultMaximum
  ) throws(FormatError) {
    if path == "-" {
      self.init(standardInputNamed: "standard input", maximumLineBytes: maximumLineBytes)
    } else {
      try self.init(path: path, maximumLineBytes: maximumLineBytes)
    }
  }

  private init(_ file: InputFile, maximumLineBytes: Int) {
    name = file.path
    input = DecodedInput(file)
    self.maximumLineBytes = maximumLineBytes
    var status = stat()
    let isFile = fstat(file.descriptor, &status) == 0 && status.st_mode & S_IFMT == S_IFREG
    fileSize = isFile ? Int(status.st_size) : nil
  }

  deinit { block.deallocate() }

  /// Whether the next line may have to be waited for: a pipe, and no whole line at hand.
  package var mayWait: Bool {
    guard fileSize == nil, held == nil, blankEnds.isEmpty else { return false }
    // Behind blank lines the next one is looked for, to tell whether they are at the end.
    var rest = block[unread]
    while let end = rest.firstIndex(of: 0x0A) {
      if givesBlankEnd || !rest[..<end].allSatisfy({ [0x20, 0x09, 0x0D].contains($0) }) { return false }
      rest = rest[(end + 1)...]
    }
    return !input.isReadable
  }

  /// The next line, or nil at the end.
  package func next() throws(FormatError) -> Line? {
    if let end = blankEnds.popFirst() { return Line(number: end.lines, bytes: [], end: end) }
    if let line = held {
      held = nil
      return line
    }
    var blanks: [Position] = []
    while let (bytes, fault) = try nextRaw() {
      let end = Position(offset: offset, lines: lineNumber)
      let isBlank = fault == nil && bytes.allSatisfy { $0 == 0x20 || $0 == 0x09 }
      if isBlank && !givesBlankEnd {
        blanks.append(end)
        continue
      }
      let line = Line(number: lineNumber, bytes: isBlank ? [] : bytes, end: end, fault: fault)
      guard !blanks.isEmpty else { return line }
      held = line
      blankEnds = blanks[...]
      return try next()
    }
    return nil
  }

  /// The next line as it stands, without its end.
  private func nextRaw() throws(FormatError) -> (bytes: [UInt8], fault: String?)? {
    var line: [UInt8] = []
    var isTooLong = false
    while true {
      if unread.isEmpty {
        let count = try fill()
        if count == 0 {
          try refuseShrunken()
          return line.isEmpty && !isTooLong ? nil : finished(&line, isTooLong)
        }
        unread = 0..<count
      }
      let rest = UnsafeRawBufferPointer(rebasing: block[unread])
      let end = memchr(rest.baseAddress!, 0x0A, rest.count).map { UnsafeRawPointer($0) - rest.baseAddress! }
      let count = end ?? rest.count
      if line.count + count > maximumLineBytes {
        guard passesOverLongLines else {
          throw .malformed(place: "\(name):\(lineNumber + 1)", reason: tooLong)
        }
        (line, isTooLong) = ([], true)
      }
      if !isTooLong { line.append(contentsOf: UnsafeRawBufferPointer(rebasing: rest[..<count])) }
      unread = unread.dropFirst(count + (end == nil ? 0 : 1))
      offset += count + (end == nil ? 0 : 1)
      if end != nil { return finished(&line, isTooLong) }
    }
  }

  private func fill() throws(FormatError) -> Int {
    do {
      return try input.read(into: block)
    } catch {
      guard case .malformed(_, let reason) = error else { throw error }
      throw .malformed(place: "\(name):\(lineNumber + 1)", reason: reason)
    }
  }

  private var tooLong: String { "the line is longer than \(maximumLineBytes) bytes" }

  private func refuseShrunken() throws(FormatError) {
    if let fileSize, input.bytesConsumed < fileSize {
      throw .changed(
        path: name,
        reason: "it ended after \(input.bytesConsumed) of \(fileSize) bytes: it was cut while it was read")
    }
  }

  private func finished(_ line: inout [UInt8], _ isTooLong: Bool) -> (bytes: [UInt8], fault: String?) {
    lineNumber += 1
    if isTooLong { return ([], tooLong) }
    if line.last == 0x0D { line.removeLast() }
    if lineNumber == 1 && line.starts(with: [0xEF, 0xBB, 0xBF]) { line.removeFirst(3) }
    return (line, nil)
  }
}
