import Formats

/// A part of a Jinja template.
indirect enum JinjaNode: Sendable {
  case text([UInt8])
  case output(JinjaExpression)
  /// The branches in order; the condition of `else` is true.
  case branches([(condition: JinjaExpression, body: [JinjaNode])])
  case loop(names: [String], over: JinjaExpression, where: JinjaExpression?, body: [JinjaNode])
  /// `attribute` is that of a namespace.
  case set(name: String, attribute: String?, JinjaExpression)
}

indirect enum JinjaExpression: Sendable {
  case constant(JinjaValue)
  case name(String)
  case list([JinjaExpression])
  case dictionary([(JinjaExpression, JinjaExpression)])
  case attribute(JinjaExpression, String)
  case item(JinjaExpression, JinjaExpression)
  case slice(JinjaExpression, JinjaExpression?, JinjaExpression?, JinjaExpression?)
  case call(JinjaExpression, [JinjaExpression], named: [(String, JinjaExpression)])
  case filter(JinjaExpression, String, [JinjaExpression])
  case test(JinjaExpression, String, isNegated: Bool)
  case not(JinjaExpression)
  case negative(JinjaExpression)
  case binary(String, JinjaExpression, JinjaExpression)
  case choice(JinjaExpression, if: JinjaExpression, else: JinjaExpression?)
}

/// Reads a template's text with Hugging Face's settings: `trim_blocks` and `lstrip_blocks`.
struct JinjaParser {
  private var pieces: ArraySlice<JinjaPiece>
  private var depth = 0

  /// Statements inside each other: far beyond any template's, and far from the end of the stack.
  private static let deepest = 64

  private init(pieces: ArraySlice<JinjaPiece>) { self.pieces = pieces }

  static func parse(_ source: ByteString) throws(RecordError) -> [JinjaNode] {
    var parser = JinjaParser(pieces: try JinjaPiece.split(source.bytes)[...])
    let nodes = try parser.nodes(until: [])
    return nodes
  }

  private static func failure(_ reason: String) -> RecordError {
    .template(reason: "the chat template cannot be rendered: \(reason)")
  }

  /// Everything up to a statement that begins with one of `ends`, which stays.
  private mutating func nodes(until ends: Set<String>) throws(RecordError) -> [JinjaNode] {
    depth += 1
    defer { depth -= 1 }
    guard depth <= Self.deepest else { throw Self.failure("its statements are too deep") }
    var nodes: [JinjaNode] = []
    while let piece = pieces.first {
      switch piece {
      case .text(let text):
        nodes.append(.text(text))
        pieces.removeFirst()
      case .output(let body):
        pieces.removeFirst()
        var reader = try JinjaExpressionReader(body)
        nodes.append(.output(try reader.whole()))
      case .statement(let body):
        var reader = try JinjaExpressionReader(body)
        let keyword = reader.word() ?? ""
        if ends.contains(keyword) { return nodes }
        pieces.removeFirst()
        if let node = try statement(keyword, &reader) { nodes.append(node) }
      }
    }
    guard ends.isEmpty else {
      throw Self.failure("'\(ends.sorted().joined(separator: "' or '"))' is missing")
    }
    return nodes
  }

  private mutating func statement(
    _ keyword: String, _ reader: inout JinjaExpressionReader
  ) throws(RecordError) -> JinjaNode? {
    switch keyword {
    case "if": return .branches(try branches(&reader))
    case "for":
      var names = [try reader.name()]
      while reader.takes(",") { names.append(try reader.name()) }
      try reader.expect("in")
      let list = try reader.expression(allowsChoice: false)
      let condition = reader.takes("if") ? try reader.expression() : nil
      try reader.end()
      let body = try nodes(until: ["endfor"])
      pieces.removeFirst()
      return .loop(names: names, over: list, where: condition, body: body)
    case "set":
      let name = try reader.name()
      let attribute = reader.takes(".") ? try reader.name() : nil
      try reader.expect("=")
      return .set(name: name, attribute: attribute, try reader.whole())
    // Marks what an assistant says; who said what is known here.
    case "generation", "endgeneration": return nil
    default: throw Self.failure("the statement '\(keyword)' is not supported; supported: for, if, set")
    }
  }

