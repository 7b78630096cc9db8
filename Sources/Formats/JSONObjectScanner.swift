/// The members of one JSON object and where their bytes lie, so that a record can be passed on with keys
/// added or replaced while every other byte stays as it was.
package struct JSONObjectScanner: Sendable {
  /// One member: the decoded key, and where key (with its quotes) and value lie in the line.
  package struct Member: Sendable {
    package var key: ByteString
    package var keyRange: Range<Int>
    package var valueRange: Range<Int>
  }

  package let bytes: [UInt8]
  package let members: [Member]
  private let openBrace: Int
  private let closeBrace: Int

  /// Checks the whole line, which must hold one JSON object, and finds its members.
  package init(_ bytes: [UInt8]) throws(JSONError) {
    let scan = bytes.withUnsafeBufferPointer { buffer in
      Result { () throws(JSONError) in try Self.scan(buffer) }
    }
    (openBrace, closeBrace, members) = try scan.get()
    self.bytes = bytes
  }

  private static func scan(
    _ bytes: UnsafeBufferPointer<UInt8>
  ) throws(JSONError) -> (Int, Int, [Member]) {
    var parser = JSONParser(bytes)
    guard try parser.next() == UInt8(ascii: "{") else { throw parser.failure("an object is expected") }
    let openBrace = parser.position
    var members: [Member] = []
    try parser.members { parser throws(JSONError) in
      let start = parser.position
      let key = try parser.string()
      let keyRange = start..<parser.position
      try parser.colon()
      members.append(Member(key: key, keyRange: keyRange, valueRange: try parser.skipValue()))
    }
    let closeBrace = parser.position - 1
    try parser.end()
    return (openBrace, closeBrace, members)
  }

  /// The parsed value of the last member with this key, or nil.
  package func value(_ key: ByteString) throws(JSONError) -> JSONValue? {
    guard let member = members.last(where: { $0.key == key }) else { return nil }
    return try JSONValue.parse(bytes[member.valueRange])
  }

  /// The line with each change made: a value replaces that of every member with the key, or is added at the
  /// end where there is none; nil removes the members with the key. Untouched members keep their bytes and
  /// their order.
  package func changing(_ changes: [(key: ByteString, value: JSONValue?)]) -> [UInt8] {
    var result = Array(bytes[...openBrace])
    var isFirst = true
    for (index, member) in members.enumerated() {
      let change = changes.last { $0.key == member.key }
      if let change, change.value == nil { continue }
      result += gap(before: isFirst ? 0 : index)
      isFirst = false
      if let value = change?.value {
        result += bytes[member.keyRange.lowerBound..<member.valueRange.lowerBound]
        result += value.serialized()
      } else {
        result += bytes[member.keyRange.lowerBound..<member.valueRange.upperBound]
      }
    }
    append(changes, to: &result, isFirst: &isFirst)
    result += bytes[(members.last?.valueRange.upperBound ?? openBrace + 1)...]
    return result
  }

  /// The bytes between the member before and this one.
  private func gap(before index: Int) -> ArraySlice<UInt8> {
    let start = index == 0 ? openBrace + 1 : members[index - 1].valueRange.upperBound
    return bytes[start..<members[index].keyRange.lowerBound]
  }

  /// Adds the changes whose keys are new, spaced as the line spaces its first colon.
  private func append(
    _ changes: [(key: ByteString, value: JSONValue?)], to result: inout [UInt8], isFirst: inout Bool
  ) {
    let isSpaced = members.first.map { bytes[$0.valueRange.lowerBound - 1] == 0x20 } ?? true
    for (key, value) in changes {
      guard let value, !members.contains(where: { $0.key == key }) else { continue }
      if !isFirst { result += Array(isSpaced ? ", ".utf8 : ",".utf8) }
      isFirst = false
      var writer = JSONWriter()
      writer.write(key)
      result += writer.bytes
      result += Array(isSpaced ? ": ".utf8 : ":".utf8)
      result += value.serialized()
    }
  }
}
