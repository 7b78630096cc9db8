import Formats

/// Text whose bytes know whether the assistant said them: a byte, and bit 8 where it did. Whatever a template does to a
/// content (trimming, cutting), the mark stays on what is left of it.
struct JinjaText: Sendable, Equatable {
  var units: [UInt16]

  static let mark: UInt16 = 0x100

  init(_ bytes: some Sequence<UInt8>, isMarked: Bool = false) {
    units = bytes.map { UInt16($0) | (isMarked ? Self.mark : 0) }
  }

  init(units: some Sequence<UInt16>) { self.units = Array(units) }

  var bytes: [UInt8] { units.map { UInt8(truncatingIfNeeded: $0) } }

  /// Marks do not count.
  static func == (a: JinjaText, b: JinjaText) -> Bool { a.bytes == b.bytes }
}

enum JinjaValue: Sendable {
  case undefined
  case none
  case bool(Bool)
  case number(Int)
  case text(JinjaText)
  case list([JinjaValue])
  case object([(key: String, value: JinjaValue)])
  /// A namespace, by its place among those of the rendering.
  case namespace(Int)

  var isTrue: Bool {
    switch self {
    case .undefined, .none: false
    case .bool(let value): value
    case .number(let value): value != 0
    case .text(let text): !text.units.isEmpty
    case .list(let values): !values.isEmpty
    case .object(let members): !members.isEmpty
    case .namespace: true
    }
  }

  func equals(_ other: JinjaValue) -> Bool {
    switch (self, other) {
    case (.undefined, .undefined), (.none, .none): true
    case (.bool(let a), .bool(let b)): a == b
    case (.number(let a), .number(let b)): a == b
    case (.text(let a), .text(let b)): a == b
    case (.list(let a), .list(let b)): a.count == b.count && zip(a, b).allSatisfy { $0.equals($1) }
    default: false
    }
  }

  func member(_ key: String) -> JinjaValue {
    guard case .object(let members) = self else { return .undefined }
    return members.last { $0.key == key }?.value ?? .undefined
  }
}

/// Renders a template: the statements and the part of its expressions that chat templates use.
struct JinjaRenderer {
  private(set) var output: [UInt16] = []
  private var scopes: [[String: JinjaValue]]
  private var namespaces: [[String: JinjaValue]] = []
  private var steps = 0

  /// Far beyond what a conversation takes: a template that needs more is broken, or meant to do harm.
  private static let most = (steps: 4_000_000, units: 256 << 20, items: 1_000_000)

  init(globals: [String: JinjaValue]) { scopes = [globals] }

  private func failure(_ reason: String) -> RecordError {
    .template(reason: "the chat template cannot be rendered: \(reason)")
  }

  // MARK: Statements

  mutating func render(_ nodes: [JinjaNode]) throws(RecordError) {
    for node in nodes {
      guard output.count <= Self.most.units else { throw failure("its output is too long") }
      switch node {
      case .text(let text): output += text.map { UInt16($0) }
      case .output(let expression): output += try text(of: try value(expression)).units
      case .branches(let branches):
        for branch in branches where try value(branch.condition).isTrue {
          try render(branch.body)
          break
        }
      case .loop(let names, let list, let condition, let body):
        try loop(names, over: try value(list), where: condition, body)
      case .set(let name, let attribute, let expression): try set(name, attribute, try value(expression))
      }
    }
  }

  private mutating func set(_ name: String, _ attribute: String?, _ value: JinjaValue) throws(RecordError) {
    guard let attribute else {
      scopes[scopes.count - 1][name] = value
      return
    }
    guard case .namespace(let place) = variable(name) else { throw failure("'\(name)' is no namespace") }
    namespaces[place][attribute] = value
  }