  private mutating func branches(
    _ reader: inout JinjaExpressionReader
  ) throws(RecordError) -> [(condition: JinjaExpression, body: [JinjaNode])] {
    var branches = [(condition: try reader.whole(), body: try nodes(until: ["elif", "else", "endif"]))]
    while case .statement(let body) = pieces.popFirst() {
      var next = try JinjaExpressionReader(body)
      switch next.word() {
      case "elif":
        branches.append((try next.whole(), try nodes(until: ["elif", "else", "endif"])))
      case "else":
        branches.append((.constant(.bool(true)), try nodes(until: ["endif"])))
      default: return branches
      }
    }
    return branches
  }
}

/// A stretch of a template's source.
enum JinjaPiece {
  case text([UInt8])
  case output([UInt8])
  case statement([UInt8])

  static func split(_ source: [UInt8]) throws(RecordError) -> [JinjaPiece] {
    var pieces: [JinjaPiece] = []
    // As Jinja: one line end at the very end of the template goes.
    var rest = source.last == 0x0A ? source.dropLast() : source[...]
    var trimsAll = false
    var beginsLine = true
    while true {
      let opening = rest.indices.dropLast().first { index in
        rest[index] == UInt8(ascii: "{") && "{%#".utf8.contains(rest[index + 1])
      }
      var text = rest[..<(opening ?? rest.endIndex)]
      if trimsAll { text = text.drop { isSpace($0) } }
      if let opening { text = trimmed(text, before: rest[opening...], beginsLine: beginsLine) }
      if !text.isEmpty { pieces.append(.text(Array(text))) }
      guard let opening else { return pieces }
      let kind = rest[opening + 1]
      guard let tag = tag(rest[opening...], closing: kind == UInt8(ascii: "{") ? UInt8(ascii: "}") : kind)
      else { throw .template(reason: "the chat template cannot be rendered: a tag does not end") }
      if kind == UInt8(ascii: "{") { pieces.append(.output(tag.body)) }
      if kind == UInt8(ascii: "%") { pieces.append(.statement(tag.body)) }
      rest = rest[tag.end...]
      trimsAll = tag.trims
      beginsLine = false
      if kind != UInt8(ascii: "{"), !trimsAll, rest.first == 0x0A {
        rest.removeFirst()
        beginsLine = true
      }
    }
  }

  private static func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || (0x09...0x0D).contains(byte) }

  /// The text before a tag: `{%-` takes all white space, `{%` at the start of a line the blanks there.
  private static func trimmed(
    _ text: ArraySlice<UInt8>, before tag: ArraySlice<UInt8>, beginsLine: Bool
  ) -> ArraySlice<UInt8> {
    let (kind, mark) = (tag[tag.startIndex + 1], tag.dropFirst(2).first)
    var text = text
    if mark == UInt8(ascii: "-") {
      while let last = text.last, isSpace(last) { text.removeLast() }
    } else if kind != UInt8(ascii: "{") && mark != UInt8(ascii: "+") {
      let blanks = text.reversed().prefix { $0 == 0x20 || $0 == 0x09 }.count
      let before = text.dropLast(blanks)
      if before.last == 0x0A || before.isEmpty && beginsLine { text = before }
    }
    return text
  }

  /// The inside of the tag that begins the text, where the rest begins, and whether it takes the space behind it.
  private static func tag(
    _ text: ArraySlice<UInt8>, closing: UInt8
  ) -> (body: [UInt8], end: Int, trims: Bool)? {
    var start = text.startIndex + 2
    if start < text.endIndex, text[start] == UInt8(ascii: "-") || text[start] == UInt8(ascii: "+") {
      start += 1
    }
    var quote: UInt8?
    var index = start
    while index + 1 < text.endIndex {
      let byte = text[index]
      if let open = quote {
        if byte == UInt8(ascii: "\\") { index += 1 } else if byte == open { quote = nil }
      } else if closing != UInt8(ascii: "#"), byte == UInt8(ascii: "'") || byte == UInt8(ascii: "\"") {
        quote = byte
      } else if byte == closing && text[index + 1] == UInt8(ascii: "}") {
        let trims = index > start && text[index - 1] == UInt8(ascii: "-")
        return (Array(text[start..<(trims ? index - 1 : index)]), index + 2, trims)
      }
      index += 1
    }
    return nil
  }
}

