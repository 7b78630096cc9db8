import Glibc

/// An open file descriptor for reading, closed when the object goes.
final class InputFile {
  let path: String
  let descriptor: Int32
  private let ownsDescriptor: Bool

  init(path: String) throws(FormatError) {
    self.path = path
    descriptor = open(path, O_RDONLY | O_CLOEXEC)
    ownsDescriptor = true
    if descriptor < 0 { throw .system(path, "open it") }
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { throw .system(path, "look at it") }
    if status.st_mode & S_IFMT == S_IFDIR {
      throw .malformed(place: path, reason: "this is a folder, a file is expected")
    }
  }

  /// Standard input; it is left open.
  init(standardInputNamed name: String) {
    path = name
    descriptor = STDIN_FILENO
    ownsDescriptor = false
  }

  deinit {
    if ownsDescriptor && descriptor >= 0 { close(descriptor) }
  }

  /// Fills as much of the buffer as the next read gives; 0 at the end.
  func read(into buffer: UnsafeMutableRawBufferPointer) throws(FormatError) -> Int {
    while true {
      let count = Glibc.read(descriptor, buffer.baseAddress, buffer.count)
      if count >= 0 { return count }
      if errno != EINTR { throw .system(path, "read it") }
    }
  }

  /// The whole file, which must not be larger than `limit` bytes.
  static func contents(of path: String, limit: Int = 1 << 31) throws(FormatError) -> [UInt8] {
    let file = try InputFile(path: path)
    var status = stat()
    let size = fstat(file.descriptor, &status) == 0 ? Int(status.st_size) : 0
    var result: [UInt8] = []
    result.reserveCapacity(min(size, limit))
    let block = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 18, alignment: 16)
    defer { block.deallocate() }
    while true {
      let count = try file.read(into: block)
      if count == 0 { return result }
      if result.count + count > limit {
        throw .malformed(place: path, reason: "it is larger than \(limit) bytes")
      }
      result.append(contentsOf: UnsafeRawBufferPointer(rebasing: block[..<count]))
    }
  }
}

extension JSONValue {
  /// Reads a JSON file; an error names the file and the line.
  package static func read(path: String) throws(FormatError) -> JSONValue {
    let bytes = try InputFile.contents(of: path)
    do {
      return try parse(bytes)
    } catch {
      let line = 1 + bytes[..<min(error.offset, bytes.count)].count { $0 == 0x0A }
      throw .malformed(place: "\(path):\(line)", reason: error.description)
    }
  }
}