  private mutating func loop(
    _ names: [String], over list: JinjaValue, where condition: JinjaExpression?, _ body: [JinjaNode]
  ) throws(RecordError) {
    let all: [JinjaValue]
    switch list {
    case .list(let values): all = values
    case .object(let members): all = members.map { .text(JinjaText($0.key.utf8)) }
    case .undefined, .none: all = []
    default: throw failure("a loop runs over what is no list")
    }
    scopes.append([:])
    defer { scopes.removeLast() }
    var kept: [JinjaValue] = []
    for item in all {
      try bind(names, item)
      if try condition.map({ expression throws(RecordError) in try value(expression).isTrue }) ?? true {
        kept.append(item)
      }
    }
    for (index, item) in kept.enumerated() {
      scopes[scopes.count - 1] = [
        "loop": .object([
          ("index", .number(index + 1)), ("index0", .number(index)), ("first", .bool(index == 0)),
          ("last", .bool(index == kept.count - 1)), ("length", .number(kept.count)),
          ("revindex", .number(kept.count - index)),
          ("previtem", index > 0 ? kept[index - 1] : .undefined),
          ("nextitem", index + 1 < kept.count ? kept[index + 1] : .undefined),
        ])
      ]
      try bind(names, item)
      try render(body)
    }
  }

  private mutating func bind(_ names: [String], _ item: JinjaValue) throws(RecordError) {
    if names.count == 1 {
      scopes[scopes.count - 1][names[0]] = item
      return
    }
    guard case .list(let parts) = item, parts.count == names.count else {
      throw failure("a loop's items are no \(names.count) values")
    }
    for (name, part) in zip(names, parts) { scopes[scopes.count - 1][name] = part }
  }

  private func variable(_ name: String) -> JinjaValue {
    scopes.last { $0[name] != nil }?[name] ?? .undefined
  }

  private func text(of value: JinjaValue) throws(RecordError) -> JinjaText {
    switch value {
    case .text(let text): return text
    case .undefined: return JinjaText([])
    case .none: return JinjaText("None".utf8)
    case .bool(let value): return JinjaText((value ? "True" : "False").utf8)
    case .number(let value): return JinjaText(String(value).utf8)
    default: throw failure("a list or an object is put out")
    }
  }

  // MARK: Expressions

  private mutating func value(_ expression: JinjaExpression) throws(RecordError) -> JinjaValue {
    steps += 1
    guard steps <= Self.most.steps else { throw failure("it takes too many steps") }
    switch expression {
    case .constant(let value): return value
    case .name(let name): return variable(name)
    case .list(let items): return .list(try values(items))
    case .dictionary(let members):
      var object: [(key: String, value: JinjaValue)] = []
      for (key, item) in members {
        let key = String(decoding: try text(of: try value(key)).bytes, as: UTF8.self)
        object.append((key, try value(item)))
      }
      return .object(object)
    case .attribute(let base, let name): return try member(name, of: try value(base))
    case .item(let base, let index): return try item(try value(index), of: try value(base))
    case .slice(let base, let start, let stop, let step):
      return try slice(try value(base), try bound(start), try bound(stop), try bound(step))
    case .call(let function, let arguments, let named): return try call(function, arguments, named)
    case .filter(let base, let name, let arguments):
      return try filter(try value(base), name, try values(arguments))
    case .test(let base, let name, let isNegated):
      return .bool(try test(try value(base), name) != isNegated)
    case .not(let inner): return .bool(!(try value(inner).isTrue))
    case .negative(let inner):
      guard case .number(let number) = try value(inner) else {
        throw failure("minus before what is no number")
      }
      return .number(0 &- number)
    case .binary(let operation, let left, let right): return try binary(operation, left, right)
    case .choice(let yes, let condition, let no):
      if try value(condition).isTrue { return try value(yes) }
      guard let no else { return .undefined }
      return try value(no)
    }
  }

  private mutating func values(_ expressions: [JinjaExpression]) throws(RecordError) -> [JinjaValue] {
    var values: [JinjaValue] = []
    for expression in expressions { values.append(try value(expression)) }
    return values
  }

