import Glibc

/// A file without a name, for what does not fit into memory: it is gone when the object or the process is. Not for several threads.
package final class ScratchFile {
  /// Bytes in it.
  package private(set) var size = 0
  private let folder: String
  private let descriptor: Int32

  /// - Parameter folder: on whose disk it lies.
  package init(in folder: String) throws(FormatError) {
    self.folder = folder
    var template = Array("\(folder)/alinfik-XXXXXX".utf8CString)
    descriptor = mkstemp(&template)
    if descriptor < 0 { throw .output(folder, "create a temporary file there") }
    _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
    unlink(template)
  }

  deinit {
    if descriptor >= 0 { close(descriptor) }
  }

  package func append(_ bytes: [UInt8]) throws(FormatError) {
    try OutputFile.writeAll(bytes, to: descriptor, path: name)
    size += bytes.count
  }

  /// So many bytes from a place on; fewer at the end.
  package func read(at offset: Int, count: Int) throws(FormatError) -> [UInt8] {
    let count = max(0, min(count, size - offset))
    var failure: Int32?
    let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
      while filled < count {
        let found = pread(descriptor, buffer.baseAddress! + filled, count - filled, off_t(offset + filled))
        if found < 0 && errno == EINTR { continue }
        guard found > 0 else {
          failure = found < 0 ? errno : EIO
          return
        }
        filled += found
      }
    }
    if let failure { throw .system(name, "read it", code: failure) }
    return bytes
  }

  private var name: String { "\(folder)/(temporary file)" }
}
