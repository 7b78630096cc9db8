import Crypto

/// SHA-256 as lower-case hexadecimal digits.
package enum FileHash {
  /// The hash of a file's bytes, read in blocks.
  package static func sha256(path: String) throws(FormatError) -> String {
    let file = try InputFile(path: path)
    let block = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 16)
    defer { block.deallocate() }
    var hash = HashStream()
    while true {
      let count = try file.read(into: block)
      if count == 0 { return hash.hexDigest() }
      hash.update(UnsafeRawBufferPointer(rebasing: block[..<count]))
    }
  }

  /// The hash of some bytes.
  package static func sha256(_ bytes: [UInt8]) -> String {
    var hash = HashStream()
    hash.update(bytes)
    return hash.hexDigest()
  }

  /// The first 16 bytes of the hash of some bytes, as two numbers, the more significant byte first.
  package static func sha256Prefix(_ bytes: [UInt8]) -> (UInt64, UInt64) {
    var words: [UInt64] = [0, 0]
    for (index, byte) in SHA256.hash(data: bytes).prefix(16).enumerated() {
      words[index / 8] = words[index / 8] << 8 | UInt64(byte)
    }
    return (words[0], words[1])
  }
}

/// A SHA-256 that is fed piece by piece.
package struct HashStream {
  private var hash = SHA256()

  package init() {}

  package mutating func update(_ bytes: [UInt8]) { bytes.withUnsafeBytes { hash.update(bufferPointer: $0) } }

  package mutating func update(_ bytes: UnsafeRawBufferPointer) { hash.update(bufferPointer: bytes) }

  /// Feeds the little-endian bytes of integers or floats.
  package mutating func update<Number: BitwiseCopyable>(numbers: [Number]) {
    numbers.withUnsafeBytes { hash.update(bufferPointer: $0) }
  }

  /// The digest of everything fed so far.
  package func hexDigest() -> String {
    let digits = Array("0123456789abcdef".utf8)
    let text = hash.finalize().flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }
    return String(decoding: text, as: UTF8.self)
  }
}
