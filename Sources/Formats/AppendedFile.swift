import Glibc

/// A file that is added to and may be gone on with: locked, so that two processes never write into one.
package final class AppendedFile {
  package let path: String
  /// Bytes in it, those that are buffered included.
  package private(set) var size: Int
  /// Whether something could not be written: what is in the file is then not what was meant to be.
  package private(set) var isBroken = false
  private var descriptor: Int32
  private var buffer: [UInt8] = []
  private static let bufferSize = 1 << 18

  /// Opens the file, or makes it. Throws where another process is writing it.
  package init(path: String) throws(FormatError) {
    self.path = path
    descriptor = try openLocked(path)
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

  /// What is in the file, from its beginning, in blocks.
  package func read(_ take: ([UInt8]) throws(FormatError) -> Void) throws(FormatError) {
    try flush()
    var offset = 0
    while offset < size {
      let block = [UInt8](unsafeUninitializedCapacity: min(Self.bufferSize, size - offset)) { room, count in
        count = max(0, pread(descriptor, room.baseAddress, room.count, off_t(offset)))
      }
      if block.isEmpty { throw .system(path, "read it") }
      try take(block)
      offset += block.count
    }
  }

  package func write(_ bytes: [UInt8]) throws(FormatError) {
    buffer += bytes
    size += bytes.count
    if buffer.count >= Self.bufferSize { try flush() }
  }

  /// Hands what is buffered to the system.
  package func flush() throws(FormatError) {
    do { try OutputFile.writeAll(buffer, to: descriptor, path: path) } catch {
      isBroken = true
      throw error
    }
    buffer.removeAll(keepingCapacity: true)
  }

  /// Makes what was written safe on disk.
  package func synchronize() throws(FormatError) {
    try flush()
    guard fsync(descriptor) == 0 else {
      isBroken = true
      throw .system(path, "write it to disk")
    }
  }

  /// Removes the file.
  package func remove() { unlink(path) }

  /// Makes everything safe on disk and gives the file its final name.
  package func commit(as name: String, force: Bool) throws(FormatError) {
    try synchronize()
    try OutputFile.rename(path, to: name, force: force)
    close(descriptor)
    descriptor = -1
  }
}
