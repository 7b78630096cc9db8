import ArgumentParser
import Encoder
import Formats
import Foundation
import Verification

struct DriftCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "drift",
    abstract: "See whether incoming texts are still like those that a valuator was trained with.",
    discussion: """
      Examples:
        alinfik drift valuator incoming.jsonl
        alinfik drift valuator incoming/*.jsonl.gz --fail-over 0.2 -n 5000
        alinfik drift valuator today.jsonl --fail-over 0.2 --json > drift.json || echo "label some of these and train anew"

      Rows are drawn at random over all files. Scores, lengths, and where texts lie in the eight directions in which those of training vary
      most are compared with labelled rows that the valuator did not learn from: by the population stability index (PSI: under 0.1 stable,
      over 0.2 a shift) and by Kolmogorov-Smirnov tests, corrected for their number (Holm). Drift is a PSI over --fail-over that is no chance
      (corrected p < 0.05). Without drift about one of twenty runs says there is, by theory;
      a test holds it to at most one of ten.

      Exit code 1 where there is drift over --fail-over, 0 where there is none or no limit was given.
      """)

  @Argument(help: "The valuator's directory.", completion: .directory)
  var valuator: String

  @Argument(
    help: ArgumentHelp("Records as JSON Lines, plain, .gz or .zst; - is standard input.", valueName: "file"),
    completion: .file())
  var files: [String]

  @Option(help: "Exit with 1 where a population stability index is over this, and no chance.")
  var failOver: Double?

  @Option(name: [.customShort("n"), .long], help: "How many rows are drawn.")
  var rows = 2000

  @OptionGroup var fields: FieldOptions
  @OptionGroup var common: CommonOptions

  func validate() throws {
    if rows < 1 { throw ValidationError("-n \(rows): at least 1") }
    if files.isEmpty { throw ValidationError("say which texts come in") }
    if let failOver, !(failOver >= 0) { throw ValidationError("--fail-over \(failOver): at least 0") }
  }

  func run() throws {
    let terminal = Terminal(isQuiet: common.quiet)
    let loaded = try Valuator.load(directory: valuator)
    if common.dryRun {
      print("\(rows) rows of \(files.count) files, products: \(loaded.card.precision.path)")
      return
    }
    let lines = try DrawnLines(
      files, size: rows, seed: common.seed, progress: { terminal.progress("\($0) rows read") },
      isCancelled: { Interruption.signal != nil })
    guard lines.count > 0 else {
      throw VerificationError.refuted(files.joined(separator: ", "), "there is no row")
    }
    let measures = try TextMeasures(
      of: try lines.records(fields.recordOptions), by: loaded, workers: common.threads,
      progress: { terminal.progress("scored: \($0) of \(lines.drawn) rows") },
      isCancelled: { Interruption.signal != nil })
    let drift = try Drift(loaded, measures)
    let report = DriftReport(drift, of: lines.count, limit: failOver)
    terminal.say(report.table)
    report.warnings.forEach(terminal.warn)
    if common.json { print(String(decoding: report.json.serialized(), as: UTF8.self)) }
    guard let failOver, !report.drifted.isEmpty else { return }
    terminal.warn(
      "drift: \(report.drifted.map(\.name).joined(separator: ", ")) (stability index over \(failOver), and no chance)"
    )
    throw ExitCode(Exit.drift)
  }
}

/// What was found, in words and as JSON.
private struct DriftReport {
  let drift: Drift
  let count: Int
  let limit: Double?

  /// Fewer rows than this show only large drift.
  private static let fewRows = 100

  init(_ drift: Drift, of count: Int, limit: Double?) {
    (self.drift, self.count, self.limit) = (drift, count, limit)
  }

  /// What is no chance, and over the limit where there is one.
  var drifted: [Drift.Test] { drift.drifted(over: limit ?? 0) }

  var table: String {
    func cells(_ cells: [String]) -> String {
      cells.map { String(repeating: " ", count: max(1, 12 - $0.count)) + $0 }.joined()
    }
    func name(_ name: String) -> String { name + String(repeating: " ", count: max(1, 14 - name.count)) }
    let heads = cells(["PSI", "KS", "p (Holm)", "median then", "now"])
    let rows = drift.tests.map { test in
      name(test.name)
        + cells([
          String(format: "%.3f", test.stabilityIndex), String(format: "%.3f", test.distance),
          String(format: "%.2g", test.probability), String(format: "%.4g", test.medianThen),
          String(format: "%.4g", test.medianNow),
        ])
    }
    let outside = drift.outOfDomain.map {
      String(format: "; %.1f %% are out of domain (about 5 %% of texts like those of training)", 100 * $0)
    }
    let summary =
      "\(drift.rowsNow) of \(count) rows beside \(drift.rowsThen) of training"
      + String(format: "; a PSI of %.3f is chance", drift.chanceIndex) + (outside ?? "")
    return ([name("") + heads] + rows + [summary]).joined(separator: "\n")
  }

  var warnings: [String] {
    var warnings: [String] = []
    if drift.isOfLearnedRows {
      warnings.append(
        "an earlier version made this valuator: it has no distributions of scores and lengths, so that only embeddings are "
          + "compared, with those of rows it learnt from, which says drift too often; train it again with this version"
      )
    }
    if min(drift.rowsNow, drift.rowsThen) < Self.fewRows {
      warnings.append("\(min(drift.rowsNow, drift.rowsThen)) rows show only large drift")
    }
    return warnings
  }

  var json: JSONValue {
    .object(
      (drift.json.members ?? []) + [
        ("rows_read", JSONValue(count)), ("fail_over", limit.map { JSONValue($0) } ?? .null),
        ("drifted", .array(drifted.map { JSONValue($0.name) })),
      ])
  }
}
