import ArgumentParser
import Encoder
import Formats
import Foundation
import Records

struct ExplainCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "explain",
    abstract: "Say why records have their scores: where they stand, and which labelled rows they resemble.",
    discussion: """
      Examples:
        alinfik explain valuator incoming.jsonl
        head -n 3 incoming.jsonl | alinfik explain valuator --nearest 3
        alinfik explain valuator incoming.jsonl --format json > explanations.jsonl

      Of a long text the first window is explained, as `alinfik score --pooling first` scores it.

      No gradient and no language model is needed. Likeness is the cosine of two texts as the valuator sees them, 1 for the
      same. Texts of labelled rows are shown where the valuator was trained with --include-texts; what a record is worth to
      groups of targets that the same rows help, where its labels were made with --per-target.
      """)

  @Argument(help: "The valuator's directory.", completion: .directory)
  var valuator: String

  @Argument(
    help: ArgumentHelp("JSON Lines, plain, .gz or .zst (default: standard input).", valueName: "file"),
    completion: .file())
  var files: [String] = []

  @Option(help: "How many labelled rows to show.")
  var nearest = 5

  @Option(
    help: "How often the interval should hold the label (default: \(ScoreIntervals.standardCoverage)).")
  var coverage: Double = ScoreIntervals.standardCoverage

  @Option(help: "Words for people, or json: an object a line.")
  var format: Format = .text

  @OptionGroup var fields: FieldOptions
  @OptionGroup var common: CommonOptions

  /// Records explained together.
  private static let chunkLines = 64

  enum Format: String, ExpressibleByArgument, CaseIterable { case text, json }

  func validate() throws {
    if nearest < 1 { throw ValidationError("--nearest \(nearest): at least 1") }
    if !(coverage > 0 && coverage < 1) {
      throw ValidationError("--coverage \(coverage): above 0 and below 1")
    }
  }

  func run() throws {
    let loaded = try Valuator.load(directory: valuator)
    let rows = try loaded.labelledRows()
    if common.dryRun { return printPlan(rows) }
    let output = StandardOutput()
    var count = 0
    for file in files.isEmpty ? ["-"] : files {
      let input = try LineReader(argument: file)
      var chunks = LineChunks(input, lines: Self.chunkLines)
      while let lines = try chunks.next() {
        if Interruption.signal != nil { throw EncoderError.interrupted }
        let (records, broken) = parsed(lines, of: input.name)
        let found = try loaded.explanations(
          of: records, count: nearest, coverage: coverage, workers: common.threads)
        for (record, explanation) in zip(records, found) {
          let explained = ExplainedRecord(
            record: record, explanation: explanation, rows: rows, coverage: coverage)
          let text = format == .json ? explained.json.serialized() : Array(explained.text.utf8)
          try output.write(text + [UInt8(ascii: "\n")])
        }
        try output.flush()
        if let broken { throw broken }
        count += records.count
      }
    }
    guard common.json else { return }
    let summary: JSONValue = ["records": JSONValue(count)]
    Terminal.write(String(decoding: summary.serialized(), as: UTF8.self) + "\n")
  }

  private func printPlan(_ rows: LabelledRows) {
    let plan: JSONValue = [
      "labelled_rows": JSONValue(rows.rows.count), "target_groups": JSONValue(rows.clusters.count),
      "workers": JSONValue(common.threads),
    ]
    let words =
      "\(rows.rows.count) labelled rows, \(rows.clusters.count) groups of targets, \(common.threads) workers"
    print(common.json ? String(decoding: plan.serialized(), as: UTF8.self) : words)
  }

  /// The records of some lines up to the first that is none, and what is wrong with that.
  private func parsed(_ lines: [LineReader.Line], of file: String) -> (
    records: [Record], broken: RecordError?
  ) {
    let parser = RecordParser(fields.recordOptions)
    var records: [Record] = []
    for line in lines {
      do throws(RecordError) {
        records.append(try parser.parse(line.bytes, file: file, line: line.number))
      } catch {
        return (records, error)
      }
    }
    return (records, nil)
  }
}

/// An explanation, in words and as JSON.
private struct ExplainedRecord {
  let record: Record
  let explanation: Explanation
  let rows: LabelledRows
  let coverage: Double

  private static let shownCharacters = 160

  var text: String {
    let score = explanation.score
    let interval = explanation.interval.map {
      String(format: " (%.4g to %.4g for %.0f %% of such texts)", $0.low, $0.high, 100 * coverage)
    }
    var lines = [
      "\(record.id)\(record.source.map { " (\($0))" } ?? "")".printable,
      String(format: "  score %.4g", score.value) + (interval ?? "")
        + String(format: ", above %.0f %% of the labels", 100 * explanation.shareBelow),
    ]
    if score.isTruncated { lines.append("  of the first \(score.tokens) tokens; the rest was not read") }
    if score.isOutside == true {
      lines.append("  the text is unlike those of training: neither score nor interval can be relied on")
    }
    lines.append(
      "  most like these labelled rows"
        + (explanation.neighboursLabel.map { String(format: ", whose mean label is %.4g", $0) } ?? "") + ":")
    for neighbour in explanation.neighbours {
      let row = rows.rows[neighbour.row]
      lines.append(
        String(format: "    likeness %.2f, label %.4g: ", neighbour.likeness, row.label)
          + "\(row.id) (\(row.source))".printable)
      if let text = row.text {
        lines.append("      " + String(text.prefix(Self.shownCharacters)).printable)
      }
    }
    for (cluster, value) in zip(rows.clusters, explanation.clusterValues) {
      let shown = cluster.targets.prefix(2).joined(separator: ", ").printable
      let more = cluster.targets.count > 2 ? " and \(cluster.targets.count - 2) others" : ""
      lines.append(
        String(format: "  worth %.4g to the targets ", value) + shown + more
          + (cluster.testSpearman.map { String(format: " (known to Spearman %.2f)", $0) } ?? ""))
    }
    return lines.joined(separator: "\n")
  }

  var json: JSONValue {
    func number(_ value: Double?) -> JSONValue { value.map { JSONValue($0) } ?? .null }
    return [
      "id": .string(record.id), ScoreKey.score: JSONValue(explanation.score.value),
      ScoreKey.low: number(explanation.interval?.low), ScoreKey.high: number(explanation.interval?.high),
      ScoreKey.outOfDomain: explanation.score.isOutside.map { JSONValue($0) } ?? .null,
      "share_of_labels_below": JSONValue(explanation.shareBelow),
      "mean_label_of_nearest": number(explanation.neighboursLabel),
      "nearest": .array(
        explanation.neighbours.map { neighbour in
          let row = rows.rows[neighbour.row]
          return [
            "id": JSONValue(row.id), "source": JSONValue(row.source), "label": JSONValue(row.label),
            "likeness": JSONValue(neighbour.likeness), "text": row.text.map { JSONValue($0) } ?? .null,
          ]
        }),
      "target_groups": .array(
        zip(rows.clusters, explanation.clusterValues).map { cluster, value in
          [
            "targets": .array(cluster.targets.map { JSONValue($0) }), "value": JSONValue(value),
            "test_spearman": number(cluster.testSpearman),
          ]
        }),
    ]
  }
}
