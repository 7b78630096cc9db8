import CZlib
import Glibc
import Synchronization

/// An append-only file of rows of one size, for work that must survive a crash.
///
/// Layout, little-endian: magic of 8 bytes, version u32, length of the configuration u32, the configuration (JSON: everything
/// that decides the rows), its CRC-32; then the rows, each followed by its CRC-32. A row that a crash left torn fails its
/// checksum; it and what follows are cut off when the file is opened again.
///
/// A row that could not be written whole is taken back, so that after an error (a full disk) everything appended before is
/// still there. Rows reach the disk at least every five seconds of appending. Threads may share it; processes may not.
package final class RowFile: Sendable {
  /// What is kept, for readers of the file and of messages.
  package struct Format: Sendable {
    var magic: [UInt8]
    var version: UInt32
    var name: String

    package init(magic: String, version: UInt32, name: String) {
      precondition(magic.utf8.count == 8, "a magic of \(magic.utf8.count) bytes")
      self.magic = Array(magic.utf8)
      self.version = version
      self.name = name
    }
  }

  /// What to do with a file that is there.
  package enum Opening: Sendable { case refuse, resume, anew }

  package static let checksumBytes = 4
  private static let secondsBetweenSyncs = 5

  package let path: String
  /// With the checksum.
  private let rowBytes: Int
  private let headerBytes: Int
  private let descriptor: Int32

  private struct State: Sendable {
    var count = 0
    var lastSync = RowFile.now()
  }
  private let state = Mutex(State())

  /// Opens or begins the file. One that was begun with another configuration is refused, naming the first member that differs.
  ///
  /// - Parameters:
  ///   - rowBytes: of a row and its checksum.
  ///   - accept: gets each row that is there, with its place; the first that it refuses is cut off with all that follow.
  package init(
    path: String, format: Format, configuration: JSONValue, rowBytes: Int, opening: Opening,
    accept: (_ place: Int, _ bytes: [UInt8]) -> Bool
  ) throws(FormatError) {
    self.path = path
    self.rowBytes = rowBytes
    let header = Self.header(configuration, format)
    headerBytes = header.count
    descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o666)
    if descriptor < 0 { throw .output(path, "create it") }
    guard lockFile(descriptor) else {
      if errno == EWOULDBLOCK { throw .inputOutput(path: path, reason: "another process is writing it") }
      throw .system(path, "lock it")
    }
    if try Self.needsHeader(path, descriptor, header, configuration, format, opening) {
      try begin(header)
    } else {
      try recover(accept)
    }
  }

  /// Throws where a file is there that nobody said to go on with: worth asking before long preparations.
  static func refuseUnfinished(_ path: String) throws(FormatError) {
    var status = stat()
    if stat(path, &status) == 0, status.st_size > 0 { throw .unfinished(path: path) }
  }

  deinit {
    if descriptor >= 0 {
      fdatasync(descriptor)
      close(descriptor)
    }
  }

  // MARK: Header

  private static func header(_ configuration: JSONValue, _ format: Format) -> [UInt8] {
    let text = configuration.serialized()
    var bytes = format.magic
    bytes.append(integer: format.version)
    bytes.append(integer: UInt32(text.count))
    bytes += text
    bytes.append(integer: checksum(text))
    return bytes
  }

  /// True where a file is to be begun; false where the one there is to be gone on with.
  private static func needsHeader(
    _ path: String, _ descriptor: Int32, _ header: [UInt8], _ configuration: JSONValue, _ format: Format,
    _ opening: Opening
  ) throws(FormatError) -> Bool {
    let size = Int(lseek(descriptor, 0, SEEK_END))
    if size < 0 { throw .system(path, "look at it") }
    if size == 0 || opening == .anew { return true }
    if opening == .refuse { throw .unfinished(path: path) }
    let found = try read(path, descriptor, at: 0, count: min(size, 16))
    // A crash before the header was whole left nothing to keep.
    if size < header.count, header.starts(with: try read(path, descriptor, at: 0, count: size)) {
      return true
    }
    guard found.count == 16, found.starts(with: format.magic) else {
      throw .malformed(place: path, reason: "it is no \(format.name), or its beginning is damaged")
    }
    guard found.integer(UInt32.self, at: 8) == format.version else {
      throw .malformed(place: path, reason: "it was written by another version of this program")
    }
    let length = Int(found.integer(UInt32.self, at: 12))
    guard length <= size - 20 else { throw .malformed(place: path, reason: "its header is cut short") }
    let rest = try read(path, descriptor, at: 16, count: length + 4)
    let text = Array(rest.prefix(length))
    guard rest.integer(UInt32.self, at: length) == checksum(text), let kept = try? JSONValue.parse(text)
    else {
      throw .malformed(place: path, reason: "its header is damaged")
    }
    try refuseOtherConfiguration(configuration, than: kept, path: path)
    guard found + rest == header else { throw .malformed(place: path, reason: "its header is damaged") }
    return false
  }

  private func begin(_ header: [UInt8]) throws(FormatError) {
    guard ftruncate(descriptor, 0) == 0 else { throw .system(path, "empty it") }
    try Self.write(path, descriptor, header, at: 0)
    guard fsync(descriptor) == 0 else { throw .system(path, "write it to disk") }
  }

  // MARK: Rows

  package var count: Int { state.withLock { $0.count } }

  /// Adds a row and returns its place.
  @discardableResult
  package func append(_ bytes: [UInt8]) throws(FormatError) -> Int {
    precondition(bytes.count == rowBytes - Self.checksumBytes, "a row of \(bytes.count) bytes")
    var whole = bytes
    whole.append(integer: Self.checksum(bytes))
    let outcome = state.withLock { state in
      Result { () throws(FormatError) in try append(whole, &state) }
    }
    return try outcome.get()
  }

  private func append(_ bytes: [UInt8], _ state: inout State) throws(FormatError) -> Int {
    let offset = headerBytes + state.count * rowBytes
    do { try Self.write(path, descriptor, bytes, at: offset) } catch {
      ftruncate(descriptor, off_t(offset))
      throw error
    }
    state.count += 1
    if Self.now() - state.lastSync >= Self.secondsBetweenSyncs {
      guard fdatasync(descriptor) == 0 else { throw .system(path, "write it to disk") }
      state.lastSync = Self.now()
    }
    return state.count - 1
  }

  /// The row at a place; throws where the disk gives back something else than was written.
  package func row(at place: Int) throws(FormatError) -> [UInt8] {
    let bytes = try Self.read(path, descriptor, at: headerBytes + place * rowBytes, count: rowBytes)
    guard let row = Self.checked(bytes) else {
      throw .malformed(place: path, reason: "row \(place) has changed since it was written")
    }
    return row
  }

  /// Makes everything appended so far safe on disk.
  package func sync() throws(FormatError) {
    guard fdatasync(descriptor) == 0 else { throw .system(path, "write it to disk") }
  }

  /// Removes the file, once its rows are safe elsewhere.
  package func remove() { unlink(path) }

  /// Reads all rows, and cuts off what begins with the first that is torn, damaged or not accepted.
  private func recover(_ accept: (Int, [UInt8]) -> Bool) throws(FormatError) {
    let size = Int(lseek(descriptor, 0, SEEK_END))
    var count = 0
    while headerBytes + (count + 1) * rowBytes <= size {
      let bytes = try Self.read(path, descriptor, at: headerBytes + count * rowBytes, count: rowBytes)
      guard let row = Self.checked(bytes), accept(count, row) else { break }
      count += 1
    }
    let end = headerBytes + count * rowBytes
    if end < size && ftruncate(descriptor, off_t(end)) != 0 { throw .system(path, "cut its torn end off") }
    state.withLock { $0.count = count }
  }

  // MARK: Bytes

  /// A row without its checksum; nil where that is wrong.
  private static func checked(_ bytes: [UInt8]) -> [UInt8]? {
    let row = Array(bytes.dropLast(checksumBytes))
    return bytes.integer(UInt32.self, at: row.count) == checksum(row) ? row : nil
  }

  private static func checksum(_ bytes: [UInt8]) -> UInt32 {
    UInt32(truncatingIfNeeded: crc32_z(0, bytes, bytes.count))
  }

  private static func now() -> Int {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return time.tv_sec
  }

  private static func read(
    _ path: String, _ descriptor: Int32, at offset: Int, count: Int
  ) throws(FormatError) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    var done = 0
    while done < count {
      let got = bytes.withUnsafeMutableBytes {
        pread(descriptor, $0.baseAddress! + done, count - done, off_t(offset + done))
      }
      if got < 0 && errno == EINTR { continue }
      if got < 0 { throw .system(path, "read it") }
      if got == 0 { throw .malformed(place: path, reason: "it has become shorter while it was read") }
      done += got
    }
    return bytes
  }

  private static func write(
    _ path: String, _ descriptor: Int32, _ bytes: [UInt8], at offset: Int
  ) throws(FormatError) {
    var done = 0
    while done < bytes.count {
      let put = bytes.withUnsafeBytes {
        pwrite(descriptor, $0.baseAddress! + done, $0.count - done, off_t(offset + done))
      }
      if put < 0 && errno == EINTR { continue }
      if put < 0 { throw .system(path, "write it") }
      done += put
    }
  }
}

extension [UInt8] {
  /// Little-endian.
  package mutating func append<Number: FixedWidthInteger>(integer value: Number) {
    Swift.withUnsafeBytes(of: value.littleEndian) { append(contentsOf: $0) }
  }

  package func integer<Number: FixedWidthInteger & BitwiseCopyable>(
    _ type: Number.Type, at offset: Int
  ) -> Number {
    withUnsafeBytes { Number(littleEndian: $0.loadUnaligned(fromByteOffset: offset, as: type)) }
  }
}
