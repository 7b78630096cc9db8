import ArgumentParser
import Encoder
import Formats
import Foundation
import LinFiK
import Records

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

      A bad line is one that is no record, holds no text but white space, is blank (at the end too) or longer than 64 MiB. With
      --on-error mark it comes out with alinfik_error in the place of a score; of one that is too long nothing else is kept.

      With --output-dir a run that was broken off goes on where it was when it is started again, with any number of shards: what
      is marked as done is passed over. An input that has changed since, vanishes, is cut short or has a bad line does not keep the
      others from being scored; the exit code is then 65. A folder is searched for .jsonl, .jsonl.gz and .jsonl.zst, and its own folders are kept.
      """)

  @Argument(help: "The valuator's directory.", completion: .directory)
  var valuator: String

  @Argument(
    help: ArgumentHelp(
      "JSON Lines, plain, .gz or .zst, and folders of them (default: standard input).",
      valueName: "file"), completion: .file())
  var files: [String] = []

  @Option(
    name: .shortAndLong,
    help: "Where the records go, compressed where it ends in .gz or .zst (default: standard output).",
    completion: .file())
  var output: String?

  @Option(
    help: ArgumentHelp(
      "A folder that gets one file of the same name for each input, and beside it NAME.done.json: settings, counts, rejected lines, hashes.",
      valueName: "dir"), completion: .directory)
  var outputDir: String?

  @Option(
    help: ArgumentHelp(
      "With --output-dir, this run's part of the inputs: of n runs the i-th takes inputs i, i + n, i + 2n ... in their order (a folder's by name); auto: as Slurm or MPI say.",
      valueName: "i/n"),
    transform: Shard.argument)
  var shard: Shard?

  @Flag(help: "Write only each record's id and what is said of it, a line a record.")
  var sidecar = false

  @Flag(
    inversion: .prefixedNo,
    help: """
      Add alinfik_valuator to each record: the first digits of the valuator's hash and what else was asked for, so that scores of \
      two kinds are never mixed.
      """)
  var valuatorKey = true

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
      Of a text longer than the valuator reads at once: the mean of all windows by their tokens, the max, or the first alone, as \
      labels are made (alinfik_truncated is then true). By default mean; with --raw first, as sentence-transformers reads.
      """)
  var pooling: WindowPooling?

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
    if raw && coverage != nil {
      throw ValidationError("--coverage is of intervals, and --raw has none; leave one out")
    }
    if outputDir != nil && files.isEmpty { throw ValidationError("--output-dir wants input files") }
    if outputDir != nil && files.contains("-") {
      throw ValidationError(
        "--output-dir wants files that have a name, and standard input has none: --output takes it")
    }
    if shard != nil && outputDir == nil { throw ValidationError("--shard wants --output-dir") }
    if flushEvery < 1 { throw ValidationError("--flush-every \(flushEvery): at least 1") }
    if let parquet = files.first(where: { $0.hasSuffix(".parquet") }) {
      throw ValidationError(
        "\(parquet): Parquet is scored by `python -m alinfik.parquet VALUATOR IN... --output-dir OUT` (integrations/python)"
      )
    }
  }

  func run() throws {
    do { try score() } catch let error as RecordError where onError == .fail { throw error.withWayOut }
  }

  private func score() throws {
    let terminal = Terminal(isQuiet: common.quiet)
    let loaded = try Valuator.load(directory: valuator)
    let inputs = try InputFiles.found(files, outputFolder: outputDir)
    if let output {
      try OutputFile.refuseInputs(output, inputs.map(\.path))
      try OutputFile.refuseExisting(output, force: common.force)
    }
    let configuration = try scoringConfiguration()
    let scorer = try Scorer(valuator: loaded, configuration: configuration)
    let progress = ScoreProgress(
      terminal: terminal, isRaw: raw, json: (common.json, isData: output == nil && outputDir == nil))
    if let slowness = loaded.card.precision.slowness { terminal.warn(slowness) }
    guard let outputDir else {
      let paths = files.isEmpty ? ["-"] : inputs.map(\.path)
      if say(ScoringPlan(valuator: loaded, configuration: configuration, paths: paths), terminal) { return }
      let started = Date()
      try together(paths, scorer, progress)
      return progress.finish(scorer.summary, since: started)
    }
    let folder = ScoreFolder(
      inputs: inputs, folder: outputDir, shard: shard, force: common.force,
      valuatorSHA256: try valuatorSHA256(), precision: loaded.card.precision,
      configuration: configuration, progress: progress)
    let work = try folder.work()
    var plan = ScoringPlan(valuator: loaded, configuration: configuration, paths: work.openInputs)
    (plan.inputs, plan.doneInputs, plan.doneRecords) = (work.own, work.doneInputs, work.done.records)
    plan.part = shard.map { " of \(work.all), shard \($0)" }
    if !say(plan, terminal) { try folder.run(work, with: scorer) }
  }

  /// Says what is going to be done; true where that is all that was asked for.
  private func say(_ plan: ScoringPlan, _ terminal: Terminal) -> Bool {
    if !common.dryRun {
      terminal.say(plan.description)
    } else {
      print(common.json ? String(decoding: plan.json.serialized(), as: UTF8.self) : plan.description)
    }
    return common.dryRun
  }

  private func scoringConfiguration() throws -> ScoringConfiguration {
    var configuration = ScoringConfiguration()
    configuration.onError = onError == .fail ? .fail : .mark
    configuration.isRaw = raw
    if let pooling { configuration.pooling = pooling }
    configuration.coverage = coverage
    configuration.records = fields.recordOptions
    configuration.isSidecar = sidecar
    configuration.valuatorSHA256 = valuatorKey ? try valuatorSHA256() : nil
    configuration.flushEvery = flushEvery
    configuration.workers = common.threads
    return configuration
  }

  private func valuatorSHA256() throws -> String {
    try FileHash.sha256(path: valuator + "/" + ValuatorFiles.cardName)
  }

  /// All inputs into one file or standard output.
  private func together(_ paths: [String], _ scorer: Scorer, _ progress: ScoreProgress) throws {
    let file = try output.map { try OutputFile(path: $0, force: common.force) }
    let compressed = file.map { CompressedOutput($0, as: $0.path) }
    let sink: any LineOutput = compressed ?? StandardOutput()
    do {
      for path in paths { try progress.score(try LineReader(argument: path), with: scorer, into: sink) }
      try compressed?.end()
      try file?.commit()
      // What an earlier run left behind when it could not end, and the mark of what has been replaced.
      if let output {
        for path in [output + ".partial", ScoreMark.path(beside: output)] {
          try? FileManager.default.removeItem(atPath: path)
        }
      }
    } catch {
      try? compressed?.end()
      if let kept = file?.setAside() { progress.terminal.warn("what was scored before is in \(kept)") }
      throw error
    }
  }
}

extension RecordError {
  /// A bad line's message with what `score` could do about it.
  var withWayOut: RecordError {
    guard case .badLine(let file, let line, let reason) = self else { return self }
    return .badLine(
      file: file, line: line, reason: reason + " (--on-error mark lets bad lines through, marked)")
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
