/// Where and why some bytes are not the JSON that was expected.
package struct JSONError: Error, Equatable, CustomStringConvertible {
  /// Bytes from the start of what was parsed.
  package var offset: Int
  package var reason: String

  package var description: String { "invalid JSON at byte \(offset): \(reason)" }
}

extension JSONValue {
  /// Parses one JSON value (RFC 8259, strictly: no comments, NaN, trailing commas, raw control characters,
  /// lone surrogates or invalid UTF-8; white space around the value is allowed). Nesting is limited to 512
  /// levels.
  package static func parse(_ bytes: [UInt8]) throws(JSONError) -> JSONValue {
    try parse(bytes[...])
  }

  /// Parses the bytes of a slice; offsets in errors count from the start of the slice.
  package static func parse(_ bytes: ArraySlice<UInt8>) throws(JSONError) -> JSONValue {
    let result = bytes.withUnsafeBufferPointer { buffer -> Result<JSONValue, JSONError> in
      Result { () throws(JSONError) in try parse(buffer) }
    }
    return try result.get()
  }

  /// Parses the bytes of a buffer, which must outlive the call only.
  package static func parse(_ bytes: UnsafeBufferPointer<UInt8>) throws(JSONError) -> JSONValue {
    var parser = JSONParser(bytes)
    let value = try parser.value()
    try parser.end()
    return value
  }
}

/// A recursive-descent JSON parser over bytes. `value` builds what it reads; `skipValue` only checks it.
struct JSONParser {
  static let maximumDepth = 512

  private let bytes: UnsafeBufferPointer<UInt8>
  private(set) var position = 0
  private var depth = 0

  init(_ bytes: UnsafeBufferPointer<UInt8>) { self.bytes = bytes }

  func failure(_ reason: String, at offset: Int? = nil) -> JSONError {
    JSONError(offset: offset ?? position, reason: reason)
  }

  // MARK: Structure

  /// The next byte that is no white space, not consumed.
  @inline(__always)
  mutating func next() throws(JSONError) -> UInt8 {
    skipSpace()
    guard position < bytes.count else { throw failure("it ends too early") }
    return bytes[position]
  }

  @inline(__always)
  mutating func skipSpace() {
    while position < bytes.count {
      switch bytes[position] {
      case 0x20, 0x0A, 0x0D, 0x09: position += 1
      default: return
      }
    }
  }

  /// Requires that only white space is left.
  mutating func end() throws(JSONError) {
    skipSpace()
    if position < bytes.count { throw failure("something follows the value") }
  }

  mutating func value() throws(JSONError) -> JSONValue {
    let first = try next()
    switch first {
    case UInt8(ascii: "{"): return try object()
    case UInt8(ascii: "["): return try array()
    case UInt8(ascii: "\""): return .string(try string())
    case UInt8(ascii: "t"), UInt8(ascii: "f"), UInt8(ascii: "n"): return try word(first)
    default:
      let range = try number()
      return .number(ByteString(Array(bytes[range])))
    }
  }

  /// Checks a value and steps over it; gives where it lies.
  mutating func skipValue() throws(JSONError) -> Range<Int> {
    let first = try next()
    let start = position
    switch first {
    case UInt8(ascii: "{"):
      try members { parser throws(JSONError) in
        _ = try parser.stringRange()
        try parser.colon()
        _ = try parser.skipValue()
      }
    case UInt8(ascii: "["):
      try elements { parser throws(JSONError) in _ = try parser.skipValue() }
    case UInt8(ascii: "\""): _ = try stringRange()
    case UInt8(ascii: "t"), UInt8(ascii: "f"), UInt8(ascii: "n"): _ = try word(first)
    default: _ = try number()
    }
    return start..<position
  }

  private mutating func object() throws(JSONError) -> JSONValue {
    var found: [(key: ByteString, value: JSONValue)] = []
    try members { parser throws(JSONError) in
      let key = try parser.string()
      try parser.colon()
      found.append((key: key, value: try parser.value()))
    }
    return .object(found)
  }

  private mutating func array() throws(JSONError) -> JSONValue {
    var found: [JSONValue] = []
    try elements { parser throws(JSONError) in found.append(try parser.value()) }
    return .array(found)
  }

