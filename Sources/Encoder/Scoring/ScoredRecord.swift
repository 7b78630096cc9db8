import Formats
import Records

/// A line of `alinfik score`: what was said of a record, and the record when it is asked for.
package struct ScoredRecord: Sendable {
  package let file: String
  package let line: Int
  /// The line's members, and its bytes without their end.
  package let scanner: JSONObjectScanner
  /// In label units, finite; nil where the line was marked with `alinfik_error` instead.
  package let score: Double?
  /// `alinfik_error`.
  package let error: String?
  /// `alinfik_low` and `alinfik_high`; nil where the valuator has no intervals.
  package let interval: (low: Double, high: Double)?
  /// Nil where it could not be told, or was not asked.
  package let isOutside: Bool?
  /// Nil where it is not said.
  package let tokens: Int?
  package let isTruncated: Bool
  /// `alinfik_valuator`; nil where it is not said.
  package let origin: ScoreOrigin?
  private let parser: RecordParser

  package var bytes: [UInt8] { scanner.bytes }

  /// The record, parsed now. Throws `RecordError.badLine` where it has no text.
  package func record() throws(RecordError) -> Record {
    do { return try parser.parse(bytes, file: file, line: line) } catch {
      guard isSidecar else { throw error }
      throw failure(
        "it has a score and no text, as `score --sidecar` writes it; put it together with its record (docs/formats.md)"
      )
    }
  }

  /// Whether the line has an id and what was said of it, and nothing else.
  private var isSidecar: Bool {
    let id = ByteString(parser.options.idField)
    return score != nil
      && scanner.members.allSatisfy { $0.key == id || $0.key.bytes.starts(with: ScoreKeys.prefix) }
  }

  /// The error that names this line.
  package func failure(_ reason: String) -> RecordError { .badLine(file: file, line: line, reason: reason) }
}

extension ScoredRecord {
  /// The largest magnitude of a score or an end of its interval: beyond it sums of rows mean nothing.
  private static let greatestScore = 1e30

  /// What the keys of ours say of one line. Throws `RecordError.badLine` where it is no JSON object, has neither a score that is a
  /// finite number nor an error, or a number that is out of reason.
  package init(
    _ bytes: [UInt8], file: String, line: Int, parser: RecordParser
  ) throws(RecordError) {
    func failure(_ reason: String) -> RecordError { .badLine(file: file, line: line, reason: reason) }
    if bytes.isEmpty { throw failure("the line is blank") }
    let scanner: JSONObjectScanner
    do { scanner = try JSONObjectScanner(bytes) } catch {
      throw failure(Self.namesNaN(bytes, at: error.offset) ? Self.notANumber : error.description)
    }
    var keys = ScoreKeys()
    for member in scanner.members where member.key.bytes.starts(with: ScoreKeys.prefix) {
      guard !keys.read(member, of: bytes) else { continue }
      let value = String(decoding: bytes[member.valueRange].prefix(40), as: UTF8.self)
      throw failure(
        "\(member.key) is \(value), which is not what `alinfik score` writes; score the record again")
    }
    (self.file, self.line, self.scanner, self.parser) = (file, line, scanner, parser)
    error = keys.error
    if error != nil, keys.score != nil {
      throw failure("it has both an alinfik_score and an alinfik_error; score the record again")
    }
    if error == nil {
      guard let value = keys.score else {
        throw failure("it has no alinfik_score; `alinfik score VALUATOR \(file)` adds one")
      }
      guard let score = value.double else { throw failure(Self.notANumber) }
      self.score = score
    } else {
      score = nil
    }
    interval = keys.low.flatMap { low in keys.high.map { (low, $0) } }
    isOutside = keys.isOutside
    tokens = keys.tokens
    isTruncated = keys.isTruncated
    origin = keys.origin
    if let interval, !(interval.low <= interval.high) {
      throw failure("alinfik_low \(interval.low) is above alinfik_high \(interval.high)")
    }
    for (name, value) in [
      (ScoreKey.score, score), (ScoreKey.low, keys.low), (ScoreKey.high, keys.high),
    ] {
      guard let value, value.magnitude > Self.greatestScore else { continue }
      throw failure("\(name) is \(value), and no score is beyond \(Self.greatestScore)")
    }
  }

  private static let notANumber = "its alinfik_score is no finite number; score the record again"

  /// Whether a parser stopped at a NaN or an infinity, which other writers take for JSON.
  private static func namesNaN(_ bytes: [UInt8], at offset: Int) -> Bool {
    let rest = bytes.dropFirst(offset)
    return ["NaN", "Infinity", "-Infinity", "Inf", "nan", "inf"].contains { rest.starts(with: $0.utf8) }
      || offset > 0 && bytes.dropFirst(offset - 1).starts(with: "-Inf".utf8)
  }
}

/// The values of `alinfik_` keys in a line.
private struct ScoreKeys {
  static let prefix = Array("alinfik_".utf8)

  var score: JSONValue?
  var error: String?
  var low: Double?
  var high: Double?
  var isOutside: Bool?
  var tokens: Int?
  var isTruncated = false
  var origin: ScoreOrigin?

  /// More are no text, and sums of them no numbers.
  private static let mostTokens = Int(UInt32.max) - 1

  /// Takes a member; null is as if it were not there. False where it is not of the kind that scoring writes.
  mutating func read(_ member: JSONObjectScanner.Member, of bytes: [UInt8]) -> Bool {
    // The scanner has checked the value.
    guard let value = try? JSONValue.parse(bytes[member.valueRange]), !value.isNull else { return true }
    switch member.key {
    case ScoreKey.score:
      score = value
      return true
    case ScoreKey.error:
      error = value.string
      return error != nil
    case ScoreKey.low:
      low = value.double
      return low != nil
    case ScoreKey.high:
      high = value.double
      return high != nil
    case ScoreKey.outOfDomain:
      isOutside = value.bool
      return isOutside != nil
    case ScoreKey.tokens:
      tokens = value.int
      return tokens.map { (0...Self.mostTokens).contains($0) } ?? false
    case ScoreKey.truncated:
      isTruncated = value.bool ?? false
      return value.bool != nil
    case ScoreKey.valuator:
      origin = value.string.flatMap { ScoreOrigin(key: $0) }
      return origin != nil
    default: return true
    }
  }
}
