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
        alinfik drift valuator incoming --fail-over 0.2 -n 5000
        alinfik drift valuator today.jsonl --fail-over 0.2 --json > drift.json || echo "label some of these and train anew"

      Rows are drawn at random over all files. Scores, lengths, and where texts lie in the eight directions in which those of training vary
      most are compared with labelled rows that the valuator did not learn from: by Kolmogorov-Smirnov tests, corrected for their number
      (Holm), and by the population stability index (PSI). What has a corrected p under 0.05 has drifted; by convention a PSI under 0.1 is a
      small shift, up to 0.25 a moderate one, above it a large one. Without drift about one of twenty runs says there is some, by theory; a
      test holds it to at most one of ten. Incoming text is to be a mix like that of training: one source of several has drifted from all.

      Exit code 1 where something has drifted by a PSI over --fail-over; 0 where nothing has, or no limit was given.
      """)

  @Argument(help: "The valuator's directory.", completion: .directory)
  var valuator: String

  @Argument(
    help: ArgumentHelp(
      "Records as JSON Lines, plain, .gz or .zst, and folders of them (-: standard input).", valueName: "file"
    ),
    completion: .file())
  var files: [String]

  @Option(
    parsing: .unconditional, help: "Exit with 1 where something has drifted by a stability index over this.")
  var failOver: Double?

  @Option(name: [.customShort("n"), .long], help: "How many rows are drawn.")
  var rows = 2000

  @OptionGroup var fields: FieldOptions

  @Option(help: "Which rows are drawn follows from this number.")
  var seed: UInt64 = 0

  @OptionGroup var work: WorkOptions

  func validate() throws {
    if rows < 1 { throw ValidationError("-n \(rows): at least 1") }
    if files.isEmpty { throw ValidationError("say which texts come in") }
    if let failOver, !(failOver >= 0) { throw ValidationError("--fail-over \(failOver): at least 0") }
  }

  func run() throws {
    let terminal = Terminal(isQuiet: work.quiet)
    let loaded = try Valuator.load(directory: valuator)
    let files = try InputFiles.found(files).map(\.path)
    if work.dryRun { return printPlan(loaded, inputs: files.count) }
    let lines = try DrawnLines(
      files, size: rows, seed: seed, progress: { terminal.progress("\($0) rows read") },
      isCancelled: { Interruption.signal != nil })
    guard lines.count > 0 else {
      throw VerificationError.refuted(files.joined(separator: ", "), "there is no row")
    }
    let measures = try TextMeasures(
      of: try lines.records(fields.recordOptions), by: loaded, workers: work.threads,
      progress: { terminal.progress("scored: \($0) of \(lines.drawn) rows") },
      isCancelled: { Interruption.signal != nil })
    let drift = try Drift(loaded, measures)
    let report = DriftReport(drift, of: lines.count, limit: failOver)
    terminal.say(report.table)
    report.warnings.forEach(terminal.warn)
    terminal.say(drift.verdict)
    if work.json { print(String(decoding: report.json.serialized(), as: UTF8.self)) }
    guard let failOver, !report.overLimit.isEmpty else { return }
    let names = report.overLimit.map(\.name).joined(separator: ", ")
    terminal.warn("drift over \(failOver) (stability index): \(names)")
    throw ExitCode(Exit.drift)
  }

  private func printPlan(_ valuator: Valuator, inputs: Int) {
    let products = valuator.card.precision.path
    let plan: JSONValue = [
      "inputs": JSONValue(inputs), "rows": JSONValue(rows), "products": JSONValue(products),
    ]
    let words =
      "\(rows) rows of \(inputs == 1 ? "1 file" : "\(inputs) files"), products: \(products)"
    print(work.json ? String(decoding: plan.serialized(), as: UTF8.self) : words)
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

  /// What has drifted by more than the limit; nothing where there is none.
  var overLimit: [Drift.Test] { limit.map { drift.drifted(over: $0) } ?? [] }

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
        "this valuator carries no distributions of scores and lengths (an early version, or too few rows), so that only embeddings are "
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
        ("rows_read", JSONValue(count)),
        ("fail_over", limit.map { JSONValue($0) } ?? .null),
        ("over_limit", .array(overLimit.map { JSONValue($0.name) })),
      ])
  }
}
