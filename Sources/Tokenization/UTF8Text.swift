/// Scalars of text that is known to be well-formed UTF-8, read from and appended to its bytes.
enum UTF8Text {
  /// The scalar whose first byte is at `index`, and how many bytes it takes.
  @inline(__always)
  static func scalar(_ text: Span<UInt8>, at index: Int) -> (value: UInt32, length: Int) {
    let first = UInt32(text[index])
    if first < 0x80 { return (first, 1) }
    let second = UInt32(text[index + 1] & 0x3F)
    if first < 0xE0 { return ((first & 0x1F) << 6 | second, 2) }
    let third = UInt32(text[index + 2] & 0x3F)
    if first < 0xF0 { return ((first & 0x0F) << 12 | second << 6 | third, 3) }
    return ((first & 0x07) << 18 | second << 12 | third << 6 | UInt32(text[index + 3] & 0x3F), 4)
  }

  /// The scalar that ends just before `index`, which is above 0.
  static func scalar(_ text: Span<UInt8>, before index: Int) -> (value: UInt32, length: Int) {
    var start = index - 1
    while start > 0 && text[start] & 0xC0 == 0x80 { start -= 1 }
    return scalar(text, at: start)
  }

  static func append(_ value: UInt32, to bytes: inout [UInt8]) {
    switch value {
    case 0..<0x80: bytes.append(UInt8(value))
    case 0x80..<0x800:
      bytes.append(UInt8(0xC0 | value >> 6))
      bytes.append(UInt8(0x80 | value & 0x3F))
    case 0x800..<0x10000:
      bytes.append(UInt8(0xE0 | value >> 12))
      bytes.append(UInt8(0x80 | value >> 6 & 0x3F))
      bytes.append(UInt8(0x80 | value & 0x3F))
    default:
      bytes.append(UInt8(0xF0 | value >> 18))
      bytes.append(UInt8(0x80 | value >> 12 & 0x3F))
      bytes.append(UInt8(0x80 | value >> 6 & 0x3F))
      bytes.append(UInt8(0x80 | value & 0x3F))
    }
  }

  /// How many scalars the text has.
  static func count(_ text: Span<UInt8>) -> Int {
    var count = 0
    for index in 0..<text.count where text[index] & 0xC0 != 0x80 { count += 1 }
    return count
  }

  static func isASCII(_ bytes: [UInt8]) -> Bool {
    var union: UInt8 = 0
    for byte in bytes { union |= byte }
    return union < 0x80
  }
}

extension Array where Element == UInt8 {
  /// The occurrences of `needle`, from the left, not overlapping. An empty needle occurs nowhere.
  func occurrences(of needle: [UInt8], in range: Range<Int>? = nil) -> [Range<Int>] {
    var found: [Range<Int>] = []
    guard let first = needle.first else { return found }
    let range = range ?? 0..<count
    var index = range.lowerBound
    while index + needle.count <= range.upperBound {
      if self[index] == first && self[index..<index + needle.count].elementsEqual(needle) {
        found.append(index..<index + needle.count)
        index += needle.count
      } else {
        index += 1
      }
    }
    return found
  }

  func replacing(_ needle: [UInt8], with replacement: [UInt8]) -> [UInt8] {
    let found = occurrences(of: needle)
    if found.isEmpty { return self }
    var result: [UInt8] = []
    result.reserveCapacity(count + found.count * Swift.max(0, replacement.count - needle.count))
    var start = 0
    for range in found {
      result += self[start..<range.lowerBound]
      result += replacement
      start = range.upperBound
    }
    result += self[start...]
    return result
  }
}
