import ArgumentParser
import Encoder
import Formats
import Foundation
import Verification

struct VerifyCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "verify",
    abstract: "Check a valuator, or score some rows of scored files again to see whether they are true.",
    discussion: """
      Examples:
        alinfik verify valuator
        alinfik verify valuator --public-key theirs.pub
        alinfik verify scored.jsonl --valuator valuator -n 500
        alinfik verify scored --valuator valuator -n 2000 --seed 7 --json

      A valuator: every file has the hash that alinfik.json names, it can be read, and it says of built-in texts what it said when it was
      saved. Hashes show that files belong together, not where they come from; with --public-key the signature is checked (alinfik sign).

      Scored files: rows are drawn at random over all of them and scored again. With none of 500 wrong, at most 0.6 % of all are (95 %).
      Say what they were scored with as it was said to score: NAME.done.json, which nobody signs, must say the same or the defaults.
      Scores follow from texts alone, so nothing is said of who brought a row: id and source are not checked.
      What the valuator gives for a row and the line lacks is wrong; --allow-missing is for files of earlier versions.
      Without --seed the rows are drawn so that nobody can know beforehand which; the seed is told, to draw the same again.

      Exit code 65 where something is wrong.
      """)

  @Argument(
    help: ArgumentHelp("A valuator's directory, or scored files and folders of them.", valueName: "path"),
    completion: .file())
  var paths: [String]

  @Option(help: "The valuator that scored the files.", completion: .directory)
  var valuator: String?

  @Option(name: [.customShort("n"), .long], help: "How many rows are scored again.")
  var rows = 500

  @Option(
    help: ArgumentHelp("Whose signature the valuator must have.", valueName: "file"), completion: .file())
  var publicKey: String?

  @Option(help: "What the files were scored with: mean (by default), max or first (by default with --raw).")
  var pooling: WindowPooling?

  @Flag(help: "The files were scored with --raw.")
  var raw = false

  @Option(help: "What the files were scored with.")
  var coverage: Double?

  @Flag(help: "Lines may lack what the valuator gives beside the score (files of earlier versions).")
  var allowMissing = false

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "How far the head's output may be off, as a share of its range (default: by as much as other machines' are; 0.00001 where the scores were made on a machine like this one).",
      valueName: "share"))
  var tolerance: Double?

  @Option(help: "Which rows are drawn follows from this number (default: by chance).")
  var seed: UInt64?

  @OptionGroup var fields: TextOptions
  @OptionGroup var work: WorkOptions

  func validate() throws {
    if rows < 1 { throw ValidationError("-n \(rows): at least 1") }
    if paths.isEmpty { throw ValidationError("say what to verify") }
    if let coverage, !(coverage > 0 && coverage < 1) {
      throw ValidationError("--coverage \(coverage): above 0 and below 1")
    }
    if let tolerance, !(tolerance >= 0 && tolerance <= 1) {
      throw ValidationError("--tolerance \(tolerance): between 0 and 1")
    }
    guard valuator == nil else { return }
    if paths.count > 1 {
      throw ValidationError(
        "--valuator says which valuator scored these files; without it give one valuator alone")
    }
    let isOfFiles =
      fields.textField != nil || fields.idField != nil || seed != nil || allowMissing || tolerance != nil
    if pooling != nil || raw || coverage != nil || isOfFiles {
      throw ValidationError("these options are for scored files, which want --valuator")
    }
  }

  func run() throws {
    let terminal = Terminal(isQuiet: work.quiet)
    let key = try publicKey.map { try VerifyingKey(path: $0) }
    guard let valuator else {
      try refuseFile(paths[0])
      if work.dryRun {
        return plan("the hashes, the signature, the format and the built-in texts of \(paths[0])")
      }
      return try verify(paths[0], key, terminal, isJSON: work.json)
    }
    let files = try InputFiles.scored(paths)
    if work.dryRun {
      return plan("\(rows) rows of \(files.count) file\(files.count == 1 ? "" : "s"), scored again")
    }
    if publicKey != nil { try verify(valuator, key, terminal, isJSON: false) }
    try verifyRows(of: files, valuator, terminal)
  }

  private func plan(_ words: String) {
    print(
      work.json
        ? String(decoding: (["plan": JSONValue(words)] as JSONValue).serialized(), as: UTF8.self) : words)
  }

  private func refuseFile(_ path: String) throws {
    var isFolder: ObjCBool = false
    if FileManager.default.fileExists(atPath: path, isDirectory: &isFolder), !isFolder.boolValue {
      throw ValidationError("\(path) is a file: --valuator says which valuator scored it")
    }
  }

  private func verify(_ directory: String, _ key: VerifyingKey?, _ terminal: Terminal, isJSON: Bool) throws {
    let check = try ValuatorCheck(directory: directory, key: key)
    for finding in check.findings where finding.outcome != .failed {
      terminal.say("\(finding.outcome == .passed ? "ok" : "--") \(finding.subject): \(finding.words)")
    }
    if !check.unlisted.isEmpty {
      terminal.warn(
        "no hash vouches for \(check.unlisted.inShort.printable), which alinfik.json does not name"
      )
    }
    if isJSON { print(String(decoding: check.json.serialized(), as: UTF8.self)) }
    guard check.failures.isEmpty else {
      throw VerificationError.refuted(
        directory, check.failures.map { "\($0.subject): \($0.words)" }.joined(separator: "\n"))
    }
  }

  private func verifyRows(of files: [String], _ valuator: String, _ terminal: Terminal) throws {
    var settings = ScoredFileSettings()
    (settings.pooling, settings.coverage) = (pooling, coverage)
    (settings.isRaw, settings.textField, settings.idField) = (
      raw ? true : nil, fields.textField, fields.idField
    )
    let seed = seed ?? UInt64.random(in: 0...UInt64.max)
    let check = try ScoredRowsCheck(
      files, valuator: valuator, settings: settings, rows: rows, seed: seed, workers: work.threads,
      tolerance: tolerance,
      allowsMissing: allowMissing, progress: { terminal.progress($0) },
      isCancelled: { Interruption.signal != nil })
    let report = RowsReport(check, seed: seed)
    terminal.say(report.text)
    if work.json {
      let object = JSONValue.object((check.json.members ?? []) + [("seed", JSONValue(String(seed)))])
      print(String(decoding: object.serialized(), as: UTF8.self))
    }
    if !check.passed { throw VerificationError.refuted(paths.joined(separator: ", "), report.complaint) }
  }
}

