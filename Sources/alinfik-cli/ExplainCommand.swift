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
        alinfik explain valuator incoming.jsonl --json > explanations.jsonl

      No gradient and no language model is needed. Likeness is the cosine of two texts as the valuator sees them, 1 for the
      same. Texts of labelled rows are shown where the valuator was trained with --include-texts.
      """)

  @Argument(help: "The valuator's directory.")
  var valuator: String

  @Argument(
    help: ArgumentHelp("JSON Lines, plain, .gz or .zst (default: standard input).", valueName: "file"))
  var files: [String] = []

  @Option(help: "How many labelled rows to show.")
  var nearest = 5

  @Option(
    help: "How often the interval should hold the label (default: \(ScoreIntervals.standardCoverage)).")
  var coverage: Double = ScoreIntervals.standardCoverage

  @Flag(help: "One JSON object a record instead of text.")
  var json = false

  @Option(help: "Worker threads; by default the processors this process may use.")
  var threads: Int = ProcessInfo.processInfo.activeProcessorCount

  @OptionGroup var fields: FieldOptions

  func validate() throws {
    if nearest < 1 { throw ValidationError("--nearest \(nearest): at least 1") }
    if threads < 1 { throw ValidationError("--threads \(threads): at least one worker is needed") }
    if !(coverage > 0 && coverage < 1) {
      throw ValidationError("--coverage \(coverage): above 0 and below 1")
    }
  }

  func run() throws {
    let loaded = try Valuator.load(directory: valuator)
    guard let rows = loaded.rows else {
      throw EncoderError.missing(
        valuator, "it carries no labelled rows to liken a text to; train it again with this version")
    }
    let parser = RecordParser(fields.recordOptions)
    for file in files.isEmpty ? ["-"] : files {
      let lines = try LineReader(path: file)
      while let line = try lines.next() {
        if Interruption.signal != nil { throw EncoderError.interrupted }
        let record = try parser.parse(line.bytes, file: file, line: line.number)
        let found = try loaded.explanations(
          of: [record], count: nearest, coverage: coverage, workers: threads)[0]
        let explained = ExplainedRecord(record: record, explanation: found, rows: rows, coverage: coverage)
        print(json ? String(decoding: explained.json.serialized(), as: UTF8.self) : explained.text)
      }
    }
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
      "\(record.id)\(record.source.map { " (\($0))" } ?? "")",
      String(format: "  score %.4g", score.value) + (interval ?? "")
        + String(format: ", above %.0f %% of the labels", 100 * explanation.shareBelow),
    ]
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
          + "\(row.id) (\(row.source))")
      if let text = row.text {
        lines.append("      " + text.prefix(Self.shownCharacters).replacing("\n", with: " "))
      }
    }
    return lines.joined(separator: "\n")
  }

  var json: JSONValue {
    func number(_ value: Double?) -> JSONValue { value.map { JSONValue($0) } ?? .null }
    return [
      "id": .string(record.id), "alinfik_score": JSONValue(explanation.score.value),
      "alinfik_low": number(explanation.interval?.low), "alinfik_high": number(explanation.interval?.high),
      "alinfik_ood": explanation.score.isOutside.map { JSONValue($0) } ?? .null,
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
    ]
  }
}