  /// Walks the members of the object that begins here; `member` reads key, colon and value.
  @inline(__always)
  mutating func members(_ member: (inout JSONParser) throws(JSONError) -> Void) throws(JSONError) {
    try list(closedBy: UInt8(ascii: "}")) { parser throws(JSONError) in
      let isKey = try parser.next() == UInt8(ascii: "\"")
      guard isKey else { throw parser.failure("a key in quotes is expected") }
      try member(&parser)
    }
  }

  @inline(__always)
  private mutating func elements(
    _ element: (inout JSONParser) throws(JSONError) -> Void
  ) throws(JSONError) {
    try list(closedBy: UInt8(ascii: "]"), element)
  }

  @inline(__always)
  private mutating func list(
    closedBy close: UInt8, _ item: (inout JSONParser) throws(JSONError) -> Void
  ) throws(JSONError) {
    depth += 1
    guard depth <= Self.maximumDepth else {
      throw failure("it is nested deeper than \(Self.maximumDepth) levels")
    }
    position += 1
    if try next() == close {
      position += 1
      depth -= 1
      return
    }
    while true {
      try item(&self)
      let separator = try next()
      if separator != close && separator != UInt8(ascii: ",") {
        throw failure("',' or '\(Character(Unicode.Scalar(close)))' is expected")
      }
      position += 1
      if separator == close { break }
    }
    depth -= 1
  }

  mutating func colon() throws(JSONError) {
    guard try next() == UInt8(ascii: ":") else { throw failure("':' is expected") }
    position += 1
  }

  private mutating func word(_ first: UInt8) throws(JSONError) -> JSONValue {
    let (text, value): (StaticString, JSONValue) =
      switch first {
      case UInt8(ascii: "t"): ("true", .bool(true))
      case UInt8(ascii: "f"): ("false", .bool(false))
      default: ("null", .null)
      }
    let length = text.utf8CodeUnitCount
    for offset in 0..<length {
      guard position + offset < bytes.count, bytes[position + offset] == text.utf8Start[offset] else {
        throw failure("'\(text)' is expected")
      }
    }
    position += length
    return value
  }

  // MARK: Numbers

  /// Steps over `-? (0 | [1-9][0-9]*) (. [0-9]+)? ([eE] [+-]? [0-9]+)?`.
  private mutating func number() throws(JSONError) -> Range<Int> {
    let start = position
    if peek() == UInt8(ascii: "-") { position += 1 }
    if peek() == UInt8(ascii: "0") {
      position += 1
    } else if !digits() {
      throw failure(position == start ? "a value is expected" : "a digit is expected")
    }
    if peek() == UInt8(ascii: ".") {
      position += 1
      if !digits() { throw failure("a digit is expected after '.'") }
    }
    if let mark = peek(), mark | 0x20 == UInt8(ascii: "e") {
      position += 1
      if let sign = peek(), sign == UInt8(ascii: "+") || sign == UInt8(ascii: "-") { position += 1 }
      if !digits() { throw failure("a digit is expected in the exponent") }
    }
    return start..<position
  }

  @inline(__always)
  private func peek() -> UInt8? { position < bytes.count ? bytes[position] : nil }

  /// Steps over digits; false where there is none.
  private mutating func digits() -> Bool {
    let start = position
    while position < bytes.count, bytes[position] &- UInt8(ascii: "0") <= 9 { position += 1 }
    return position > start
  }

  // MARK: Strings

  /// Reads the string that begins at the quote here.
  mutating func string() throws(JSONError) -> ByteString {
    let (range, hasEscapes) = try stringRange()
    let content = UnsafeBufferPointer(rebasing: bytes[range.lowerBound + 1..<range.upperBound - 1])
    return ByteString(hasEscapes ? Self.unescape(content) : Array(content))
  }

  /// Checks the string that begins at the quote here and steps over it; the range includes both quotes.
  mutating func stringRange() throws(JSONError) -> (range: Range<Int>, hasEscapes: Bool) {
    let start = position
    var hasEscapes = false
    position += 1
    while true {
      skipPlain()
      guard position < bytes.count else { throw failure("a string is not closed", at: start) }
      let byte = bytes[position]
      if byte == UInt8(ascii: "\"") {
        position += 1
        return (start..<position, hasEscapes)
      }
      if byte == UInt8(ascii: "\\") {
        hasEscapes = true
        try checkEscape()
      } else if byte < 0x20 {
        throw failure("a control character in a string must be escaped")
      } else {
        let length = UTF8Validation.sequenceLength(bytes, at: position)
        if length == 0 { throw failure("invalid UTF-8") }
        position += length
      }
    }
  }

