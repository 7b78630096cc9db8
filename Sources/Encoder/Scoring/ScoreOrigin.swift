import Formats
import Foundation
import Records

/// Which valuator some scores are of, and how they were asked for: scores of two origins cannot be held against each other.
package struct ScoreOrigin: Sendable, Equatable {
  /// The SHA-256 of the valuator's alinfik.json, or its first digits. Its precision is in that file, so another one is another valuator.
  package var valuator: String
  /// As `--raw` and `--pooling` were given; nil where only the record speaks.
  package var isRaw: Bool?
  package var pooling: String?

  /// Digits of a valuator's hash in `alinfik_valuator`.
  package static let keyDigits = 12

  /// What `NAME.done.json` beside a scored file says; nil where there is none.
  package static func marked(beside path: String) throws -> ScoreOrigin? {
    let marker = ScoredFile.marker(path)
    guard path != "-", FileManager.default.fileExists(atPath: marker) else { return nil }
    let settings = try JSONValue.read(path: marker)["settings"]
    guard let valuator = settings?["valuator_sha256"]?.string else { return nil }
    return ScoreOrigin(
      valuator: valuator, isRaw: settings?["raw"]?.bool, pooling: settings?["pooling"]?.string)
  }

  /// In which this differs from another at some place; nil where it does not as far as both say.
  fileprivate func difference(to other: ScoreOrigin, at place: String) -> String? {
    let digits = min(valuator.count, other.valuator.count)
    if valuator.prefix(digits) != other.valuator.prefix(digits) {
      return "is of valuator \(valuator.prefix(Self.keyDigits)), that of \(place) is of "
        + "\(other.valuator.prefix(Self.keyDigits)) (another precision is another valuator)"
    }
    if let isRaw, let others = other.isRaw, isRaw != others {
      return isRaw
        ? "is the head's own output (--raw), that of \(place) is not"
        : "is in label units, that of \(place) is the head's own output (--raw)"
    }
    if let pooling, let others = other.pooling, pooling != others {
      return "was made with --pooling \(pooling), that of \(place) with --pooling \(others)"
    }
    return nil
  }
}

/// The origins of the scores that one command reads, which must be one.
package struct ScoreOrigins: Sendable {
  /// What is known of the origin; nil where nothing is.
  package private(set) var known: ScoreOrigin?
  /// Rows of which neither they nor a mark beside their file say it.
  package private(set) var unknownRows = 0
  /// Where the known one stands.
  private var place = (file: "", line: 1)

  package init() {}

  /// Takes a file's mark into account. Throws where it has another origin than what was read before.
  package mutating func add(marker origin: ScoreOrigin?, of file: String) throws(RecordError) {
    if let origin { try add(origin, at: (file, 1)) }
  }

  /// Takes a record into account.
  ///
  /// - Parameter isMarked: whether its file has a mark.
  package mutating func add(_ record: ScoredRecord, isMarked: Bool) throws(RecordError) {
    guard record.score != nil else { return }
    if let valuator = record.valuator {
      try add(ScoreOrigin(valuator: valuator), at: (record.file, record.line))
    } else if !isMarked {
      unknownRows += 1
    }
  }

  /// Takes into account what was found in another part of the input.
  package mutating func add(_ other: ScoreOrigins) throws(RecordError) {
    unknownRows += other.unknownRows
    if let origin = other.known { try add(origin, at: other.place) }
  }

  private mutating func add(
    _ origin: ScoreOrigin, at place: (file: String, line: Int)
  ) throws(RecordError) {
    guard let known else {
      (self.known, self.place) = (origin, place)
      return
    }
    if let difference = origin.difference(to: known, at: "\(self.place.file):\(self.place.line)") {
      throw .badLine(
        file: place.file, line: place.line,
        reason: "its score \(difference); they cannot be compared, score all records in the same way")
    }
    // The more that is known, the more is compared.
    if origin.valuator.count > known.valuator.count { (self.known, self.place) = (origin, place) }
  }
}
