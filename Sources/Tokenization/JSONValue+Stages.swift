import Formats

/// What reading tokenizer.json needs again and again.
extension JSONValue {
  func stageType(_ stage: String) throws -> String {
    guard let type = self["type"]?.string else { throw StageError.malformed("a \(stage) has no 'type'") }
    return type
  }

  func require(_ key: ByteString) throws -> JSONValue {
    guard let value = self[key] else { throw StageError.malformed("'\(key)' is missing") }
    return value
  }

  func requireBytes(_ key: ByteString) throws -> [UInt8] {
    guard let text = self[key]?.byteString else { throw StageError.malformed("'\(key)' is no string") }
    return text.bytes
  }

  func elements() throws -> [JSONValue] {
    guard let array else { throw StageError.malformed("a list is expected, not another value") }
    return array
  }

  /// The literal of `{"pattern": {"String": ...}}`. A regular expression is refused by name.
  func requirePattern(_ owner: String) throws -> [UInt8] {
    let pattern = try require("pattern")
    if let literal = pattern["String"]?.byteString { return literal.bytes }
    let expression = pattern["Regex"]?.string ?? "?"
    throw StageError.unsupported("\(owner) with pattern '\(expression)'", supported: ["plain strings"])
  }

  /// A token id that fits.
  func requireID(_ what: @autoclosure () -> String) throws -> Int32 {
    guard let number = int, let id = Int32(exactly: number), id >= 0 else {
      throw StageError.malformed("the id of \(what()) is not a whole number of 31 bits")
    }
    return id
  }
}