/// What scoring rows again has shown, in words.
private struct RowsReport {
  let check: ScoredRowsCheck
  let seed: UInt64

  private static let shown = 10

  init(_ check: ScoredRowsCheck, seed: UInt64) { (self.check, self.seed) = (check, seed) }

  var text: String {
    var lines = settings
    lines.append(
      "\(check.drawn) of \(check.count) rows scored again (seed \(seed)), with a tolerance of "
        + String(format: "%.0e of the outputs' range: %d wrong", check.tolerance, check.wrong.count))
    if check.marked.count > 0 {
      lines.append(
        "\(check.marked.count) lines have no score (alinfik_error), \(check.marked.drawn) of them looked at: "
          + "\(check.marked.wrong.count) wrong")
    }
    if check.isWhole {
      lines.append("\(Self.percent(check.wrongShareAtMost)) of the rows are wrong: all were looked at")
    } else {
      lines.append("at most \(Self.percent(check.wrongShareAtMost)) of all rows are wrong (95 %)")
      lines.append(
        String(
          format: "if 1 %% of them were, one would have been drawn with a probability of %.2f %%",
          100 * check.findingProbability(share: 0.01)))
    }
    return lines.joined(separator: "\n")
  }

  /// Two digits, or those before the point.
  private static func percent(_ share: Double) -> String {
    String(format: share < 0.095 ? "%.2g %%" : "%.0f %%", 100 * share)
  }

  /// A line for all files where they have the same, else one for each.
  private var settings: [String] {
    let files = check.settings.map { file in
      (
        path: file.path,
        words: file.settings.filter { !$0.value.isNull }.map { setting in
          "\(setting.key.string) \(String(decoding: setting.value.serialized(), as: UTF8.self))"
        }.joined(separator: ", ")
      )
    }
    if Set(files.map(\.words)).count == 1 { return ["scored with \(files[0].words)".printable] }
    return files.map { "\($0.path): scored with \($0.words)".printable }
  }

  var complaint: String {
    var lines: [String] = []
    if !check.changedFiles.isEmpty {
      lines.append(
        "\(check.changedFiles.joined(separator: ", ")) was changed since it was scored (SHA-256 in its .done.json)"
      )
    }
    if !check.wrong.isEmpty {
      lines.append("\(check.wrong.count) of \(check.drawn) rows are not what the valuator says")
    }
    if !check.marked.wrong.isEmpty {
      lines.append(
        "\(check.marked.wrong.count) of \(check.marked.drawn) lines with alinfik_error are of texts that have a score"
      )
    }
    let wrong = check.wrong + check.marked.wrong
    lines += wrong.prefix(Self.shown).map { row in
      "  \(row.place) '\(row.id)': \(row.key) \(row.said), the valuator says \(row.found)".printable
    }
    if wrong.count > Self.shown {
      lines.append("  and \(wrong.count - Self.shown) more (--json lists them)")
    }
    if 2 * check.wrong.count > check.drawn {
      lines.append(
        "  (most rows are wrong: perhaps another valuator, --pooling, --coverage or --raw made them)")
    }
    return lines.joined(separator: "\n")
  }
}
