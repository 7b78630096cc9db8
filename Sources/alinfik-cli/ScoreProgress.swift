import Encoder
import Formats
import Foundation
import Records

/// What a run of `score` says while it works and when it is done, into whatever files the scores go.
final class ScoreProgress {
  let terminal: Terminal
  /// Whether scores are the head's own output, of which no kind of text is said.
  private let isRaw: Bool
  /// Whether a summary as JSON is asked for, and whether standard output is free for it.
  private let json: (isWanted: Bool, isData: Bool)
  /// Shapes of records that have been told; each is once.
  private var shapes: [RecordShape] = []

  init(terminal: Terminal, isRaw: Bool, json: (isWanted: Bool, isData: Bool)) {
    (self.terminal, self.isRaw, self.json) = (terminal, isRaw, json)
  }

  /// Scores one input, saying how far it is; `kept` hears of it too.
  func score(
    _ input: LineReader, with scorer: Scorer, into sink: any LineOutput,
    kept: (ScoringSummary) throws -> Void = { _ in }
  ) throws {
    let started = Date()
    try scorer.score(
      input, into: sink,
      progress: { summary in
        for shape in summary.shapes where !shapes.contains(shape) {
          terminal.say("records of \(shape.rawValue)")
          shapes.append(shape)
        }
        terminal.progress("\(input.name): \(summary.records) records\(left(of: input, since: started))")
        try kept(summary)
      }, isCancelled: { Interruption.signal != nil })
  }

  /// Of a file that does not grow meanwhile.
  private func left(of input: LineReader, since started: Date) -> String {
    guard let size = input.fileSize, input.bytesConsumed > 0, input.bytesConsumed <= size else { return "" }
    let share = Double(input.bytesConsumed) / Double(size)
    return ", \(durationText(Date().timeIntervalSince(started) * (1 / share - 1))) left"
  }

  /// One input of many is done.
  func finish(_ input: String, _ summary: ScoringSummary, before: Int, since started: Date) {
    let bad = summary.badLines > 0 ? ", \(summary.badLines) of them without a score" : ""
    terminal.say(
      "\(input): \(summary.records) records\(bad), \(rate(summary.records - before, Date().timeIntervalSince(started)))"
    )
  }

  /// Where a broken-off input is gone on with.
  func breakOff(_ input: String, after lines: Int) {
    terminal.say("\(input): \(lines) lines are scored; the same command goes on after them")
  }

  /// - Parameter before: records that earlier runs had scored.
  func finish(_ summary: ScoringSummary, before: Int = 0, since started: Date) {
    summary.rejected.prefix(10).forEach { terminal.warn($0.message) }
    if summary.badLines > 0 { terminal.warn("\(summary.badLines) of \(summary.records) lines have no score") }
    if summary.untold > 0 && !isRaw {
      terminal.warn(
        "\(summary.untold) of \(summary.scored) texts are too short to tell of what kind they are (alinfik_ood is null)"
      )
    }
    if summary.outside > 0 && !isRaw {
      terminal.warn(
        "\(summary.outside) of \(summary.scored) texts are unlike those of training (alinfik_ood): their scores and "
          + "intervals cannot be relied on")
    }
    let seconds = Date().timeIntervalSince(started)
    let windows = summary.windowed > 0 ? "\(summary.windowed) texts in windows, " : ""
    terminal.say(
      "\(summary.scored) scores, \(summary.tokens) tokens, \(windows)\(summary.truncated) texts cut, "
        + String(format: "%.1f s, ", seconds) + rate(summary.records - before, seconds))
    guard json.isWanted else { return }
    let object = JSONValue.object(summary.counts + [("seconds", JSONValue(seconds))])
    let line = String(decoding: object.serialized(), as: UTF8.self)
    if json.isData { Terminal.write(line + "\n") } else { print(line) }
  }

  private func rate(_ records: Int, _ seconds: Double) -> String {
    String(format: "%.1f records/s", Double(records) / max(seconds, 1e-9))
  }
}
