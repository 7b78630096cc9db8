import CZlib
import CZstd
import Glibc

/// The bytes of a file or of standard input, with gzip or Zstandard undone; which it is, the first bytes
/// tell.
final class DecodedInput {
  private enum Coding {
    case undecided
    case plain
    case gzip(UnsafeMutablePointer<z_stream>)
    case zstd(OpaquePointer)
  }

  let file: InputFile
  /// Bytes taken from the file so far, before decompression.
  private(set) var bytesConsumed = 0
  private var coding = Coding.undecided
  private let input = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 18, alignment: 16)
  private var unread: Range<Int> = 0..<0
  private var isAtEnd = false
  /// True between the first and the last byte of a compressed stream: the end of the file must not come here.
  private var isInsideStream = false

  init(_ file: InputFile) { self.file = file }

  deinit {
    switch coding {
    case .gzip(let stream):
      inflateEnd(stream)
      stream.deallocate()
    case .zstd(let stream): ZSTD_freeDStream(stream)
    case .plain, .undecided: break
    }
    input.deallocate()
  }

  /// Fills as much of `output` as one step gives; 0 only at the end.
  func read(into output: UnsafeMutableRawBufferPointer) throws(FormatError) -> Int {
    if case .undecided = coding { try decide() }
    while true {
      if unread.isEmpty && !isAtEnd { try refill() }
      let count =
        switch coding {
        case .gzip(let stream): try inflate(stream, into: output)
        case .zstd(let stream): try decompress(stream, into: output)
        case .plain, .undecided: copy(into: output)
        }
      if count > 0 { return count }
      if isAtEnd && unread.isEmpty {
        if isInsideStream { throw damaged("the compressed data end too early; the file is cut short") }
        return 0
      }
    }
  }

  /// Whether bytes are at hand, or the end is.
  var isReadable: Bool {
    if !unread.isEmpty || isAtEnd { return true }
    var request = pollfd(fd: file.descriptor, events: Int16(POLLIN), revents: 0)
    return poll(&request, 1, 0) != 0
  }

  /// Passes over so many bytes of what `read` would give; before the first `read` alone.
  func skip(_ count: Int) throws(FormatError) {
    try decide()
    if case .plain = coding, lseek(file.descriptor, off_t(count), SEEK_SET) == off_t(count) {
      (unread, isAtEnd, bytesConsumed) = (0..<0, false, count)
      return
    }
    let block = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 18, alignment: 16)
    defer { block.deallocate() }
    var left = count
    while left > 0 {
      let found = try read(into: UnsafeMutableRawBufferPointer(rebasing: block[..<min(left, block.count)]))
      if found == 0 { throw damaged("it ends before byte \(count), up to which it was read earlier") }
      left -= found
    }
  }

  private func damaged(_ reason: String) -> FormatError { .malformed(place: file.path, reason: reason) }

  /// Reads one more block behind what is unread.
  private func refill() throws(FormatError) {
    if unread.isEmpty { unread = 0..<0 }
    let count = try file.read(into: UnsafeMutableRawBufferPointer(rebasing: input[unread.upperBound...]))
    if count == 0 { isAtEnd = true }
    bytesConsumed += count
    unread = unread.lowerBound..<unread.upperBound + count
  }

  private func decide() throws(FormatError) {
    while unread.count < 4 && !isAtEnd { try refill() }
    let start = Array(input[unread.prefix(4)])
    if start.starts(with: [0x1F, 0x8B]) {
      let stream = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)
      stream.initialize(to: z_stream())
      // 15 bits of window, and 16: a gzip header is expected.
      let code = inflateInit2_(stream, 15 + 16, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size))
      precondition(code == Z_OK, "zlib does not start")
      coding = .gzip(stream)
    } else if start == [0x28, 0xB5, 0x2F, 0xFD] {
      guard let stream = ZSTD_createDStream() else { preconditionFailure("zstd does not start") }
      coding = .zstd(stream)
    } else {
      coding = .plain
    }
  }

  private func copy(into output: UnsafeMutableRawBufferPointer) -> Int {
    let count = min(unread.count, output.count)
    output.copyMemory(from: UnsafeRawBufferPointer(rebasing: input[unread.prefix(count)]))
    unread = unread.dropFirst(count)
    return count
  }

  /// One step of zlib; a file may hold several gzip members one after another.
  private func inflate(
    _ stream: UnsafeMutablePointer<z_stream>, into output: UnsafeMutableRawBufferPointer
  ) throws(FormatError) -> Int {
    if unread.isEmpty && !isInsideStream { return 0 }
    let source = input.baseAddress?.advanced(by: unread.lowerBound)
    stream.pointee.next_in = source?.assumingMemoryBound(to: Bytef.self)
    stream.pointee.avail_in = uInt(unread.count)
    stream.pointee.next_out = output.baseAddress?.assumingMemoryBound(to: Bytef.self)
    stream.pointee.avail_out = uInt(output.count)
    let code = CZlib.inflate(stream, Z_NO_FLUSH)
    unread = unread.dropFirst(unread.count - Int(stream.pointee.avail_in))
    isInsideStream = true
    switch code {
    case Z_OK, Z_BUF_ERROR: break
    case Z_STREAM_END:
      isInsideStream = false
      inflateReset(stream)
    default:
      let reason = stream.pointee.msg.map { String(cString: $0) } ?? "code \(code)"
      throw damaged("the gzip data are damaged (\(reason))")
    }
    return output.count - Int(stream.pointee.avail_out)
  }

  /// One step of zstd, which walks over several frames by itself.
  private func decompress(
    _ stream: OpaquePointer, into output: UnsafeMutableRawBufferPointer
  ) throws(FormatError) -> Int {
    if unread.isEmpty && !isInsideStream { return 0 }
    let start = unread.lowerBound
    var source = ZSTD_inBuffer(src: input.baseAddress! + start, size: unread.count, pos: 0)
    var sink = ZSTD_outBuffer(dst: output.baseAddress, size: output.count, pos: 0)
    let left = ZSTD_decompressStream(stream, &sink, &source)
    guard ZSTD_isError(left) == 0 else {
      throw damaged("the Zstandard data are damaged (\(String(cString: ZSTD_getErrorName(left))))")
    }
    unread = unread.dropFirst(source.pos)
    isInsideStream = left != 0
    return sink.pos
  }
}
