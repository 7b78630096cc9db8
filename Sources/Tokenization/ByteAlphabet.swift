/// GPT-2's alphabet: every byte has one printable character that stands for it in the vocabulary.
enum ByteAlphabet {
  /// The scalar of each byte: itself where it is printable Latin-1, else one from U+0100 on, in order.
  static let scalars: [UInt32] = {
    var next: UInt32 = 0x100
    return (UInt32(0)...0xFF).map { byte in
      switch byte {
      case 0x21...0x7E, 0xA1...0xAC, 0xAE...0xFF: return byte
      default:
        defer { next += 1 }
        return next
      }
    }
  }()

  private static let bytes: [UInt32: UInt8] = Dictionary(
    uniqueKeysWithValues: scalars.enumerated().map { ($1, UInt8($0)) })

  /// The bytes a vocabulary entry stands for, or nil where a character of it is not of the alphabet.
  static func decode(_ token: [UInt8]) -> [UInt8]? {
    var result: [UInt8] = []
    result.reserveCapacity(token.count)
    let span = token.span
    var index = 0
    while index < span.count {
      let (value, length) = UTF8Text.scalar(span, at: index)
      guard let byte = bytes[value] else { return nil }
      result.append(byte)
      index += length
    }
    return result
  }

  /// How the vocabulary spells a byte.
  static func spelling(of byte: UInt8) -> [UInt8] {
    var result: [UInt8] = []
    UTF8Text.append(scalars[Int(byte)], to: &result)
    return result
  }
}
