/// A JSON value whose strings are UTF-8 bytes; object keys keep their order and are compared as bytes.
package enum JSONValue: Sendable {
  case null
  case bool(Bool)
  /// The number as it was written, so that identifiers and large integers survive.
  case number(ByteString)
  case string(ByteString)
  case array([JSONValue])
  case object([(key: ByteString, value: JSONValue)])
}

// MARK: - Building

extension JSONValue {
  package init(_ value: Bool) { self = .bool(value) }

  package init(_ value: some BinaryInteger) { self = .number(ByteString(String(value))) }

  /// The shortest digits that read back as the same number; JSON has no NaN or infinity, so these become
  /// `null`.
  package init(_ value: Double) { self = value.isFinite ? .number(ByteString("\(value)")) : .null }

  /// The shortest digits that read back as the same number; JSON has no NaN or infinity, so these become
  /// `null`.
  package init(_ value: Float) { self = value.isFinite ? .number(ByteString("\(value)")) : .null }

  package init(_ value: String) { self = .string(ByteString(value)) }

  package init(_ value: ByteString) { self = .string(value) }

  package init(_ values: [JSONValue]) { self = .array(values) }
}

extension JSONValue: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral,
  ExpressibleByFloatLiteral, ExpressibleByBooleanLiteral, ExpressibleByArrayLiteral,
  ExpressibleByDictionaryLiteral, ExpressibleByNilLiteral
{
  package init(stringLiteral value: String) { self.init(value) }
  package init(integerLiteral value: Int) { self.init(value) }
  package init(floatLiteral value: Double) { self.init(value) }
  package init(booleanLiteral value: Bool) { self = .bool(value) }
  package init(arrayLiteral elements: JSONValue...) { self = .array(elements) }
  package init(nilLiteral: ()) { self = .null }

  package init(dictionaryLiteral elements: (ByteString, JSONValue)...) {
    self = .object(elements.map { (key: $0.0, value: $0.1) })
  }
}

// MARK: - Reading

extension JSONValue {
  /// The value of the last member with this key, or nil where there is none or this is no object.
  package subscript(key: ByteString) -> JSONValue? {
    guard case .object(let members) = self else { return nil }
    return members.last { $0.key == key }?.value
  }

  package var isNull: Bool {
    if case .null = self { true } else { false }
  }

  package var bool: Bool? {
    if case .bool(let value) = self { value } else { nil }
  }

  package var byteString: ByteString? {
    if case .string(let value) = self { value } else { nil }
  }

  package var string: String? { byteString?.string }

  /// A number written as an integer, or one with a fraction or exponent whose value is an integer below 2^53.
  package var int: Int? {
    guard case .number(let digits) = self else { return nil }
    if let exact = Int(digits.string) { return exact }
    guard let value = double, value.magnitude < 0x1p53, value == value.rounded() else { return nil }
    return Int(value)
  }

  /// The nearest double; nil for what is no number or lies beyond the range of doubles.
  package var double: Double? {
    guard case .number(let digits) = self, let value = Double(digits.string) else { return nil }
    return value.isFinite ? value : nil
  }

  package var array: [JSONValue]? {
    if case .array(let values) = self { values } else { nil }
  }

  package var members: [(key: ByteString, value: JSONValue)]? {
    if case .object(let members) = self { members } else { nil }
  }
}

extension JSONValue: Equatable {
  /// Equal kinds, equal bytes, equal order; numbers are equal when written alike.
  package static func == (left: JSONValue, right: JSONValue) -> Bool {
    switch (left, right) {
    case (.null, .null): true
    case (.bool(let a), .bool(let b)): a == b
    case (.number(let a), .number(let b)), (.string(let a), .string(let b)): a == b
    case (.array(let a), .array(let b)): a == b
    case (.object(let a), .object(let b)):
      a.count == b.count && zip(a, b).allSatisfy { $0.key == $1.key && $0.value == $1.value }
    default: false
    }
  }
}