  private mutating func binary(
    _ operation: String, _ left: JinjaExpression, _ right: JinjaExpression
  ) throws(RecordError) -> JinjaValue {
    let a = try value(left)
    if operation == "and" { return a.isTrue ? try value(right) : a }
    if operation == "or" { return a.isTrue ? a : try value(right) }
    let b = try value(right)
    switch (operation, a, b) {
    case ("==", _, _): return .bool(a.equals(b))
    case ("!=", _, _): return .bool(!a.equals(b))
    case ("in", _, .list(let items)): return .bool(items.contains { $0.equals(a) })
    case ("in", .text(let key), .object(let members)):
      return .bool(members.contains { Array($0.key.utf8) == key.bytes })
    case ("in", .text(let needle), .text(let text)):
      return .bool(needle.units.isEmpty || find(needle.bytes, in: text.bytes, from: 0) != nil)
    case ("in", _, .undefined), ("in", _, .none): return .bool(false)
    case ("~", _, _): return .text(try joined(try text(of: a), try text(of: b)))
    case ("+", .text(let x), .text(let y)): return .text(try joined(x, y))
    case ("+", .list(let x), .list(let y)):
      guard x.count + y.count <= Self.most.items else { throw failure("a list is too long") }
      return .list(x + y)
    case (_, .number(let x), .number(let y)): return try arithmetic(operation, x, y)
    default: throw failure("'\(operation)' between values that it does not know")
    }
  }

  private func joined(_ a: JinjaText, _ b: JinjaText) throws(RecordError) -> JinjaText {
    guard a.units.count + b.units.count <= Self.most.units else { throw failure("a text is too long") }
    return JinjaText(units: a.units + b.units)
  }

  private func arithmetic(_ operation: String, _ x: Int, _ y: Int) throws(RecordError) -> JinjaValue {
    switch operation {
    case "+": return .number(x &+ y)
    case "-": return .number(x &- y)
    case "*": return .number(x &* y)
    case "<": return .bool(x < y)
    case ">": return .bool(x > y)
    case "<=": return .bool(x <= y)
    case ">=": return .bool(x >= y)
    case "%" where y > 0: return .number(x % y < 0 ? x % y + y : x % y)
    case "//" where y > 0: return .number(x % y < 0 ? x / y - 1 : x / y)
    default: throw failure("'\(operation)' of \(x) and \(y)")
    }
  }

  // MARK: Parts of values

  private func member(_ name: String, of base: JinjaValue) throws(RecordError) -> JinjaValue {
    switch base {
    case .namespace(let place): return namespaces[place][name] ?? .undefined
    case .undefined: throw failure("'.\(name)' of what is not defined")
    default: return base.member(name)
    }
  }

  private func item(_ index: JinjaValue, of base: JinjaValue) throws(RecordError) -> JinjaValue {
    switch (base, index) {
    case (_, .text(let key)): return try member(String(decoding: key.bytes, as: UTF8.self), of: base)
    case (.list(let values), .number(let place)):
      let place = place < 0 ? place + values.count : place
      return values.indices.contains(place) ? values[place] : .undefined
    case (.text(let text), .number(let place)):
      let place = place < 0 ? place + text.units.count : place
      return text.units.indices.contains(place) ? .text(JinjaText(units: [text.units[place]])) : .undefined
    default: throw failure("a subscript of what has no items")
    }
  }

  private mutating func bound(_ expression: JinjaExpression?) throws(RecordError) -> Int? {
    guard let expression else { return nil }
    guard case .number(let number) = try value(expression) else {
      throw failure("a slice by what is no number")
    }
    return number
  }

  private func slice(
    _ base: JinjaValue, _ start: Int?, _ stop: Int?, _ step: Int?
  ) throws(RecordError) -> JinjaValue {
    func cut<T>(_ items: [T]) throws(RecordError) -> [T] {
      if step == -1, start == nil, stop == nil { return items.reversed() }
      guard step == nil || step == 1 else { throw failure("a slice with the step \(step ?? 1)") }
      func place(_ index: Int) -> Int { max(0, min(items.count, index < 0 ? index + items.count : index)) }
      let (first, last) = (place(start ?? 0), place(stop ?? items.count))
      return first < last ? Array(items[first..<last]) : []
    }
    switch base {
    case .list(let values): return .list(try cut(values))
    case .text(let text): return .text(JinjaText(units: try cut(text.units)))
    default: throw failure("a slice of what is no list")
    }
  }