  /// Steps over printable ASCII that needs no look, eight bytes at a time.
  @inline(__always)
  private mutating func skipPlain() {
    let ones: UInt64 = 0x0101_0101_0101_0101
    let highs: UInt64 = 0x8080_8080_8080_8080
    let raw = UnsafeRawBufferPointer(bytes)
    while position + 8 <= bytes.count {
      let word = raw.loadUnaligned(fromByteOffset: position, as: UInt64.self)
      let quotes = word ^ (ones &* 0x22)
      let slashes = word ^ (ones &* 0x5C)
      // A high bit stays set for a byte that is below 0x20, a quote, a backslash, or not ASCII; what a borrow
      // adds falsely lies above a true hit, so the loop below still stops at the first.
      let hits = ((word &- ones &* 0x20) | (quotes &- ones) | (slashes &- ones) | word) & highs
      if hits != 0 {
        position += hits.trailingZeroBitCount >> 3
        return
      }
      position += 8
    }
    while position < bytes.count {
      let byte = bytes[position]
      if byte < 0x20 || byte >= 0x80 || byte == 0x22 || byte == 0x5C { return }
      position += 1
    }
  }

  /// Checks the escape that begins at the backslash here and steps over it; surrogates must come in pairs.
  private mutating func checkEscape() throws(JSONError) {
    let start = position
    guard position + 1 < bytes.count else { throw failure("a string is not closed") }
    switch bytes[position + 1] {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"), UInt8(ascii: "b"), UInt8(ascii: "f"),
      UInt8(ascii: "n"), UInt8(ascii: "r"), UInt8(ascii: "t"):
      position += 2
    case UInt8(ascii: "u"):
      guard let unit = Self.hexUnit(bytes, at: position + 2) else {
        throw failure("four hexadecimal digits are expected after '\\u'")
      }
      position += 6
      guard unit & 0xF800 == 0xD800 else { return }
      let isPaired =
        unit < 0xDC00 && position + 6 <= bytes.count && bytes[position] == UInt8(ascii: "\\")
        && bytes[position + 1] == UInt8(ascii: "u")
        && (Self.hexUnit(bytes, at: position + 2) ?? 0) & 0xFC00 == 0xDC00
      guard isPaired else { throw failure("a surrogate stands alone", at: start) }
      position += 6
    default:
      throw failure("an unknown escape")
    }
  }

  /// The value of four hexadecimal digits, or nil.
  private static func hexUnit(_ bytes: UnsafeBufferPointer<UInt8>, at start: Int) -> UInt32? {
    guard start + 4 <= bytes.count else { return nil }
    var unit: UInt32 = 0
    for index in start..<start + 4 {
      let byte = bytes[index]
      let digit: UInt8 =
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
        default: 16
        }
      if digit == 16 { return nil }
      unit = unit << 4 | UInt32(digit)
    }
    return unit
  }

  /// The bytes a checked string stands for.
  private static func unescape(_ content: UnsafeBufferPointer<UInt8>) -> [UInt8] {
    var result: [UInt8] = []
    result.reserveCapacity(content.count)
    var index = 0
    while index < content.count {
      let rest = UnsafeBufferPointer(rebasing: content[index...])
      let plain = rest.firstIndex(of: UInt8(ascii: "\\")) ?? rest.count
      result.append(contentsOf: UnsafeBufferPointer(rebasing: rest[..<plain]))
      index += plain
      if index == content.count { break }
      let kind = content[index + 1]
      index += 2
      switch kind {
      case UInt8(ascii: "b"): result.append(0x08)
      case UInt8(ascii: "f"): result.append(0x0C)
      case UInt8(ascii: "n"): result.append(0x0A)
      case UInt8(ascii: "r"): result.append(0x0D)
      case UInt8(ascii: "t"): result.append(0x09)
      case UInt8(ascii: "u"):
        var code = hexUnit(content, at: index) ?? 0xFFFD
        index += 4
        if code & 0xFC00 == 0xD800, let low = hexUnit(content, at: index + 2) {
          code = 0x10000 + (code & 0x3FF) << 10 + (low & 0x3FF)
          index += 6
        }
        result.append(contentsOf: String(Unicode.Scalar(code) ?? "\u{FFFD}").utf8)
      default: result.append(kind)
      }
    }
    return result
  }
}
