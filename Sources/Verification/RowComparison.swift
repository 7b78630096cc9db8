import Encoder
import Formats
import Records

/// What a row says of itself beside what the valuator says of it now.
package struct WrongRow: Sendable, Equatable {
  /// File and line.
  package let place: String
  package let id: String
  /// The first of its keys that is wrong.
  package let key: String
  package let said: String
  package let found: String
}

/// Holds scored lines against scores made anew.
struct RowComparison: Sendable {
  let scorer: LineScorer
  /// Of the valuator's alinfik.json: what begins with `alinfik_valuator`, where a record has it.
  private let valuatorSHA256: String
  /// How far the head's output may be from what another processor gives.
  private let slack: Double
  private let relativeSlack: Double
  /// Whether a line may lack what the valuator says beside the score.
  private let allowsMissing: Bool

  /// The half width of an interval is `exp` of the output and its square: it may differ by more than the output does.
  private static let widthSlack = (times: 20.0, atMost: 0.5)
  private static let keys: [ByteString] = [
    "alinfik_score", "alinfik_low", "alinfik_high", "alinfik_ood", "alinfik_tokens", "alinfik_truncated",
  ]

  init(_ scorer: LineScorer, valuatorSHA256: String, allowsMissing: Bool) {
    self.scorer = scorer
    self.allowsMissing = allowsMissing
    self.valuatorSHA256 = valuatorSHA256
    relativeSlack = scorer.valuator.tolerance
    slack = relativeSlack * scorer.valuator.outputRange
  }

  /// Nil where the line says what it should.
  func wrong(
    _ line: LineReader.Line, of file: String, _ result: Result<LineScore, RecordError>
  ) -> WrongRow? {
    let said = try? JSONValue.parse(line.bytes)
    let record = try? result.get().record
    func wrong(_ key: ByteString, _ words: String, _ found: String) -> WrongRow {
      WrongRow(
        place: "\(file):\(line.number)", id: (record?.id ?? said?["id"]?.byteString)?.string ?? "",
        key: key.string, said: words, found: found)
    }
    guard let said, said.members != nil else {
      return wrong("alinfik_score", "no JSON object", "a scored record is one")
    }
    func words(_ value: JSONValue?) -> String {
      value.map { String(decoding: $0.serialized(), as: UTF8.self) } ?? "nothing"
    }
    if let origin = said["alinfik_valuator"], !isOurs(origin) {
      return wrong("alinfik_valuator", words(origin), String(valuatorSHA256.prefix(12)))
    }
    switch result {
    case .failure(let error):
      if said["alinfik_score"] == nil, said["alinfik_error"] != nil { return nil }
      return wrong("alinfik_score", words(said["alinfik_score"]), "no score: \(error)")
    case .success(let line):
      let expected = scorer.values(of: line.score)
      for key in Self.keys {
        let now = expected.first { $0.key == key }?.value
        guard let then = said[key] else {
          // What the valuator gives must be said: deleting a key is no way around it.
          if now == nil || (allowsMissing && key != "alinfik_score") { continue }
          return wrong(key, said["alinfik_error"] == nil ? "nothing" : "alinfik_error", words(now))
        }
        if !agrees(key, then, now, line.score) { return wrong(key, words(then), words(now)) }
      }
      return nil
    }
  }

  /// Whether a record's score is said to be of this valuator.
  private func isOurs(_ origin: JSONValue) -> Bool {
    origin.string.map { !$0.isEmpty && valuatorSHA256.hasPrefix($0) } ?? false
  }

  private func agrees(
    _ key: ByteString, _ then: JSONValue, _ now: JSONValue?, _ score: Valuator.Score
  ) -> Bool {
    guard let now else { return false }
    guard let value = now.double, key != "alinfik_tokens" else { return then == now }
    guard let said = then.double else { return false }
    let bounds = bounds(around: score)
    if key == "alinfik_score" { return bounds.contains(said) }
    let width = bounds.upperBound - bounds.lowerBound
    let half = abs(value - score.value)
    return abs(said - value) <= width + min(Self.widthSlack.atMost, Self.widthSlack.times * relativeSlack)
      * half
  }

  /// The scores of outputs that are as near as another processor's; digits of a Float that is written are as good as seven.
  private func bounds(around score: Valuator.Score) -> ClosedRange<Double> {
    let raw = Double(score.raw)
    let slack = slack + 1e-6 * abs(raw)
    if scorer.configuration.isRaw { return raw - slack...raw + slack }
    let map = scorer.valuator.card.calibration
    return map(raw - slack)...map(raw + slack)
  }
}
