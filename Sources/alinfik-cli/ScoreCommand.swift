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
        alinfik score valuator corpus --output-dir scored --sidecar --shard auto
        zcat incoming.jsonl.gz | alinfik score valuator | jq -c 'select(.alinfik_score > 0)'

      Every line comes out once, in order, with alinfik_score added: positive means that training on the text lowers
      the target's loss. The unit is in the valuator's alinfik.json. alinfik_low and alinfik_high hold the label in
      --coverage of the texts that are like those of training; alinfik_ood says that a text is not, and then neither
      they nor the score can be relied on; null: too short to tell. alinfik_tokens have been read.

      With --output-dir a run that was broken off goes on where it was when it is started again, with any number of shards: what
      is marked as done is passed over. A folder is searched for .jsonl, .jsonl.gz and .jsonl.zst, and its own folders are kept.
      """)

  @Argument(help: "The valuator's directory.")
  var valuator: String

  @Argument(
    help: ArgumentHelp(
      "JSON Lines, plain, .gz or .zst (default: standard input); with --output-dir folders of them too.",
      valueName: "file"))
  var files: [String] = []

  @Option(
    name: .shortAndLong,
    help: "Where the records go, compressed where it ends in .gz or .zst (default: standard output).")
  var output: String?

  @Option(
    help: ArgumentHelp(
      "A folder that gets one file of the same name for each input, and beside it NAME.done.json: settings, counts, rejected lines, hashes.",
      valueName: "dir"))
  var outputDir: String?

  @Option(
    help: ArgumentHelp(
      "With --output-dir, this run's part of the inputs: of n runs the i-th takes inputs i, i + n, i + 2n ... in their order (a folder's by name); auto: as Slurm or MPI say.",
      valueName: "i/n"))
  var shard: ShardArgument?

  @Flag(help: "Write only each record's id and what is said of it, a line a record.")
  var sidecar = false

  @Flag(
    help:
      "Add alinfik_valuator to each record: the first digits of the valuator's hash, so that scores of two are never mixed."
  )
  var valuatorKey = false

  @Option(
    help: "Records after which scores are handed on at the latest; a slow pipe is answered as it goes anyway."
  )
  var flushEvery = 256

  @Option(
    help: """
      How often alinfik_low and alinfik_high should have the label between them, above 0 and below 1 \
      (default: \(ScoreIntervals.standardCoverage)).
      """)
  var coverage: Double?

  @Option(
    help: """
      Of a text longer than the valuator reads at once: the first window alone, as labels are made (alinfik_truncated is then \
      true), the mean of all windows by their tokens, or the max.
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
    if shard != nil && outputDir == nil { throw ValidationError("--shard wants --output-dir") }
    if flushEvery < 1 { throw ValidationError("--flush-every \(flushEvery): at least 1") }
    if let parquet = files.first(where: { $0.hasSuffix(".parquet") }) {
      throw ValidationError(
        "\(parquet): Parquet is scored by `python -m alinfik.parquet VALUATOR IN... --output-dir OUT` (integrations/python)"
      )
    }
  }

  func run() throws {
    let terminal = Terminal(isQuiet: common.quiet)
    let loaded = try Valuator.load(directory: valuator)
    let plan =
      "\(loaded.card.labelKind) valuator, \(loaded.card.maxTokens) tokens at once, \(common.threads) workers, "
      + "products: \(loaded.card.precision.path)"
    try output.map { try refuse($0) }
    let scorer = try Scorer(valuator: loaded, configuration: try scoringConfiguration())
    if let outputDir {
      try ScoreFolder(command: self, scorer: scorer, terminal: terminal, plan: plan).run(into: outputDir)
      return
    }
    if common.dryRun {
      print(plan)
      return
    }
    terminal.say(plan)
    let started = Date()
    try together(scorer, terminal)
    finish(scorer.summary, seconds: Date().timeIntervalSince(started), terminal)
  }

  /// Throws before anything is scored where an input is missing, or the output exists or is an input.
  private func refuse(_ output: String) throws {
    try refuseMissing()
    try OutputFile.refuseInputs(output, files)
    try OutputFile.refuseExisting(output, force: common.force)
  }

  func refuseMissing() throws {
    for path in files where path != "-" {
      guard FileManager.default.fileExists(atPath: path) else { throw FormatError.missing(path: path) }
    }
  }

  func scoringConfiguration() throws -> ScoringConfiguration {
    var configuration = ScoringConfiguration()
    configuration.onError = onError == .fail ? .fail : .mark
    configuration.isRaw = raw
    configuration.pooling = pooling
    configuration.coverage = coverage
    configuration.records = fields.recordOptions
    configuration.isSidecar = sidecar
    configuration.valuatorKey = valuatorKey ? try FileHash.sha256(path: valuator + "/alinfik.json") : nil
    configuration.flushEvery = flushEvery
    configuration.workers = common.threads
    return configuration
  }

  /// All inputs into one file or standard output.
  private func together(_ scorer: Scorer, _ terminal: Terminal) throws {
    let file = try output.map { try OutputFile(path: $0, force: common.force) }
    let compressed = file.map { CompressedOutput($0, as: $0.path) }
    let sink: any LineOutput = compressed ?? StandardOutput()
    do {
      for path in files.isEmpty ? ["-"] : files {
        try score(try LineReader(argument: path), scorer, into: sink, terminal)
      }
      try compressed?.end()
    } catch {
      try? compressed?.end()
      if let kept = file?.setAside() { terminal.warn("what was scored before is in \(kept)") }
      throw error
    }
    try file?.commit()
  }

  /// Where a broken-off input is gone on with.
  func sayKept(_ input: String, lines: Int, _ terminal: Terminal) {
    terminal.say("\(input): \(lines) lines are scored; the same command goes on after them")
  }

  /// Scores one input, saying how far it is; `kept` hears of it too.
  func score(
    _ input: LineReader, _ scorer: Scorer, into sink: any LineOutput, _ terminal: Terminal,
    kept: (ScoringSummary) throws -> Void = { _ in }
  ) throws {
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
        try kept(summary)
      }, isCancelled: { Interruption.signal != nil })
  }

  /// - Parameter before: scores that earlier runs had made.
  func finish(_ summary: ScoringSummary, before: Int = 0, seconds: Double, _ terminal: Terminal) {
    summary.rejected.prefix(10).forEach { terminal.warn($0.message) }
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
    let rate = Double(summary.scored - before) / max(seconds, 1e-9)
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
    case .malformed, .unsupported, .tampered: Exit.badData
    case .coverage: Exit.usage
    case .interrupted: 128 + (Interruption.signal ?? SIGINT)
    }
  }
}
