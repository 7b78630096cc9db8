import CZlib
import CZstd

/// Compresses a stream by what a file's name ends in: `.gz` (gzip), `.zst` (Zstandard), or not at all.
///
/// `end` closes a member (gzip) or frame (Zstandard). Several may stand in one file one after another, but not every reader goes on
/// after the first, so a file of ours has one. Not for several threads.
package final class Compressor {
  private enum Coding {
    case plain
    case gzip(UnsafeMutablePointer<z_stream>)
    case zstd(OpaquePointer)
  }

  private let coding: Coding
  /// Whether a member or frame is open, or none was ever.
  private var wantsEnd = true
  private var block = [UInt8](repeating: 0, count: 1 << 16)

  /// Whether a file of this name is compressed.
  package static func compresses(_ name: String) -> Bool { name.hasSuffix(".gz") || name.hasSuffix(".zst") }

  package init(forName name: String) {
    if name.hasSuffix(".gz") {
      let stream = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)
      stream.initialize(to: z_stream())
      // 15 bits of window, and 16: a gzip header is written.
      let code = deflateInit2_(
        stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY, ZLIB_VERSION,
        Int32(MemoryLayout<z_stream>.size))
      precondition(code == Z_OK, "zlib does not start")
      coding = .gzip(stream)
    } else if name.hasSuffix(".zst") {
      guard let stream = ZSTD_createCCtx() else { preconditionFailure("zstd does not start") }
      coding = .zstd(stream)
    } else {
      coding = .plain
    }
  }

  deinit {
    switch coding {
    case .gzip(let stream):
      deflateEnd(stream)
      stream.deallocate()
    case .zstd(let stream): ZSTD_freeCCtx(stream)
    case .plain: break
    }
  }

  /// The next bytes of the compressed stream; some may come only with later ones.
  package func compress(_ bytes: [UInt8]) -> [UInt8] { step(bytes, isLast: false) }

  /// What closes the member or frame that is open. Of nothing it makes an empty one, for a file of its kind has one.
  package func end() -> [UInt8] { wantsEnd ? step([], isLast: true) : [] }

  private func step(_ bytes: [UInt8], isLast: Bool) -> [UInt8] {
    wantsEnd = !isLast
    return switch coding {
    case .plain: bytes
    case .gzip(let stream): deflate(stream, bytes, isLast)
    case .zstd(let stream): compress(stream, bytes, isLast)
    }
  }

  private func deflate(_ stream: UnsafeMutablePointer<z_stream>, _ bytes: [UInt8], _ isLast: Bool) -> [UInt8]
  {
    var result: [UInt8] = []
    bytes.withUnsafeBufferPointer { source in
      stream.pointee.next_in = UnsafeMutablePointer(mutating: source.baseAddress)
      stream.pointee.avail_in = uInt(source.count)
      var code = Z_OK
      repeat {
        let count = block.withUnsafeMutableBufferPointer { room in
          stream.pointee.next_out = room.baseAddress
          stream.pointee.avail_out = uInt(room.count)
          code = CZlib.deflate(stream, isLast ? Z_FINISH : Z_NO_FLUSH)
          return room.count - Int(stream.pointee.avail_out)
        }
        precondition(code != Z_STREAM_ERROR, "zlib: a stream in disorder")
        result += block[..<count]
      } while isLast ? code != Z_STREAM_END : stream.pointee.avail_out == 0
    }
    if isLast { deflateReset(stream) }
    return result
  }

  private func compress(_ stream: OpaquePointer, _ bytes: [UInt8], _ isLast: Bool) -> [UInt8] {
    var result: [UInt8] = []
    bytes.withUnsafeBytes { raw in
      var source = ZSTD_inBuffer(src: raw.baseAddress, size: raw.count, pos: 0)
      var left = 0
      repeat {
        let count = block.withUnsafeMutableBytes { room in
          var sink = ZSTD_outBuffer(dst: room.baseAddress, size: room.count, pos: 0)
          left = ZSTD_compressStream2(stream, &sink, &source, isLast ? ZSTD_e_end : ZSTD_e_continue)
          return sink.pos
        }
        precondition(ZSTD_isError(left) == 0, "zstd: \(String(cString: ZSTD_getErrorName(left)))")
        result += block[..<count]
      } while isLast ? left != 0 : source.pos < source.size
    }
    return result
  }
}
