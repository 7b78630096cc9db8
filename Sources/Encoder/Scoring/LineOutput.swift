import Formats
import Glibc

/// Where scored lines go.
package protocol LineOutput: AnyObject {
  func write(_ bytes: [UInt8]) throws(FormatError)
  /// Hands what is buffered to the system.
  func flush() throws(FormatError)
}

extension OutputFile: LineOutput {}

/// An output that is compressed by what its name ends in.
package final class CompressedOutput: LineOutput {
  private let output: any LineOutput
  private let compressor: Compressor

  package init(_ output: any LineOutput, as name: String) {
    self.output = output
    compressor = Compressor(forName: name)
  }

  package func write(_ bytes: [UInt8]) throws(FormatError) {
    try output.write(compressor.compress(bytes))
  }

  package func flush() throws(FormatError) { try output.flush() }

  /// Closes what is compressed.
  package func end() throws(FormatError) { try output.write(compressor.end()) }
}

/// Standard output, whatever it is: a terminal, a pipe or a file.
package final class StandardOutput: LineOutput {
  private var buffer: [UInt8] = []

  package init() {}

  package func write(_ bytes: [UInt8]) throws(FormatError) {
    buffer += bytes
    if buffer.count >= 1 << 16 { try flush() }
  }

  package func flush() throws(FormatError) {
    var written = 0
    // What was written before a failure is not written again.
    defer { buffer.removeFirst(written) }
    while written < buffer.count {
      let count = buffer.withUnsafeBytes {
        Glibc.write(STDOUT_FILENO, $0.baseAddress! + written, $0.count - written)
      }
      if count < 0 {
        if errno == EINTR { continue }
        throw .inputOutput(
          path: "standard output", reason: "cannot write it: \(String(cString: strerror(errno)))")
      }
      written += count
    }
  }
}
