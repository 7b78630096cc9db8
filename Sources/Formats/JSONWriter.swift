/// Writes JSON values as UTF-8: strings escape only what they must, numbers stay as they were written.
package struct JSONWriter {
  package private(set) var bytes: [UInt8] = []
  private let isPretty: Bool

  package init(pretty: Bool = false) { isPretty = pretty }

  package mutating func write(_ value: JSONValue) { write(value, depth: 0) }

  private mutating func write(_ value: JSONValue, depth: Int) {
    switch value {
    case .null: append("null")
    case .bool(let value): append(value ? "true" : "false")
    case .number(let digits): bytes += digits.bytes
    case .string(let text): write(text)
    case .array(let values):
      list("[", "]", count: values.count, depth: depth) { writer, index in
        writer.write(values[index], depth: depth + 1)
      }
    case .object(let members):
      list("{", "}", count: members.count, depth: depth) { writer, index in
        writer.write(members[index].key)
        writer.append(writer.isPretty ? ": " : ":")
        writer.write(members[index].value, depth: depth + 1)
      }
    }
  }

  private mutating func list(
    _ open: StaticString, _ close: StaticString, count: Int, depth: Int,
    _ item: (inout JSONWriter, Int) -> Void
  ) {
    append(open)
    for index in 0..<count {
      if index > 0 { append(",") }
      newLine(depth + 1)
      item(&self, index)
    }
    if count > 0 { newLine(depth) }
    append(close)
  }

  private mutating func newLine(_ depth: Int) {
    guard isPretty else { return }
    bytes.append(0x0A)
    bytes.append(contentsOf: repeatElement(0x20, count: 2 * depth))
  }

  private mutating func append(_ text: StaticString) {
    bytes.append(contentsOf: UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
  }

  /// Writes a string in quotes; bytes that are no UTF-8 become U+FFFD, so that the result is always JSON.
  package mutating func write(_ text: ByteString) {
    bytes.append(UInt8(ascii: "\""))
    let content = text.isValidUTF8 ? text.bytes : Array(text.string.utf8)
    content.withUnsafeBufferPointer { content in
      var start = 0
      for (index, byte) in content.enumerated() where byte < 0x20 || byte == 0x22 || byte == 0x5C {
        bytes.append(contentsOf: UnsafeBufferPointer(rebasing: content[start..<index]))
        appendEscape(byte)
        start = index + 1
      }
      bytes.append(contentsOf: UnsafeBufferPointer(rebasing: content[start...]))
    }
    bytes.append(UInt8(ascii: "\""))
  }

  private mutating func appendEscape(_ byte: UInt8) {
    switch byte {
    case 0x22: append("\\\"")
    case 0x5C: append("\\\\")
    case 0x08: append("\\b")
    case 0x09: append("\\t")
    case 0x0A: append("\\n")
    case 0x0C: append("\\f")
    case 0x0D: append("\\r")
    default:
      append(byte < 0x10 ? "\\u000" : "\\u001")
      bytes.append(Array("0123456789abcdef".utf8)[Int(byte & 0xF)])
    }
  }
}

extension JSONValue {
  /// The value as JSON; `pretty` puts each member and element on its own line.
  package func serialized(pretty: Bool = false) -> [UInt8] {
    var writer = JSONWriter(pretty: pretty)
    writer.write(self)
    return writer.bytes
  }
}
