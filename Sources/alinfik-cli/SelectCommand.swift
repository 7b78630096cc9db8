import ArgumentParser
import Encoder
import Formats
import Foundation
import Selection
import Tokenization

struct SelectCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "select",
    abstract: "Choose the best scored records within a budget.",
    discussion: """
      Examples:
        alinfik select scored.jsonl --tokens 100M --tokenizer MODEL --output selected.jsonl --rejects rejects.jsonl
        alinfik select scored/*.jsonl.zst --bytes 2G --per-source-cap 30% --per-source-cap web=500M --output best.jsonl.zst
        alinfik select scored.jsonl --tokens 1M --tokenizer MODEL --diversity 0.5 --valuator valuator --output diverse.jsonl
        alinfik select scored.jsonl --rows 10K --temperature 0.2 --seed 3 --output sampled.jsonl

      Reads what `alinfik score` wrote, twice (three times with --diversity), and takes records from the highest score down. Exact and
      near duplicates count once, the best of them. The same records are chosen however they are divided among files, and their order
      among files does not matter: ties are broken by the text's hash. Every record that is left out goes to --rejects with
      alinfik_reason. Amounts may end in K, M or G.
      """)

  @Argument(
    help: ArgumentHelp("Scored JSON Lines, plain, .gz or .zst, and folders of them.", valueName: "file"),
    completion: .file())
  var files: [String]

  @Option(
    parsing: .unconditional,
    help:
      "The budget in tokens: those of --tokenizer, else alinfik_tokens, where the valuator has read all of a record."
  )
  var tokens: String?

  @Option(parsing: .unconditional, help: "The budget in records.")
  var rows: String?

  @Option(parsing: .unconditional, help: "The budget in bytes of text.")
  var bytes: String?

  @Option(
    help: "Whose tokens count, as this model reads a record: a Hugging Face directory or a GGUF file.",
    completion: .file())
  var tokenizer: String?

  @Option(
    parsing: .unconditional,
    help:
      "Tokens of a record behind the first N do not count: it will be cut there, as by `finetune --max-tokens`."
  )
  var maxTokens: Int?

  @Option(
    name: .shortAndLong,
    help: "Where the chosen records go, compressed where it ends in .gz or .zst (default: standard output).",
    completion: .file())
  var output: String?

  @Option(
    help: ArgumentHelp("Where all others go, each with alinfik_reason.", valueName: "file"),
    completion: .file())
  var rejects: String?

  @Option(help: "The order of the chosen records: input, as they stand there, or value, the best first.")
  var order: SelectionConfiguration.Order = .input

  @Option(
    parsing: .unconditionalSingleValue,
    help: ArgumentHelp(
      "At most so much of each source, in the budget's unit or a per cent of it; NAME=... of that source. May be given again.",
      valueName: "[name=]amount"))
  var perSourceCap: [String] = []

  @Option(
    parsing: .unconditionalSingleValue,
    help: ArgumentHelp(
      "At least so much of each source, as far as it has it; the same.", valueName: "[name=]amount"))
  var perSourceMin: [String] = []

  @Option(parsing: .unconditional, help: "Records of a lower score are never chosen.")
  var minScore: Double?

  @Flag(help: "Records out of the valuator's domain (alinfik_ood is true) are never chosen.")
  var dropOutOfDomain = false

  @Option(
    parsing: .unconditional,
    help:
      "Draw instead of taking the best: a record's chance goes with exp(score / T), without replacement (Gumbel-top-k)."
  )
  var temperature: Double?

  @Option(
    help: "What becomes of duplicates: near and exact ones count once, exact ones alone do, or keep them.")
  var duplicates: SelectionConfiguration.Duplicates = .near

  @Option(
    parsing: .unconditional,
    help: "From which likeness (Jaccard's, of 9-byte shingles) a text is a near duplicate.")
  var likeness = 0.8

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "Trade value against redundancy: a record wholly like a chosen one loses L deviations of the scores. Wants --valuator.",
      valueName: "L"))
  var diversity: Double?

  @Option(help: "The valuator whose embeddings say what is alike.", completion: .directory)
  var valuator: String?

  @Option(
    parsing: .unconditional,
    help: "With --diversity: how many times as many records as are chosen are looked at, at most.")
  var candidates = 8.0

  @Flag(
    help:
      "A budget that is larger than all that may be chosen is an error (by default a warning, and all of it is chosen)."
  )
  var strict = false

  @Option(
    help: ArgumentHelp(
      "Where sorting puts what does not fit into memory (default: beside the output).", valueName: "dir"),
    completion: .directory)
  var temporary: String?

  @Flag(help: "Take rows that do not say which valuator scored them for rows of the one that others name.")
  var allowUnknownValuator = false

  @OptionGroup var fields: FieldOptions
  @OptionGroup var common: CommonOptions

  mutating func validate() throws {
    if output == "-" { output = nil }
    if files.contains("-") {
      throw ValidationError("the input is read more than once, so standard input will not do: give files")
    }
    _ = try budget()
    _ = try limits(perSourceCap, "--per-source-cap")
    _ = try limits(perSourceMin, "--per-source-min")
    if let temperature, !(temperature > 0 && temperature.isFinite) {
      throw ValidationError("--temperature \(temperature): above 0")
    }
    if let maxTokens, maxTokens < 1 { throw ValidationError("--max-tokens \(maxTokens): at least 1") }
    if let minScore, !minScore.isFinite { throw ValidationError("--min-score \(minScore): a finite number") }
    if !(likeness > 0 && likeness <= 1) {
      throw ValidationError("--likeness \(likeness): above 0 and at most 1")
    }
    if let diversity, !(diversity >= 0 && diversity.isFinite) {
      throw ValidationError("--diversity \(diversity): at least 0")
    }
    if (diversity == nil) != (valuator == nil) {
      throw ValidationError("--diversity and --valuator want each other")
    }
    if !(candidates >= 1 && candidates <= SelectionConfiguration.greatestCandidateFactor) {
      throw ValidationError("--candidates \(candidates): at least 1 and at most 1000000")
    }
    if let output, let rejects, output == rejects {
      throw ValidationError("--output and --rejects name the same file")
    }
  }

  private func budget() throws -> Budget {
    let given: [(text: String, unit: Budget.Unit)] = [
      tokens.map { ($0, .tokens) }, rows.map { ($0, .rows) }, bytes.map { ($0, .bytes) },
    ].compactMap { $0 }
    guard given.count == 1 else { throw ValidationError("give one budget: --tokens, --rows or --bytes") }
    guard let amount = Budget.amount(given[0].text) else {
      throw ValidationError(
        "--\(given[0].unit.rawValue) \(given[0].text): a whole number above 0, which may end in K, M or G")
    }
    return Budget(amount, given[0].unit)
  }

  private func limits(_ texts: [String], _ option: String) throws -> [SourceLimit] {
    try texts.map { text in
      guard let limit = SourceLimit(text) else {
        throw ValidationError(
          "\(option) \(text): an amount or a per cent of the budget, or SOURCE= and one of these")
      }
      return limit
    }
  }

  private func selectionConfiguration() throws -> SelectionConfiguration {
    let folder =
      temporary
      ?? URL(fileURLWithPath: output ?? rejects ?? NSTemporaryDirectory() + "/x")
      .deletingLastPathComponent().path
    var configuration = SelectionConfiguration(budget: try budget(), scratchFolder: folder)
    configuration.caps = try limits(perSourceCap, "--per-source-cap")
    configuration.minimums = try limits(perSourceMin, "--per-source-min")
    configuration.leastScore = minScore
    configuration.dropsOutOfDomain = dropOutOfDomain
    configuration.temperature = temperature
    configuration.seed = common.seed
    configuration.duplicates = duplicates
    configuration.likeness = likeness
    configuration.diversity = diversity
    configuration.candidateFactor = candidates
    configuration.order = order
    configuration.isStrict = strict
    configuration.tokenizer = try tokenizer.map { try Tokenizer.load($0) }
    configuration.maxTokens = maxTokens
    configuration.allowsUnknownOrigin = allowUnknownValuator
    configuration.records = fields.recordOptions
    configuration.workers = common.threads
    return configuration
  }

  func run() throws {
    let terminal = Terminal(isQuiet: common.quiet)
    let files = try InputFiles.scored(files)
    for path in files where FileStamp.isStream(path) {
      throw ValidationError("\(path): the input is read more than once, so a stream will not do: give files")
    }
    for path in [output, rejects].compactMap({ $0 }) {
      try OutputFile.refuseInputs(path, files)
      try OutputFile.refuseExisting(path, force: common.force)
    }
    let configuration = try selectionConfiguration()
    if common.dryRun {
      let plan = try SelectionPlan(configuration, files: files)
      return print(common.json ? String(decoding: plan.json.serialized(), as: UTF8.self) : plan.words)
    }
    let loaded = try valuator.map { try Valuator.load(directory: $0) }
    let run = SelectionRun(
      configuration, valuator: loaded, progress: { terminal.progress($0.words) },
      isCancelled: { Interruption.signal != nil })
    let (file, others) = (
      try output.map { try Output($0, common) }, try rejects.map { try Output($0, common) }
    )
    let summary = try run.run(files, chosen: file?.lines ?? StandardOutput(), rejects: others?.lines)
    try others?.commit()
    try file?.commit()
    summary.lines.forEach { terminal.say($0.printable) }
    summary.warnings.forEach { terminal.warn($0.printable) }
    guard common.json else { return }
    let json = String(decoding: summary.json.serialized(), as: UTF8.self)
    if output == nil { Terminal.write(json + "\n") } else { print(json) }
  }

  /// A file that is compressed by its name and there when it is whole.
  private struct Output {
    private let file: OutputFile
    let lines: CompressedOutput

    init(_ path: String, _ common: CommonOptions) throws {
      file = try OutputFile(path: path, force: common.force)
      lines = CompressedOutput(file, as: path)
    }

    func commit() throws {
      try lines.end()
      try file.commit()
    }
  }
}

extension SelectionConfiguration.Order: ExpressibleByArgument {}
extension SelectionConfiguration.Duplicates: ExpressibleByArgument {}

extension SelectionRun.Progress {
  fileprivate var words: String {
    switch self {
    case .read(let rows): "\(Budget.Unit.rows.words(rows)) read"
    case .embedded(let rows, let total): "\(rows) of \(total) candidate\(total == 1 ? "" : "s") embedded"
    case .written(let rows, let total): "\(rows) of \(Budget.Unit.rows.words(total)) written"
    }
  }
}

extension SelectionError: ExitCoded {
  var exitCode: Int32 {
    switch self {
    case .options: Exit.usage
    case .noRow, .unknownSource, .budgetExceedsData, .tooManyChosen: Exit.badData
    case .changed: Exit.inputOutput
    case .interrupted: 128 + (Interruption.signal ?? SIGINT)
    }
  }
}