/// Reads the inside of one tag.
struct JinjaExpressionReader {
  private enum Token: Equatable {
    case word(String)
    case number(Int)
    case string([UInt8])
    case symbol(String)
  }

  private var tokens: ArraySlice<Token>

  /// Of one expression, whose tree is as deep as that at most.
  private static let mostTokens = 400

  init(_ body: [UInt8]) throws(RecordError) {
    tokens = try Self.tokens(body)[...]
    guard tokens.count <= Self.mostTokens else { throw Self.failure("an expression is too long") }
  }

  private static func failure(_ reason: String) -> RecordError {
    .template(reason: "the chat template cannot be rendered: \(reason)")
  }

  private static func tokens(_ body: [UInt8]) throws(RecordError) -> [Token] {
    var tokens: [Token] = []
    var index = 0
    func isWord(_ byte: UInt8) -> Bool {
      byte == UInt8(ascii: "_") || (byte | 0x20) &- 0x61 < 26 || byte &- 0x30 < 10
    }
    while index < body.count {
      let byte = body[index]
      if byte == 0x20 || (0x09...0x0D).contains(byte) {
        index += 1
      } else if byte == UInt8(ascii: "'") || byte == UInt8(ascii: "\"") {
        var text: [UInt8] = []
        index += 1
        while index < body.count && body[index] != byte {
          if body[index] == UInt8(ascii: "\\"), index + 1 < body.count {
            index += 1
            switch body[index] {
            case UInt8(ascii: "n"): text.append(0x0A)
            case UInt8(ascii: "t"): text.append(0x09)
            case UInt8(ascii: "r"): text.append(0x0D)
            case UInt8(ascii: "\\"), UInt8(ascii: "'"), UInt8(ascii: "\""): text.append(body[index])
            default: throw failure("a text has the escape '\\\(UnicodeScalar(body[index]))'")
            }
          } else {
            text.append(body[index])
          }
          index += 1
        }
        guard index < body.count else { throw failure("a text does not end") }
        index += 1
        tokens.append(.string(text))
      } else if isWord(byte) {
        let word = body[index...].prefix(while: isWord)
        index += word.count
        let text = String(decoding: word, as: UTF8.self)
        tokens.append(Int(text).map { .number($0) } ?? .word(text))
      } else {
        let two = String(decoding: body[index..<min(index + 2, body.count)], as: UTF8.self)
        let symbol = ["==", "!=", "<=", ">=", "//"].contains(two) ? two : String(UnicodeScalar(byte))
        tokens.append(.symbol(symbol))
        index += symbol.utf8.count
      }
    }
    return tokens
  }

  // MARK: Tokens

  mutating func word() -> String? {
    guard case .word(let word) = tokens.first else { return nil }
    tokens.removeFirst()
    return word
  }

  mutating func name() throws(RecordError) -> String {
    guard let word = word() else { throw Self.failure("a name is missing") }
    return word
  }

  /// Whether a symbol or word comes next; takes it.
  mutating func takes(_ text: String) -> Bool {
    guard tokens.first == .symbol(text) || tokens.first == .word(text) else { return false }
    tokens.removeFirst()
    return true
  }

  mutating func expect(_ text: String) throws(RecordError) {
    guard takes(text) else { throw Self.failure("'\(text)' is missing") }
  }

  func end() throws(RecordError) {
    guard tokens.isEmpty else { throw Self.failure("an expression goes on with \(tokens.first!)") }
  }

  // MARK: Expressions, from the loosest to the tightest

  mutating func whole() throws(RecordError) -> JinjaExpression {
    let result = try expression()
    try end()
    return result
  }

  mutating func expression(allowsChoice: Bool = true) throws(RecordError) -> JinjaExpression {
    var result = try disjunction()
    while allowsChoice && takes("if") {
      let condition = try disjunction()
      result = .choice(result, if: condition, else: takes("else") ? try expression() : nil)
    }
    return result
  }

  private mutating func disjunction() throws(RecordError) -> JinjaExpression {
    var result = try conjunction()
    while takes("or") { result = .binary("or", result, try conjunction()) }
    return result
  }

