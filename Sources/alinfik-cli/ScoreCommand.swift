import ArgumentParser
import Encoder
import Formats
import Foundation

struct ScoreCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "score",
    abstract: "Add a valuator's score to every record.",
    discussion: """
      Examples:
        alinfik score valuator incoming.jsonl.gz --output scored.jsonl
        alinfik score valuator a.jsonl b.jsonl.gz --output-dir scored
        zcat incoming.jsonl.gz | alinfik score valuator | jq -c 'select(.alinfik_score > 0)'

      Every line comes out once, in order, with alinfik_score added: positive means that training on the text lowers
      the target's loss. The unit is in the valuator's alinfik.json. alinfik_low and alinfik_high hold the label in
      --coverage of the texts that are like those of training; alinfik_ood says that a text is not, and then neither
      they nor the score can be relied on; null: too short to tell.
      """)

  @Argument(help: "The valuator's directory.")
  var valuator: String

  @Argument(
    help: ArgumentHelp("JSON Lines, plain, .gz or .zst (default: standard input).", valueName: "file"))
  var files: [String] = []

  @Option(name: .shortAndLong, help: "Where the records go (default: standard output).")
  var output: String?

  @Option(help: ArgumentHelp("A folder that gets one file for each input file.", valueName: "dir"))
  var outputDir: String?

  @Option(
    help: """
      How often alinfik_low and alinfik_high should have the label between them, above 0 and below 1 \
      (default: \(ScoreIntervals.standardCoverage)).
      """)
  var coverage: Double?

  @Option(
    help: """
      Of a text longer than the valuator reads at once: the first window alone, as labels are made, the mean of all windows by \
      their tokens, or the max.
      """)
  var pooling: WindowPooling = .first

  @Flag(help: "The head's own output alone, instead of label units, interval and domain.")
  var raw = false

  @Option(help: "What to do with a bad line: fail, or mark (it comes out with alinfik_error).")
  var onError: OnError = .fail

  @OptionGroup var fields: FieldOptions
  @OptionGroup var common: CommonOptions

  enum OnError: String, ExpressibleByArgument, CaseIterable { case fail, mark }

  mutating func validate() throws {
    if output == "-" { output = nil }
    if output != nil && outputDir != nil {
      throw ValidationError("--output and --output-dir exclude each other")
    }
    if let coverage, !(coverage > 0 && coverage < 1) {
      throw ValidationError("--coverage \(coverage): above 0 and below 1")
    }
    if outputDir != nil && files.isEmpty { throw ValidationError("--output-dir wants input files") }
    if let output, output.hasSuffix(".gz") || output.hasSuffix(".zst") {
      throw ValidationError(
        "--output \(output): records are written uncompressed; give a name without .gz or .zst")
    }
  }

  func run() throws {
    let terminal = Terminal(isQuiet: common.quiet)
    let loaded = try Valuator.load(directory: valuator)
    let plan =
      "\(loaded.card.labelKind) valuator, the first \(loaded.card.maxTokens) tokens, \(common.threads) workers"
    let outputs = try checkedOutputs()
    let scorer = try Scorer(valuator: loaded, configuration: scoringConfiguration)
    if common.dryRun {
      print(plan)
      return
    }
    terminal.say(plan)
    let started = Date()
    if let outputDir {
      try FileManager.default.createDirectory(atPath: outputDir, withIntermediateDirectories: true)
      for (path, output) in zip(files, outputs) {
        let file = try OutputFile(path: output, force: common.force)
        try keepingPartial(file, terminal) { try score(path, scorer, into: file, terminal) }
        try file.commit()
      }
    } else {
      try together(scorer, terminal)
    }
    finish(scorer.summary, seconds: Date().timeIntervalSince(started), terminal)
  }

  private var scoringConfiguration: ScoringConfiguration {
    var configuration = ScoringConfiguration()
    configuration.onError = onError == .fail ? .fail : .mark
    configuration.isRaw = raw
    configuration.pooling = pooling
    configuration.coverage = coverage
    configuration.records = fields.recordOptions
    configuration.workers = common.threads
    return configuration
  }

  /// All inputs into one file or standard output.
  private func together(_ scorer: Scorer, _ terminal: Terminal) throws {
    let file = try output.map { try OutputFile(path: $0, force: common.force) }
    let sink: any LineOutput = file ?? StandardOutput()
    try keepingPartial(file, terminal) {
      for path in files.isEmpty ? ["-"] : files { try score(path, scorer, into: sink, terminal) }
    }
    try file?.commit()
  }

  /// Runs `body`; when it is broken off, what was scored so far stays beside the output's name.
  private func keepingPartial(_ file: OutputFile?, _ terminal: Terminal, _ body: () throws -> Void) throws {
    do { try body() } catch {
      if let kept = file?.setAside() { terminal.warn("what was scored before is in \(kept)") }
      throw error
    }
  }

  /// The files that will be written, one for each input with `--output-dir` (its name without `.gz` or `.zst`). Throws
  /// before anything is scored where an input is missing, or an output exists or is an input.
  private func checkedOutputs() throws -> [String] {
    for path in files where path != "-" {
      guard FileManager.default.fileExists(atPath: path) else { throw FormatError.missing(path: path) }
    }
    let outputs =
      outputDir.map { folder in files.map { "\(folder)/\(Self.outputName($0))" } }
      ?? [output].compactMap { $0 }
    for (index, path) in outputs.enumerated() {
      if let other = outputs[..<index].firstIndex(of: path) {
        throw FormatError.inputOutput(
          path: path, reason: "both \(files[other]) and \(files[index]) would be written under this name")
      }
      try OutputFile.refuseInputs(path, files)
      try OutputFile.refuseExisting(path, force: common.force)
    }
    return outputs
  }

  private static func outputName(_ path: String) -> String {
    let name = URL(fileURLWithPath: path).lastPathComponent
    return name.hasSuffix(".gz") || name.hasSuffix(".zst") ? (name as NSString).deletingPathExtension : name
  }

  private func score(_ path: String, _ scorer: Scorer, into sink: any LineOutput, _ terminal: Terminal) throws
  {
    let input = try LineReader(argument: path)
    let started = Date()
    var announced = scorer.summary.shapes.count
    try scorer.score(
      input, into: sink,
      progress: { summary in
        for shape in summary.shapes.dropFirst(announced) { terminal.say("records of \(shape.rawValue)") }
        announced = summary.shapes.count
        var line = "\(input.name): \(summary.records) records"
        if let size = input.fileSize, size > 0, input.bytesConsumed > 0 {
          let share = Double(input.bytesConsumed) / Double(size)
          line += ", \(durationText(Date().timeIntervalSince(started) * (1 / share - 1))) left"
        }
        terminal.progress(line)
      }, isCancelled: { Interruption.signal != nil })
  }

  private func finish(_ summary: ScoringSummary, seconds: Double, _ terminal: Terminal) {
    summary.messages.forEach(terminal.warn)
    if summary.badLines > 0 { terminal.warn("\(summary.badLines) of \(summary.records) lines have no score") }
    if summary.untold > 0 && !raw {
      terminal.warn(
        "\(summary.untold) of \(summary.scored) texts are too short to tell of what kind they are (alinfik_ood is null)"
      )
    }
    if summary.outside > 0 && !raw {
      terminal.warn(
        "\(summary.outside) of \(summary.scored) texts are unlike those of training (alinfik_ood): their scores and "
          + "intervals cannot be relied on")
    }
    let windows = summary.windowed > 0 ? "\(summary.windowed) texts in windows, " : ""
    let rate = Double(summary.scored) / max(seconds, 1e-9)
    terminal.say(
      "\(summary.scored) scores, \(summary.tokens) tokens, \(windows)\(summary.truncated) texts cut, "
        + String(format: "%.1f s, %.1f records/s", seconds, rate))
    guard common.json else { return }
    let json: JSONValue = [
      "records": JSONValue(summary.records), "scored": JSONValue(summary.scored),
      "bad_lines": JSONValue(summary.badLines), "tokens": JSONValue(summary.tokens),
      "truncated": JSONValue(summary.truncated), "windowed": JSONValue(summary.windowed),
      "out_of_domain": JSONValue(summary.outside),
      "domain_untold": JSONValue(summary.untold),
      "seconds": JSONValue(seconds),
    ]
    // Standard output carries records unless they went to files.
    let line = String(decoding: json.serialized(), as: UTF8.self)
    if output == nil && outputDir == nil { Terminal.write(line + "\n") } else { print(line) }
  }
}

extension WindowPooling: ExpressibleByArgument {}

extension EncoderError: ExitCoded {
  var exitCode: Int32 {
    switch self {
    case .missing: Exit.missingInput
    case .malformed, .unsupported, .tampered, .notFinite: Exit.badData
    case .coverage: Exit.usage
    case .interrupted: 128 + (Interruption.signal ?? SIGINT)
    }
  }
}
