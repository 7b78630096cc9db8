import Formats

/// A Jinja template without what does not matter: which statements it has and which texts and variables it puts out.
/// It is for comparing with templates that are known, not for running.
enum JinjaSkeleton {
  enum Atom: Equatable {
    case literal(ByteString)
    /// `message['role']` is written `message.role`.
    case variable(String)
  }

  enum Node: Equatable {
    /// Without white space, with single quotes.
    case statement(String)
    case output([Atom])
  }

  /// The nodes of a template, or nil where it has something that is not looked into (filters, calls, comments).
  /// White space follows Hugging Face's settings: `trim_blocks` and `lstrip_blocks`.
  static func parse(_ source: [UInt8]) -> [Node]? {
    var nodes: [Node] = []
    var text = source[...]
    // As Jinja: one line end at the very end of the template goes.
    if text.last == 0x0A { text.removeLast() }
    var trimsNext = Trim.none
    while true {
      let opening = firstTag(text)
      var plain = text[..<(opening ?? text.endIndex)]
      let beginsLine = text.startIndex == 0 || trimsNext == .lineEnd && plain.first == 0x0A
      trimStart(&plain, trimsNext)
      if let opening { trimEnd(&plain, opening, text, beginsLine: beginsLine) }
      if !plain.isEmpty { append([.literal(ByteString(Array(plain)))], to: &nodes) }
      guard let opening else { return nodes }
      let isStatement = text[opening + 1] == UInt8(ascii: "%")
      guard let tag = tag(text[opening...], isStatement: isStatement) else { return nil }
      if isStatement {
        nodes.append(.statement(compact(tag.body)))
      } else {
        guard let atoms = atoms(tag.body) else { return nil }
        append(atoms, to: &nodes)
      }
      trimsNext = tag.trimsAfter ? .all : isStatement ? .lineEnd : .none
      text = text[tag.end...]
    }
  }

  private enum Trim { case none, lineEnd, all }

  /// Where the next `{{` or `{%` is. `{#` is not looked into.
  private static func firstTag(_ text: ArraySlice<UInt8>) -> Int? {
    text.indices.dropLast().first { index in
      text[index] == UInt8(ascii: "{")
        && (text[index + 1] == UInt8(ascii: "{") || text[index + 1] == UInt8(ascii: "%"))
    }
  }

  private static func trimStart(_ plain: inout ArraySlice<UInt8>, _ trim: Trim) {
    switch trim {
    case .none: break
    case .lineEnd: if plain.first == 0x0A { plain.removeFirst() }
    case .all: plain = plain.drop { isSpace($0) }
    }
  }

  /// `{%-` takes all white space before it; `{%` at the start of a line the blanks there.
  private static func trimEnd(
    _ plain: inout ArraySlice<UInt8>, _ opening: Int, _ text: ArraySlice<UInt8>, beginsLine: Bool
  ) {
    if opening + 2 < text.endIndex && text[opening + 2] == UInt8(ascii: "-") {
      while let last = plain.last, isSpace(last) { plain.removeLast() }
    } else if text[opening + 1] == UInt8(ascii: "%") {
      let blanks = plain.reversed().prefix { $0 == 0x20 || $0 == 0x09 }.count
      let before = plain.dropLast(blanks)
      if before.last == 0x0A || before.isEmpty && beginsLine { plain = before }
    }
  }