  private func find(_ needle: [UInt8], in text: [UInt8], from start: Int) -> Int? {
    guard !needle.isEmpty, text.count >= needle.count, start <= text.count - needle.count else { return nil }
    return (start...text.count - needle.count).first { text[$0..<$0 + needle.count].elementsEqual(needle) }
  }

  // MARK: Functions, filters and tests

  private mutating func call(
    _ function: JinjaExpression, _ arguments: [JinjaExpression], _ named: [(String, JinjaExpression)]
  ) throws(RecordError) -> JinjaValue {
    switch function {
    case .name("raise_exception"):
      let reason = try values(arguments).first ?? .undefined
      throw .template(
        reason: "the chat template refuses the conversation: "
          + String(decoding: try text(of: reason).bytes, as: UTF8.self))
    case .name("namespace"):
      var members: [String: JinjaValue] = [:]
      for (name, expression) in named { members[name] = try value(expression) }
      namespaces.append(members)
      return .namespace(namespaces.count - 1)
    case .name("range"):
      let bounds = try values(arguments)
      if bounds.count == 1, case .number(let end) = bounds[0] { return try range(0, end) }
      if bounds.count == 2, case .number(let first) = bounds[0], case .number(let end) = bounds[1] {
        return try range(first, end)
      }
      throw failure("range of what it does not know")
    case .attribute(let base, let method):
      return try self.method(method, of: try value(base), try values(arguments))
    case .name(let name): throw failure("the function '\(name)' is not supported")
    default: throw failure("a call of what is no function")
    }
  }

  private func range(_ first: Int, _ end: Int) throws(RecordError) -> JinjaValue {
    guard end <= first || end.subtractingReportingOverflow(first).partialValue <= Self.most.items,
      first > Int.min / 2
    else { throw failure("a range is too long") }
    return .list((first..<max(first, end)).map { .number($0) })
  }

  private func method(
    _ name: String, of base: JinjaValue, _ arguments: [JinjaValue]
  ) throws(RecordError) -> JinjaValue {
    if case .object(let members) = base {
      switch name {
      case "items": return .list(members.map { .list([.text(JinjaText($0.key.utf8)), $0.value]) })
      case "get":
        let key = String(decoding: try text(of: arguments.first ?? .undefined).bytes, as: UTF8.self)
        if case .undefined = base.member(key) { return arguments.count > 1 ? arguments[1] : .none }
        return base.member(key)
      default: throw failure("the method '\(name)' is not supported")
      }
    }
    guard case .text(let text) = base else { throw failure("the method '\(name)' of what is no text") }
    let argument = try arguments.first.map { value throws(RecordError) in try self.text(of: value).bytes }
    switch name {
    case "strip": return .text(Self.stripped(text, argument))
    case "lstrip": return .text(Self.stripped(text, argument, right: false))
    case "rstrip": return .text(Self.stripped(text, argument, left: false))
    case "startswith": return .bool(text.bytes.starts(with: argument ?? []))
    case "endswith": return .bool(text.bytes.reversed().starts(with: (argument ?? []).reversed()))
    case "upper", "lower", "capitalize": return try filter(base, name, [])
    case "split":
      guard let argument, !argument.isEmpty, arguments.count == 1 else {
        throw failure("split without a text to split at")
      }
      return .list(split(text, argument).map { .text($0) })
    case "replace":
      guard arguments.count == 2, let argument else {
        throw failure("replace with \(arguments.count) arguments")
      }
      guard !argument.isEmpty else { throw failure("replace of an empty text") }
      let parts = split(text, argument)
      let other = try self.text(of: arguments[1]).units
      guard text.units.count + parts.count * other.count <= Self.most.units else {
        throw failure("a text is too long")
      }
      return .text(JinjaText(units: Array(parts.map(\.units).joined(separator: other))))
    default: throw failure("the method '\(name)' is not supported")
    }
  }

