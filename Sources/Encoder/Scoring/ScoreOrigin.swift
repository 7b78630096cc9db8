import Formats
import Records

/// What made some scores: scores of two origins cannot be held against each other.
package struct ScoreOrigin: Sendable, Equatable {
  /// The SHA-256 of the valuator's alinfik.json, or its first digits. Its precision is in that file, so another one is another valuator.
  package var valuator: String
  package var isRaw: Bool
  package var pooling: WindowPooling

  package init(valuator: String, isRaw: Bool, pooling: WindowPooling) {
    (self.valuator, self.isRaw, self.pooling) = (valuator, isRaw, pooling)
  }

  /// Digits of a valuator's hash in `alinfik_valuator`.
  private static let keyDigits = 12

  /// As `alinfik_valuator` has it: the first digits of the hash, and what was asked for beside the usual: `0123456789ab`,
  /// `0123456789ab-first`, `0123456789ab-raw`.
  package var key: String {
    digits + (isRaw ? "-raw" : "") + (pooling == .usual(isRaw: isRaw) ? "" : "-\(pooling.rawValue)")
  }

  /// Nil where that is no such key.
  package init?(key: String) {
    var parts = key.split(separator: "-", omittingEmptySubsequences: false).map(String.init)[...]
    guard let digits = parts.popFirst(), digits.count == Self.keyDigits,
      digits.allSatisfy({ $0.isASCII && $0.isHexDigit })
    else { return nil }
    valuator = digits
    isRaw = parts.first == "raw"
    if isRaw { parts.removeFirst() }
    guard let name = parts.popFirst() else {
      pooling = .usual(isRaw: isRaw)
      return
    }
    guard let pooling = WindowPooling(rawValue: name), parts.isEmpty else { return nil }
    self.pooling = pooling
  }

  /// The first digits of the valuator's hash.
  package var digits: String { String(valuator.prefix(Self.keyDigits)) }

  /// Whether both may be one: of the hashes as many digits are compared as both have.
  package func agrees(with other: ScoreOrigin) -> Bool {
    let digits = min(valuator.count, other.valuator.count)
    return valuator.prefix(digits) == other.valuator.prefix(digits) && isRaw == other.isRaw
      && pooling == other.pooling
  }

  /// In which this differs from another at some place.
  fileprivate func difference(to other: ScoreOrigin, at place: String) -> String {
    if isRaw != other.isRaw {
      return isRaw
        ? "is the head's own output (--raw), that of \(place) is not"
        : "is in label units, that of \(place) is the head's own output (--raw)"
    }
    if pooling != other.pooling {
      return
        "was made with --pooling \(pooling.rawValue), that of \(place) with --pooling \(other.pooling.rawValue)"
    }
    return
      "is of valuator \(digits), that of \(place) is of \(other.digits) (another precision is another valuator)"
  }
}

/// The origins of the scores that one command reads, which must be one.
package struct ScoreOrigins: Sendable {
  /// What is known of the origin; nil where nothing is.
  package private(set) var known: ScoreOrigin?
  /// Rows of which neither they nor a mark beside their file say it.
  package private(set) var unknownRows = 0
  /// Whether such rows may stand beside others.
  private let allowsUnknown: Bool
  /// Where the known one stands, and the first row that does not say it.
  private var place = Place(file: "", line: 1)
  private var unknownPlace: Place?

  private struct Place: Sendable {
    var file: String
    var line: Int
    var words: String { "\(file):\(line)" }
  }

  package init(allowsUnknown: Bool) { self.allowsUnknown = allowsUnknown }

  /// Takes a file's mark into account. Throws where it has another origin than what was read before.
  package mutating func add(_ mark: ScoreMark?, of file: String) throws(RecordError) {
    if let origin = mark?.origin { try add(origin, at: Place(file: file, line: 1)) }
  }

  /// Takes a record into account.
  ///
  /// - Parameter isMarked: whether a mark beside its file says the origin.
  package mutating func add(_ record: ScoredRecord, isMarked: Bool) throws(RecordError) {
    guard record.score != nil else { return }
    if let origin = record.origin { return try add(origin, at: Place(file: record.file, line: record.line)) }
    guard !isMarked else { return }
    unknownRows += 1
    unknownPlace = unknownPlace ?? Place(file: record.file, line: record.line)
    try refuseMixed()
  }

  /// Takes into account what was found in another part of the input.
  package mutating func add(_ other: ScoreOrigins) throws(RecordError) {
    unknownRows += other.unknownRows
    unknownPlace = unknownPlace ?? other.unknownPlace
    if let origin = other.known { try add(origin, at: other.place) } else { try refuseMixed() }
  }

  private mutating func add(_ origin: ScoreOrigin, at place: Place) throws(RecordError) {
    guard let known else {
      (self.known, self.place) = (origin, place)
      return try refuseMixed()
    }
    guard origin.agrees(with: known) else {
      throw .badLine(
        file: place.file, line: place.line,
        reason:
          "its score \(origin.difference(to: known, at: self.place.words)); they cannot be compared, score all records in the same way"
      )
    }
    // The more that is known, the more is compared.
    if origin.valuator.count > known.valuator.count { (self.known, self.place) = (origin, place) }
  }

  private func refuseMixed() throws(RecordError) {
    guard !allowsUnknown, let known, let unknownPlace else { return }
    throw .badLine(
      file: unknownPlace.file, line: unknownPlace.line,
      reason:
        "it does not say which valuator its score is of, and that of \(place.words) is of \(known.digits); score it again, or "
        + "--allow-unknown-valuator takes it for one of the same")
  }
}
