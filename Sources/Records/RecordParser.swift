import Formats

/// Turns one line into a record. Ids are not compared here; a missing one is made from the text.
package struct RecordParser: Sendable {
  package let options: RecordOptions

  package init(_ options: RecordOptions = RecordOptions()) { self.options = options }

  /// Parses the line `line` of `file`; throws `badLine` where it is no usable record.
  package func parse(_ bytes: [UInt8], file: String, line: Int) throws(RecordError) -> Record {
    func failure(_ reason: String) -> RecordError { .badLine(file: file, line: line, reason: reason) }
    guard let first = bytes.first(where: { ![0x20, 0x09, 0x0D].contains($0) }) else {
      throw failure("the line is blank")
    }
    guard first == UInt8(ascii: "{") else { throw failure("the line is no JSON object") }
    let json: JSONValue
    do { json = try JSONValue.parse(bytes) } catch { throw failure(error.description) }
    return try record(json, file: file, line: line)
  }

  /// The record of a line that is parsed already.
  package func record(_ json: JSONValue, file: String, line: Int) throws(RecordError) -> Record {
    do throws(Complaint) {
      guard json.members != nil else { throw Complaint("the line is no JSON object") }
      let (shape, content) = try content(of: json)
      let id = try id(of: json)
      var record = Record(
        id: id ?? "", hasGivenID: id != nil, source: try source(of: json), shape: shape, content: content,
        file: file, line: line)
      if record.parts.allSatisfy(\.isBlank) {
        throw Complaint(
          "the text is empty" + (record.parts.allSatisfy(\.isEmpty) ? "" : ": white space alone"))
      }
      if id == nil { record.id = Self.madeID(of: record.text) }
      return record
    } catch {
      throw .badLine(file: file, line: line, reason: error.reason)
    }
  }

  /// The first 16 hexadecimal digits of the text's SHA-256.
  package static func madeID(of text: ByteString) -> ByteString {
    ByteString(String(FileHash.sha256(text.bytes).prefix(16)))
  }

  private struct Complaint: Error {
    let reason: String
    init(_ reason: String) { self.reason = reason }
  }

  // MARK: Fields

  /// The value a dot path leads to. A key that has the dots itself comes first.
  private func value(_ path: String, in json: JSONValue) -> JSONValue? {
    if let value = json[ByteString(path)] { return value.isNull ? .none : value }
    var value = json
    for key in path.split(separator: ".", omittingEmptySubsequences: false) {
      guard let next = value[ByteString(String(key))] else { return nil }
      value = next
    }
    return value.isNull ? .none : value
  }

  private func id(of json: JSONValue) throws(Complaint) -> ByteString? {
    guard let value = value(options.idField, in: json) else { return nil }
    switch value {
    case .string(let text), .number(let text): return text
    default: throw Complaint("'\(options.idField)' is neither a string nor a number")
    }
  }

  private func source(of json: JSONValue) throws(Complaint) -> ByteString? {
    guard let value = value(options.sourceField, in: json) else { return nil }
    switch value {
    case .string(let text), .number(let text): return text
    default: throw Complaint("'\(options.sourceField)' is neither a string nor a number")
    }
  }

  private func string(_ key: String, in json: JSONValue) throws(Complaint) -> ByteString {
    guard let value = value(key, in: json) else { throw Complaint("'\(key)' is missing") }
    guard let text = value.byteString else { throw Complaint("'\(key)' is no string") }
    return text
  }

  // MARK: Shapes

  private func content(of json: JSONValue) throws(Complaint) -> (RecordShape, Record.Content) {
    if let field = options.textField { return (.text, .text(try string(field, in: json))) }
    func has(_ key: ByteString) -> Bool { json[key].map { !$0.isNull } ?? false }
    if has("text") { return (.text, .text(try string("text", in: json))) }
    if has("messages") { return (.messages, .messages(try messages(of: json))) }
    if has("prompt") {
      let prompt = try string("prompt", in: json)
      return (.exchange, .exchange(prompt: prompt, completion: try string("completion", in: json)))
    }
    if has("instruction") { return (.instruction, try instruction(json)) }
    throw Complaint(
      "the record has none of 'text', 'messages', 'prompt' and 'completion', 'instruction' and 'output'"
        + " (--text-field names another key)")
  }

  private func instruction(_ json: JSONValue) throws(Complaint) -> Record.Content {
    var prompt = try string("instruction", in: json)
    if value("input", in: json) != nil {
      let input = try string("input", in: json)
      if !input.isEmpty { prompt.bytes += [0x0A] + input.bytes }
    }
    return .exchange(prompt: prompt, completion: try string("output", in: json))
  }

  private func messages(of json: JSONValue) throws(Complaint) -> [Message] {
    guard let list = json["messages"]?.array else { throw Complaint("'messages' is no list") }
    var messages: [Message] = []
    for (index, entry) in list.enumerated() {
      guard let role = entry["role"]?.byteString else {
        throw Complaint("message \(index + 1) has no 'role' that is a string")
      }
      guard let content = entry["content"]?.byteString else {
        throw Complaint("message \(index + 1) has no 'content' that is a string")
      }
      messages.append(Message(role: role, content: content))
    }
    return messages
  }
}

extension ByteString {
  /// Whether nothing but white space (as Unicode has it) is in it, which is valid UTF-8, as strings of JSON are.
  fileprivate var isBlank: Bool {
    var decoder = UTF8()
    var rest = bytes.makeIterator()
    while case .scalarValue(let scalar) = decoder.decode(&rest) {
      if !scalar.properties.isWhitespace { return false }
    }
    return true
  }
}
