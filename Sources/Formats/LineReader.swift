import Glibc

/// The lines of a text file, plain, gzip or Zstandard (told by the first bytes), in bounded memory.
///
/// Lines end in LF or CRLF, which are not part of them; a byte-order mark at the very start is dropped. Blank
/// lines are given as empty lines, except those at the end of the file, which are passed over. Not for
/// several threads.
package final class LineReader {
  /// One line and its number, counted from 1.
  package typealias Line = (number: Int, bytes: [UInt8])

  package static let defaultMaximum = 64 << 20

  /// The name of the input in messages.
  package let name: String
  /// The size of the file as it lies on disk, or nil for a pipe.
  package let fileSize: Int?
  /// How much of the file has been taken, before decompression: with `fileSize`, the progress.
  package var bytesConsumed: Int { input.bytesConsumed }

  private let input: DecodedInput
  private let maximumLineBytes: Int
  private let block = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 18, alignment: 16)
  private var unread: Range<Int> = 0..<0
  private var lineNumber = 0
  private var held: Line?
  private var blankLines: Range<Int> = 0..<0

  package convenience init(
    path: String, maximumLineBytes: Int = LineReader.defaultMaximum
  ) throws(FormatError) {
    self.init(try InputFile(path: path), maximumLineBytes: maximumLineBytes)
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
    guard fileSize == nil, held == nil, blankLines.isEmpty else { return false }
    return unread.isEmpty || memchr(block.baseAddress! + unread.lowerBound, 0x0A, unread.count) == nil
  }

  /// The next line, or nil at the end.
  package func next() throws(FormatError) -> Line? {
    if let number = blankLines.popFirst() { return (number, []) }
    if let line = held {
      held = nil
      return line
    }
    let firstBlank = lineNumber + 1
    while let bytes = try nextRaw() {
      if bytes.allSatisfy({ $0 == 0x20 || $0 == 0x09 }) { continue }
      if firstBlank == lineNumber { return (lineNumber, bytes) }
      held = (lineNumber, bytes)
      blankLines = firstBlank + 1..<lineNumber
      return (firstBlank, [])
    }
    return nil
  }

  /// The next line as it stands, without its end.
  private func nextRaw() throws(FormatError) -> [UInt8]? {
    var line: [UInt8] = []
    while true {
      if unread.isEmpty {
        let count = try fill()
        if count == 0 {
          if line.isEmpty { return nil }
          return try finished(&line)
        }
        unread = 0..<count
      }
      let rest = UnsafeRawBufferPointer(rebasing: block[unread])
      let end = memchr(rest.baseAddress!, 0x0A, rest.count).map { UnsafeRawPointer($0) - rest.baseAddress! }
      let count = end ?? rest.count
      if line.count + count > maximumLineBytes { throw tooLong() }
      line.append(contentsOf: UnsafeRawBufferPointer(rebasing: rest[..<count]))
      unread = unread.dropFirst(count + (end == nil ? 0 : 1))
      if end != nil { return try finished(&line) }
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

  private func tooLong() -> FormatError {
    .malformed(
      place: "\(name):\(lineNumber + 1)", reason: "the line is longer than \(maximumLineBytes) bytes")
  }

  private func finished(_ line: inout [UInt8]) throws(FormatError) -> [UInt8] {
    lineNumber += 1
    if line.last == 0x0D { line.removeLast() }
    if lineNumber == 1 && line.starts(with: [0xEF, 0xBB, 0xBF]) { line.removeFirst(3) }
    return line
  }
}
