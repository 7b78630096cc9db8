import Foundation

/// When a file was last written, and its size: what tells whether it is the same when it is read again. Of a link, what it leads to.
package struct FileStamp: Sendable, Equatable {
  package var seconds: Int
  package var nanoseconds: Int
  package var bytes: Int

  /// Throws `FormatError.missing` where there is nothing.
  package init(path: String) throws(FormatError) {
    var status = stat()
    guard stat(path, &status) == 0 else { throw .missing(path: path) }
    (seconds, nanoseconds) = (status.st_mtim.tv_sec, status.st_mtim.tv_nsec)
    bytes = Int(status.st_size)
  }

  /// Whether what is there can be read but once: a pipe, a terminal.
  package static func isStream(_ path: String) -> Bool {
    var status = stat()
    return stat(path, &status) == 0 && ![S_IFREG, S_IFDIR].contains(status.st_mode & S_IFMT)
  }
}
