import Glibc

/// A file mapped into memory for reading; it takes address space, and memory only for what is touched.
///
/// Sendable because nothing is ever written to it after `init`.
package final class MappedFile: @unchecked Sendable {
  package let path: String
  /// All bytes of the file; valid while this object lives.
  package let bytes: UnsafeRawBufferPointer

  package init(path: String) throws(FormatError) {
    self.path = path
    let file = try InputFile(path: path)
    var status = stat()
    guard fstat(file.descriptor, &status) == 0 else { throw .system(path, "look at it") }
    let size = Int(status.st_size)
    guard size > 0 else {
      bytes = UnsafeRawBufferPointer(start: nil, count: 0)
      return
    }
    let address = mmap(nil, size, PROT_READ, MAP_PRIVATE, file.descriptor, 0)
    guard let address, address != MAP_FAILED else { throw .system(path, "map it into memory") }
    bytes = UnsafeRawBufferPointer(start: address, count: size)
  }

  deinit {
    if let address = bytes.baseAddress { munmap(UnsafeMutableRawPointer(mutating: address), bytes.count) }
  }
}
