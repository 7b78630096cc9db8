import Glibc

/// A file that is added to and may be gone on with: locked, so that two processes never write into one.
package final class AppendedFile {
  package let path: String
  /// Bytes in it, those that are buffered included.
  package private(set) var size: Int
  private var descriptor: Int32
  private var buffer: [UInt8] = []
  private static let bufferSize = 1 << 18

  /// Opens the file, or makes it. Throws where another process is writing it.
  package init(path: String) throws(FormatError) {
    self.path = path
    descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o666)
    size = 0
    guard descriptor >= 0 else { throw .output(path, "create it") }
    guard lockFile(descriptor) else {
      throw .inputOutput(path: path, reason: "another process is writing it")
    }
    size = Int(lseek(descriptor, 0, SEEK_END))
  }

  deinit {
    if descriptor >= 0 { close(descriptor) }
  }

  /// Drops what stands behind the first so many bytes.
  package func cut(to bytes: Int) throws(FormatError) {
    guard ftruncate(descriptor, off_t(bytes)) == 0, lseek(descriptor, off_t(bytes), SEEK_SET) >= 0 else {
      throw .system(path, "cut it")
    }
    size = bytes
  }

  package func write(_ bytes: [UInt8]) throws(FormatError) {
    buffer += bytes
    size += bytes.count
    if buffer.count >= Self.bufferSize { try flush() }
  }

  /// Hands what is buffered to the system.
  package func flush() throws(FormatError) {
    try OutputFile.writeAll(buffer, to: descriptor, path: path)
    buffer.removeAll(keepingCapacity: true)
  }

  /// Makes everything safe on disk and gives the file its final name.
  package func commit(as name: String, force: Bool) throws(FormatError) {
    try flush()
    guard fsync(descriptor) == 0 else { throw .system(path, "write it to disk") }
    try OutputFile.rename(path, to: name, force: force)
    close(descriptor)
    descriptor = -1
  }
}
