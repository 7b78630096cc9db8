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
  /// What `alinfik_valuator` must be, where a record has it.
  private let origin: ScoreOrigin
  /// How far the head's output may be from what another processor gives.
  private let slack: Double
  private let relativeSlack: Double
  /// Whether a line may lack what the valuator says beside the score.
  private let allowsMissing: Bool

  /// What a line says that lacks a key.
  static let nothing = "nothing"

  /// The half width of an interval is `exp` of the output and its square: it may differ by more than the output does.
  private static let widthSlack = (times: 20.0, atMost: 0.5)

  /// - Parameter tolerance: how far outputs may be from each other, as a share of their range.
  init(_ scorer: LineScorer, valuatorSHA256: String, tolerance: Double, allowsMissing: Bool) {
    self.scorer = scorer
    self.allowsMissing = allowsMissing
    origin = ScoreOrigin(
      valuator: valuatorSHA256, isRaw: scorer.configuration.isRaw, pooling: scorer.configuration.pooling)
    relativeSlack = tolerance
    slack = tolerance * scorer.valuator.outputRange
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
      return wrong(ScoreKey.score, "no JSON object", "a scored record is one")
    }
    func words(_ value: JSONValue?) -> String {
      value.map { String(decoding: $0.serialized(), as: UTF8.self) } ?? Self.nothing
    }
    if let key = said[ScoreKey.valuator], !isOurs(key) {
      return wrong(ScoreKey.valuator, words(key), origin.key)
    }
    switch result {
    case .failure(let error):
      if said[ScoreKey.score] == nil, said[ScoreKey.error] != nil { return nil }
      return wrong(ScoreKey.score, words(said[ScoreKey.score]), "no score: \(error)")
    case .success(let line):
      if let error = said[ScoreKey.error], !error.isNull {
        return wrong(ScoreKey.error, words(error), "a score and no error")
      }
      let expected = scorer.values(of: line.score)
      for key in ScoreKey.said {
        let now = expected.first { $0.key == key }?.value
        guard let then = said[key] else {
          // What the valuator gives must be said: deleting a key is no way around it.
          if now == nil || (allowsMissing && key != ScoreKey.score) { continue }
          return wrong(key, Self.nothing, words(now))
        }
        if !agrees(key, then, now, line.score) { return wrong(key, words(then), words(now)) }
      }
      return nil
    }
  }

  private func isOurs(_ key: JSONValue) -> Bool {
    key.string.flatMap { ScoreOrigin(key: $0) }?.agrees(with: origin) ?? false
  }

  private func agrees(
    _ key: ByteString, _ then: JSONValue, _ now: JSONValue?, _ score: Valuator.Score
  ) -> Bool {
    guard let now else { return false }
    if key == ScoreKey.tokens { return then.int == now.int }
    guard let value = now.double else { return then == now }
    guard let said = then.double else { return false }
    let bounds = bounds(around: score)
    if key == ScoreKey.score { return bounds.contains(said) }
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
