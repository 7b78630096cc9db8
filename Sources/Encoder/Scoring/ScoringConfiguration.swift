import Formats
import Records

/// What scoring was asked to do.
package struct ScoringConfiguration: Sendable {
  package enum OnError: String, Sendable, CaseIterable {
    /// The first bad line ends the run.
    case fail
    /// A bad line comes out with `alinfik_error` and no score.
    case mark
  }

  package var onError = OnError.fail
  /// The head's own output instead of label units.
  package var isRaw = false
  /// How often `alinfik_low ... alinfik_high` should hold the label; nil: the standard, where there are intervals.
  package var coverage: Double?
  /// How a long text's windows become one score.
  package var pooling: WindowPooling {
    get { chosenPooling ?? .usual(isRaw: isRaw) }
    set { chosenPooling = newValue }
  }
  private var chosenPooling: WindowPooling?
  /// Only each record's id and what is said of it, a line a record.
  package var isSidecar = false
  /// The SHA-256 of the valuator's alinfik.json, where records are to say what made their scores (`alinfik_valuator`).
  package var valuatorSHA256: String?
  /// Records after which what is scored is handed on at the latest.
  package var flushEvery = 256
  package var records = RecordOptions()
  package var workers = 1

  package init() {}

  /// Everything that decides the bytes of a scored file.
  package var description: [(key: ByteString, value: JSONValue)] {
    [
      ("on_error", JSONValue(onError.rawValue)), ("raw", JSONValue(isRaw)),
      ("coverage", coverage.map { JSONValue($0) } ?? .null), ("pooling", JSONValue(pooling.rawValue)),
      ("sidecar", JSONValue(isSidecar)), ("text_field", records.textField.map { JSONValue($0) } ?? .null),
      ("id_field", JSONValue(records.idField)), ("valuator_key", JSONValue(valuatorSHA256 != nil)),
    ]
  }
}

/// What was scored.
package struct ScoringSummary: Sendable, Equatable {
  package var records = 0
  package var scored = 0
  package var badLines = 0
  /// The first bad lines, and what is wrong with them.
  package var rejected: [Rejected] = []
  package var tokens = 0
  package var truncated = 0
  /// Texts that were read in more windows than one.
  package var windowed = 0
  /// Scores of texts that are out of domain, and of texts too short to tell.
  package var outside = 0
  package var untold = 0
  package var shapes: [RecordShape] = []

  package struct Rejected: Sendable, Equatable {
    package var line: Int
    package var message: String
  }

  package init() {}

  /// Bad lines that are kept by number.
  private static let mostRejected = 1000

  package mutating func add(_ other: ScoringSummary) {
    records += other.records
    scored += other.scored
    badLines += other.badLines
    rejected += other.rejected.prefix(max(0, Self.mostRejected - rejected.count))
    tokens += other.tokens
    truncated += other.truncated
    windowed += other.windowed
    outside += other.outside
    untold += other.untold
    for shape in other.shapes where !shapes.contains(shape) { shapes.append(shape) }
  }

  /// Its numbers, for people's programs.
  package var counts: [(key: ByteString, value: JSONValue)] {
    [
      ("records", JSONValue(records)), ("scored", JSONValue(scored)), ("bad_lines", JSONValue(badLines)),
      ("tokens", JSONValue(tokens)), ("truncated", JSONValue(truncated)), ("windowed", JSONValue(windowed)),
      ("out_of_domain", JSONValue(outside)), ("domain_untold", JSONValue(untold)),
    ]
  }

  /// As a file keeps it.
  package var json: [(key: ByteString, value: JSONValue)] {
    counts + [
      ("shapes", .array(shapes.map { JSONValue($0.rawValue) })),
      (
        "rejected",
        .array(rejected.map { ["line": JSONValue($0.line), "error": JSONValue($0.message)] })
      ),
    ]
  }

  /// What `json` wrote; nil where that is no such summary.
  package init?(json: JSONValue) {
    func number(_ key: ByteString) -> Int? { json[key]?.int }
    guard let records = number("records"), let scored = number("scored"), let bad = number("bad_lines"),
      let tokens = number("tokens"), let truncated = number("truncated"), let windowed = number("windowed"),
      let outside = number("out_of_domain"), let untold = number("domain_untold"),
      let shapes = json["shapes"]?.array, let rejected = json["rejected"]?.array
    else { return nil }
    (self.records, self.scored, badLines) = (records, scored, bad)
    (self.tokens, self.truncated, self.windowed) = (tokens, truncated, windowed)
    (self.outside, self.untold) = (outside, untold)
    self.shapes = shapes.compactMap { $0.string.flatMap { RecordShape(rawValue: $0) } }
    self.rejected = rejected.compactMap { entry in
      guard let line = entry["line"]?.int, let message = entry["error"]?.string else { return nil }
      return Rejected(line: line, message: message)
    }
  }
}
