/// The lines of a stream some at a time, as they come: what is at hand, at least one line but at the end, so that a slow pipe is
/// answered as it goes. Where the input breaks off after some lines, they come first, and the next call throws.
package struct LineChunks {
  private let input: LineReader
  private let mostLines: Int
  private let mostBytes: Int
  private var broken: FormatError?

  package init(_ input: LineReader, lines: Int, bytes: Int = 4 << 20) {
    self.input = input
    mostLines = lines
    mostBytes = bytes
  }

  /// Nil at the end.
  package mutating func next() throws(FormatError) -> [LineReader.Line]? {
    if let broken { throw broken }
    var lines: [LineReader.Line] = []
    var bytes = 0
    do {
      while lines.count < mostLines, bytes < mostBytes, lines.isEmpty || !input.mayWait,
        let line = try input.next()
      {
        lines.append(line)
        bytes += line.bytes.count
      }
    } catch {
      if lines.isEmpty { throw error }
      broken = error
    }
    return lines.isEmpty ? nil : lines
  }
}
