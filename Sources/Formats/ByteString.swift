/// A string kept as its bytes, compared and hashed as bytes.
///
/// Swift's `String` takes canonically equal texts for one ("é" composed and decomposed), so it cannot be the
/// key of a vocabulary; this can. The bytes are usually UTF-8, but nothing here depends on it.
package struct ByteString: Hashable, Comparable, Sendable {
  package var bytes: [UInt8]

  package init(_ bytes: [UInt8]) { self.bytes = bytes }

  package init(_ bytes: some Sequence<UInt8>) { self.bytes = Array(bytes) }

  package init(_ string: String) { bytes = Array(string.utf8) }

  /// The text, with U+FFFD where the bytes are no UTF-8.
  package var string: String { String(decoding: bytes, as: UTF8.self) }

  package var count: Int { bytes.count }

  package var isEmpty: Bool { bytes.isEmpty }

  /// True where the bytes are well-formed UTF-8.
  package var isValidUTF8: Bool {
    bytes.withUnsafeBufferPointer { UTF8Validation.firstInvalid(in: $0, from: 0) == nil }
  }

  /// Bytewise (unsigned) order, which for UTF-8 is the order of the code points.
  package static func < (left: ByteString, right: ByteString) -> Bool {
    left.bytes.lexicographicallyPrecedes(right.bytes)
  }
}

extension ByteString: ExpressibleByStringLiteral, CustomStringConvertible {
  package init(stringLiteral value: String) { bytes = Array(value.utf8) }

  package var description: String { string }
}

/// Well-formedness of UTF-8 (Unicode 15, table 3-7): no overlong forms, no surrogates, nothing above
/// U+10FFFF.
package enum UTF8Validation {
  /// The length of the well-formed multi-byte sequence at `index`, or 0 where it is malformed or cut short.
  @inline(__always)
  static func sequenceLength(_ bytes: UnsafeBufferPointer<UInt8>, at index: Int) -> Int {
    let lead = bytes[index]
    let left = bytes.count - index
    func continues(_ offset: Int, _ low: UInt8 = 0x80, _ high: UInt8 = 0xBF) -> Bool {
      let byte = bytes[index + offset]
      return byte >= low && byte <= high
    }
    switch lead {
    case 0x00...0x7F: return 1
    case 0xC2...0xDF: return left >= 2 && continues(1) ? 2 : 0
    case 0xE0...0xEF:
      let low: UInt8 = lead == 0xE0 ? 0xA0 : 0x80
      let high: UInt8 = lead == 0xED ? 0x9F : 0xBF
      return left >= 3 && continues(1, low, high) && continues(2) ? 3 : 0
    case 0xF0...0xF4:
      let low: UInt8 = lead == 0xF0 ? 0x90 : 0x80
      let high: UInt8 = lead == 0xF4 ? 0x8F : 0xBF
      return left >= 4 && continues(1, low, high) && continues(2) && continues(3) ? 4 : 0
    default: return 0
    }
  }

  /// The offset of the first byte at or after `start` that begins no well-formed sequence, or nil.
  package static func firstInvalid(in bytes: UnsafeBufferPointer<UInt8>, from start: Int) -> Int? {
    var index = start
    while index < bytes.count {
      let length = sequenceLength(bytes, at: index)
      if length == 0 { return index }
      index += length
    }
    return nil
  }
}