  private mutating func conjunction() throws(RecordError) -> JinjaExpression {
    var result = try negation()
    while takes("and") { result = .binary("and", result, try negation()) }
    return result
  }

  private mutating func negation() throws(RecordError) -> JinjaExpression {
    takes("not") ? .not(try negation()) : try comparison()
  }

  private mutating func comparison() throws(RecordError) -> JinjaExpression {
    var result = try sum()
    while true {
      if let symbol = ["==", "!=", "<=", ">=", "<", ">", "in"].first(where: { takes($0) }) {
        result = .binary(symbol, result, try sum())
      } else if tokens.first == .word("not"), tokens.dropFirst().first == .word("in") {
        tokens.removeFirst(2)
        result = .not(.binary("in", result, try sum()))
      } else {
        return result
      }
    }
  }

  private mutating func sum() throws(RecordError) -> JinjaExpression {
    var result = try product()
    while let symbol = ["+", "-", "~"].first(where: { takes($0) }) {
      result = .binary(symbol, result, try product())
    }
    return result
  }

  private mutating func product() throws(RecordError) -> JinjaExpression {
    var result = try unary()
    while let symbol = ["*", "//", "%"].first(where: { takes($0) }) {
      result = .binary(symbol, result, try unary())
    }
    return result
  }

  private mutating func unary() throws(RecordError) -> JinjaExpression {
    if takes("-") { return .negative(try unary()) }
    var result = try primary()
    while true {
      if takes(".") {
        result = .attribute(result, try name())
      } else if takes("[") {
        result = try subscripted(result)
      } else if takes("(") {
        let (arguments, named) = try self.arguments()
        result = .call(result, arguments, named: named)
      } else if takes("|") {
        let filter = try name()
        result = .filter(result, filter, takes("(") ? try arguments().0 : [])
      } else if takes("is") {
        let isNegated = takes("not")
        result = .test(result, try name(), isNegated: isNegated)
      } else {
        return result
      }
    }
  }

  private mutating func subscripted(_ value: JinjaExpression) throws(RecordError) -> JinjaExpression {
    var bounds: [JinjaExpression?] = []
    var colons = 0
    while !takes("]") {
      if takes(":") {
        colons += 1
        if bounds.count < colons { bounds.append(nil) }
      } else {
        bounds.append(try expression())
      }
    }
    if colons == 0, bounds.count == 1, let index = bounds[0] { return .item(value, index) }
    guard colons > 0, bounds.count <= colons + 1, colons <= 2 else {
      throw Self.failure("a subscript is empty")
    }
    while bounds.count < 3 { bounds.append(nil) }
    return .slice(value, bounds[0], bounds[1], bounds[2])
  }

  private mutating func arguments() throws(RecordError) -> ([JinjaExpression], [(String, JinjaExpression)]) {
    var arguments: [JinjaExpression] = []
    var named: [(String, JinjaExpression)] = []
    while !takes(")") {
      if case .word(let name) = tokens.first, tokens.dropFirst().first == .symbol("=") {
        tokens.removeFirst(2)
        named.append((name, try expression()))
      } else {
        arguments.append(try expression())
      }
      if !takes(",") {
        try expect(")")
        break
      }
    }
    return (arguments, named)
  }

  private mutating func primary() throws(RecordError) -> JinjaExpression {
    switch tokens.popFirst() {
    case .string(let text): return .constant(.text(JinjaText(text)))
    case .number(let number): return .constant(.number(number))
    case .word(let word):
      switch word {
      case "true", "True": return .constant(.bool(true))
      case "false", "False": return .constant(.bool(false))
      case "none", "None": return .constant(.none)
      default: return .name(word)
      }
    case .symbol("("):
      let inner = try expression()
      try expect(")")
      return inner
    case .symbol("["):
      var items: [JinjaExpression] = []
      while !takes("]") {
        items.append(try expression())
        if !takes(",") {
          try expect("]")
          break
        }
      }
      return .list(items)
    case .symbol("{"):
      var members: [(JinjaExpression, JinjaExpression)] = []
      while !takes("}") {
        let key = try expression()
        try expect(":")
        members.append((key, try expression()))
        if !takes(",") {
          try expect("}")
          break
        }
      }
      return .dictionary(members)
    default: throw Self.failure("an expression is incomplete")
    }
  }
}