  private static func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || (0x09...0x0D).contains(byte) }

  /// The inside of the tag that begins the text, where the rest begins, and whether it takes the space behind it.
  private static func tag(
    _ text: ArraySlice<UInt8>, isStatement: Bool
  ) -> (body: ArraySlice<UInt8>, end: Int, trimsAfter: Bool)? {
    let close: UInt8 = isStatement ? UInt8(ascii: "%") : UInt8(ascii: "}")
    var start = text.startIndex + 2
    if start < text.endIndex && text[start] == UInt8(ascii: "-") { start += 1 }
    var quote: UInt8?
    var index = start
    while index + 1 < text.endIndex {
      let byte = text[index]
      if let open = quote {
        if byte == UInt8(ascii: "\\") { index += 1 } else if byte == open { quote = nil }
      } else if byte == UInt8(ascii: "'") || byte == UInt8(ascii: "\"") {
        quote = byte
      } else if byte == close && text[index + 1] == UInt8(ascii: "}") {
        let trims = index > start && text[index - 1] == UInt8(ascii: "-")
        return (text[start..<(trims ? index - 1 : index)], index + 2, trims)
      }
      index += 1
    }
    return nil
  }

  private static func append(_ atoms: [Atom], to nodes: inout [Node]) {
    var all: [Atom] = []
    if case .output(let before) = nodes.last {
      all = before
      nodes.removeLast()
    }
    for atom in atoms {
      if case .literal(let text) = atom, case .literal(let before) = all.last {
        all[all.count - 1] = .literal(ByteString(before.bytes + text.bytes))
      } else {
        all.append(atom)
      }
    }
    nodes.append(.output(all))
  }

  /// A statement or variable without white space outside of quotes, with `['key']` as `.key`.
  private static func compact(_ body: ArraySlice<UInt8>) -> String {
    var result: [UInt8] = []
    var quote: UInt8?
    for byte in body {
      if let open = quote {
        result.append(byte == open ? UInt8(ascii: "'") : byte)
        if byte == open { quote = nil }
      } else if byte == UInt8(ascii: "'") || byte == UInt8(ascii: "\"") {
        quote = byte
        result.append(UInt8(ascii: "'"))
      } else if !isSpace(byte) {
        result.append(byte)
      }
    }
    var text = String(decoding: result, as: UTF8.self)
    for key in ["role", "content"] { text = text.replacing("['\(key)']", with: ".\(key)") }
    return text
  }

  /// The parts of `'text' + variable + ...`, or nil where there is anything else.
  private static func atoms(_ body: ArraySlice<UInt8>) -> [Atom]? {
    var atoms: [Atom] = []
    for part in split(body) {
      let trimmed = part.drop { isSpace($0) }.reversed().drop { isSpace($0) }.reversed()
      guard let first = trimmed.first else { return nil }
      if first == UInt8(ascii: "'") || first == UInt8(ascii: "\"") {
        guard let text = literal(Array(trimmed)) else { return nil }
        atoms.append(.literal(text))
      } else {
        let name = compact(ArraySlice(trimmed))
        guard name.allSatisfy({ $0.isLetter || $0.isNumber || $0 == "_" || $0 == "." }) else { return nil }
        atoms.append(.variable(name))
      }
    }
    return atoms
  }

  /// The operands of `+`, outside of quotes.
  private static func split(_ body: ArraySlice<UInt8>) -> [ArraySlice<UInt8>] {
    var parts: [ArraySlice<UInt8>] = []
    var quote: UInt8?
    var start = body.startIndex
    var index = start
    while index < body.endIndex {
      let byte = body[index]
      if let open = quote {
        if byte == UInt8(ascii: "\\") { index += 1 } else if byte == open { quote = nil }
      } else if byte == UInt8(ascii: "'") || byte == UInt8(ascii: "\"") {
        quote = byte
      } else if byte == UInt8(ascii: "+") {
        parts.append(body[start..<index])
        start = index + 1
      }
      index += 1
    }
    return parts + [body[start...]]
  }

  /// What a literal in quotes stands for, or nil where something follows its closing quote.
  private static func literal(_ quoted: [UInt8]) -> ByteString? {
    guard quoted.count >= 2, let quote = quoted.first, quoted.last == quote else { return nil }
    var result: [UInt8] = []
    var index = 1
    while index < quoted.count - 1 {
      let byte = quoted[index]
      if byte == quote { return nil }
      if byte == UInt8(ascii: "\\") {
        index += 1
        guard index < quoted.count - 1 else { return nil }
        switch quoted[index] {
        case UInt8(ascii: "n"): result.append(0x0A)
        case UInt8(ascii: "t"): result.append(0x09)
        case UInt8(ascii: "r"): result.append(0x0D)
        case UInt8(ascii: "\\"), UInt8(ascii: "'"), UInt8(ascii: "\""): result.append(quoted[index])
        default: return nil
        }
      } else {
        result.append(byte)
      }
      index += 1
    }
    return ByteString(result)
  }
}