  private func split(_ text: JinjaText, _ separator: [UInt8]) -> [JinjaText] {
    var parts: [JinjaText] = []
    var start = 0
    let bytes = text.bytes
    while let place = find(separator, in: bytes, from: start) {
      parts.append(JinjaText(units: text.units[start..<place]))
      start = place + separator.count
    }
    return parts + [JinjaText(units: text.units[start...])]
  }

  /// Without white space at the ends, or without the given bytes.
  private static func stripped(
    _ text: JinjaText, _ bytes: [UInt8]? = nil, left: Bool = true, right: Bool = true
  ) -> JinjaText {
    func goes(_ unit: UInt16) -> Bool {
      let byte = UInt8(truncatingIfNeeded: unit)
      return bytes?.contains(byte)
        ?? (byte == 0x20 || (0x09...0x0D).contains(byte) || (0x1C...0x1F).contains(byte))
    }
    var units = text.units[...]
    if left { units = units.drop(while: goes) }
    while right, let last = units.last, goes(last) { units.removeLast() }
    return JinjaText(units: units)
  }

  private func filter(
    _ base: JinjaValue, _ name: String, _ arguments: [JinjaValue]
  ) throws(RecordError) -> JinjaValue {
    switch (name, base) {
    case ("trim", _): return .text(Self.stripped(try text(of: base)))
    case ("length", .list(let values)), ("count", .list(let values)): return .number(values.count)
    case ("length", .text(let text)), ("count", .text(let text)):
      return .number(text.bytes.count { $0 & 0xC0 != 0x80 })
    case ("length", .object(let members)): return .number(members.count)
    case ("string", _): return .text(try text(of: base))
    case ("list", .list), ("safe", _): return base
    case ("first", .list(let values)): return values.first ?? .undefined
    case ("last", .list(let values)): return values.last ?? .undefined
    case ("default", .undefined), ("d", .undefined): return arguments.first ?? .text(JinjaText([]))
    case ("default", _), ("d", _): return base
    case ("upper", .text(let text)): return .text(Self.mapped(text, from: 0x61, to: 0x41))
    case ("lower", .text(let text)): return .text(Self.mapped(text, from: 0x41, to: 0x61))
    case ("capitalize", .text(let text)):
      let lower = Self.mapped(text, from: 0x41, to: 0x61).units
      return .text(
        JinjaText(
          units: Self.mapped(JinjaText(units: lower.prefix(1)), from: 0x61, to: 0x41).units
            + lower.dropFirst()))
    case ("join", .list(let values)):
      let separator = try text(of: arguments.first ?? .undefined).units
      var units: [UInt16] = []
      for (index, value) in values.enumerated() {
        units += (index > 0 ? separator : []) + (try text(of: value).units)
      }
      return .text(JinjaText(units: units))
    default: throw failure("the filter '\(name)' is not supported for this value")
    }
  }

  /// ASCII letters from one case to the other.
  private static func mapped(_ text: JinjaText, from: UInt8, to: UInt8) -> JinjaText {
    JinjaText(
      units: text.units.map { unit in
        let byte = UInt8(truncatingIfNeeded: unit)
        return byte &- from < 26 ? unit & JinjaText.mark | UInt16(byte - from + to) : unit
      })
  }

  private func test(_ value: JinjaValue, _ name: String) throws(RecordError) -> Bool {
    switch (name, value) {
    case ("defined", .undefined), ("undefined", _): return name == "undefined" ? isUndefined(value) : false
    case ("defined", _): return true
    case ("none", .none): return true
    case ("string", .text), ("number", .number), ("boolean", .bool), ("mapping", .object): return true
    case ("iterable", .list), ("iterable", .text), ("iterable", .object), ("sequence", .list),
      ("sequence", .text):
      return true
    case ("true", .bool(let value)): return value
    case ("false", .bool(let value)): return !value
    case ("none", _), ("string", _), ("number", _), ("boolean", _), ("mapping", _), ("iterable", _),
      ("sequence", _),
      ("true", _), ("false", _):
      return false
    default: throw failure("the test '\(name)' is not supported")
    }
  }

  private func isUndefined(_ value: JinjaValue) -> Bool { if case .undefined = value { true } else { false } }
}
