import ArgumentParser
import Encoder
import Formats
import Foundation
import LinFiK
import RankStatistics

struct AuditCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "audit",
    abstract: "Label some rows of a label file again, and see whether it is what it claims to be.",
    discussion: """
      Examples:
        alinfik audit labels.h5 --model MODEL --target target.jsonl
        alinfik audit labels.h5 --model MODEL --target target.jsonl --valuator valuator -n 500 --seed 3

      Rows are drawn at random. A row is wrong where its label differs by more than a thousandth of the labels' deviation.
      Exit code 65 where a row is wrong. Losses, token counts and gradients of the file are not looked at. With --other-model
      (one that was trained since) the rows say how far labels, and a valuator, still rank as that model does.
      """)

  @Argument(help: "A label file of `alinfik label`.", completion: .file())
  var labels: String

  @Option(help: "The language model: a Hugging Face directory or a GGUF file.", completion: .file())
  var model: String

  @Option(
    parsing: .upToNextOption,
    help: ArgumentHelp("The target that the labels are for, as JSON Lines.", valueName: "file"),
    completion: .file())
  var target: [String]

  @Option(help: "A valuator, to be held against the labels as they are now.", completion: .directory)
  var valuator: String?

  @Option(name: [.customShort("n"), .long], help: "How many rows are labelled again.")
  var rows = 200

  @Flag(
    help:
      "Audit with a model that is not the labels' own, such as a later checkpoint: how far its labels agree.")
  var otherModel = false

  @OptionGroup var fields: FieldOptions
  @OptionGroup var common: CommonOptions

  func validate() throws {
    if rows < 2 { throw ValidationError("-n \(rows): at least 2") }
    if target.isEmpty { throw ValidationError("--target wants at least one file") }
  }

  func run() throws {
    let terminal = Terminal(isQuiet: common.quiet)
    let file = try LabelFile(path: labels)
    let loaded = try valuator.map { try Valuator.load(directory: $0) }
    if let card = loaded?.card { try check(card, file.attributes) }
    let count = min(rows, file.count)
    terminal.say("\(labels): \(file.count) labels (\(file.attributes.kind)); \(count) are made again")
    if common.dryRun { return }
    let audit = try LabelAudit(
      file, modelPath: model, allowsOtherModel: otherModel, target: target, fields: fields.recordOptions,
      count: count, seed: common.seed,
      workers: common.threads,
      progress: { progress in
        if case .samples(let done, let total, _, let rate) = progress {
          terminal.progress("labels: \(done)/\(total), \(durationText(rate.secondsLeft)) left")
        }
      }, isCancelled: { Interruption.signal != nil })
    let report = AuditReport(audit, ranking: try loaded.map { try ranking(of: $0, audit) })
    terminal.say(report.text)
    if common.json { print(String(decoding: report.json.serialized(), as: UTF8.self)) }
    if audit.isSameModel, !audit.wrong.isEmpty {
      throw LabelError.audit(
        labels, "\(audit.wrong.count) of \(audit.rows.count) labels are not what the model gives")
    }
  }

  /// Throws where the valuator predicts other labels.
  private func check(_ card: ValuatorCard, _ labels: LabelAttributes) throws {
    if let what = card.difference(
      kind: labels.kind, projection: labels.projection, targetSHA256: labels.targetSHA256)
    {
      throw LabelError.options(
        "\(valuator ?? ""): this valuator was trained for another \(what) than \(self.labels) has")
    }
  }

  /// Of the rows that the valuator did not learn from.
  private func ranking(of valuator: Valuator, _ audit: LabelAudit) throws -> AuditReport.Ranking {
    let unseen = valuator.card.rows.unseen(audit.records)
    // Of first windows, as the labels are.
    let scores = try valuator.scores(of: unseen.map { audit.records[$0] }, workers: common.threads).map(
      \.value)
    let measured = unseen.map { Double(audit.measured[$0]) }
    let sources = unseen.map { audit.file.sources[audit.rows[$0]].string }
    return AuditReport.Ranking(
      rows: unseen.count, spearman: spearman(scores, measured),
      withinSource: spearmanWithin(scores, measured, groups: sources).mean)
  }
}

/// What an audit found.
private struct AuditReport {
  struct Ranking {
    static let fewestRows = 30

    var rows: Int
    var spearman: Double?
    var withinSource: Double?
  }

  let audit: LabelAudit
  let ranking: Ranking?
  private let bound: Double
  private let agreement: Double?

  init(_ audit: LabelAudit, ranking: Ranking?) {
    self.audit = audit
    self.ranking = ranking
    bound =
      audit.isWhole
      ? Double(audit.wrong.count) / Double(audit.rows.count)
      : binomialUpperBound(wrong: audit.wrong.count, of: audit.rows.count)
    agreement = spearman(audit.stored.map { Double($0) }, audit.measured.map { Double($0) })
  }

  var text: String {
    let (wrong, count) = (audit.wrong, audit.rows.count)
    var lines: [String] = []
    if !audit.isSameModel {
      lines.append("the model is another one than that of the labels, so differences are its own")
    }
    lines.append(
      audit.areSameBits
        ? "all \(count) labels are the same to the last bit"
        : "\(wrong.count) of \(count) labels differ; the largest difference is "
          + String(format: "%.1e of the labels' deviation", audit.largestDifference))
    if audit.isSameModel {
      lines.append(
        String(
          format: audit.isWhole
            ? "%.1f %% of the file's labels are wrong"
            : "at most %.1f %% of the file's labels are wrong (95 %%)", 100 * bound))
    }
    let word = audit.isSameModel ? "wrong" : "another"
    lines += wrong.prefix(5).map { "\(word): row \($0), '\(audit.file.ids[$0])'" }
    if wrong.count > 5 { lines.append("and \(wrong.count - 5) more (--json lists them)") }
    lines.append("labels then and now: Spearman \(number(agreement))")
    if let ranking {
      lines.append(
        "valuator and labels now, on the \(ranking.rows) rows it did not learn from: Spearman "
          + "\(number(ranking.spearman)), within source \(number(ranking.withinSource))")
      if ranking.rows < Ranking.fewestRows {
        lines.append(
          "\(ranking.rows) rows say little of a valuator; a larger -n draws more of those it did not learn from"
        )
      }
    }
    return lines.joined(separator: "\n")
  }

  private func number(_ value: Double?) -> String {
    value.map { String(format: "%.3f", $0) } ?? "not defined"
  }

  var json: JSONValue {
    [
      "rows": JSONValue(audit.rows.count), "wrong": JSONValue(audit.wrong.count),
      "wrong_rows": .array(audit.wrong.map { JSONValue($0) }),
      "wrong_share_at_most": audit.isSameModel ? JSONValue(bound) : .null,
      "same_bits": JSONValue(audit.areSameBits),
      "same_model": JSONValue(audit.isSameModel),
      "largest_difference": JSONValue(audit.largestDifference),
      "spearman_then_and_now": agreement.map { JSONValue($0) } ?? .null,
      "valuator": ranking.map { ranking in
        [
          "rows": JSONValue(ranking.rows), "spearman": ranking.spearman.map { JSONValue($0) } ?? .null,
          "within_source": ranking.withinSource.map { JSONValue($0) } ?? .null,
        ]
      } ?? .null,
    ]
  }
}
