import ArgumentParser
import Formats
import Foundation
import Settlement

struct ReportCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "report",
    abstract: "Say what each provider's scored rows are worth, and what is paid for them by a stated policy.",
    discussion: """
      Examples:
        alinfik report scored.jsonl --by source --output report
        alinfik report scored/*.jsonl.gz --by meta.vendor --budget "10000 EUR" --policy share --output report
        alinfik report scored.jsonl --by source --budget 10000 --policy floor-slope --floor 0.05 --slope 0.5 --output report
        alinfik report scored.jsonl --by source --provider acme --include-texts --output acme-report

      Reads records as alinfik score writes them. A text counts once, for the provider that stands first in the input; rows out of
      the valuator's domain do not count. Writes report.html and report.json. With --provider they hold that provider's own numbers
      beside the pool's, and nothing that names another.
      """)

  @Argument(
    help: ArgumentHelp(
      "Scored records, plain, .gz or .zst, and folders of them (-: standard input).", valueName: "file"),
    completion: .file())
  var files: [String]

  @Option(help: ArgumentHelp("Where a record says who brought it.", valueName: "dot.path"))
  var by: String = SettlementOptions().by

  @Option(name: .shortAndLong, help: "The folder for report.html and report.json.", completion: .directory)
  var output: String

  @Option(help: "The one provider whom the report is for.")
  var provider: String?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "Money to divide, at most two decimals (or as many as the currency has): 1500, '1500.50 EUR'.",
      valueName: "money"))
  var budget: String?

  @Option(
    help: """
      How it is divided: share (by each provider's value), or floor-slope (--floor for a thousand tokens and --slope for a unit of \
      value, the budget being the most that is spent).
      """)
  var policy: Policy?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp("With floor-slope: money for a thousand counted tokens.", valueName: "price"))
  var floor: String?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp("With floor-slope: money for a unit of value.", valueName: "price"))
  var slope: String?

  @Option(
    help: """
      A row's value: its score times its thousands of tokens, which cutting texts up does not change by itself, or (rows) its \
      score, however long it is.
      """)
  var weight: SettlementOptions.Weight = .tokens

  @Option(
    help: """
      What becomes of copies: near and exact ones count once, exact ones alone do, or keep them, which count like other rows. \
      In memory stay about 60 bytes a text for exact ones, 500 for near ones.
      """)
  var duplicates: Duplicates = .near

  @Option(
    help: "From which likeness (Jaccard's, of 9-byte shingles) a text is a near copy, above 0 and at most 1.")
  var likeness: Double = SettlementOptions.standardLikeness

  @Flag(help: "Count rows too that are out of the valuator's domain.")
  var countOutOfDomain = false

  @Flag(help: "Show the beginning of the best and worst rows' texts; their ids alone by default.")
  var includeTexts = false

  @Option(help: "Bootstrap resamples.")
  var resamples: Int = SettlementOptions().resamples

  @Flag(help: "Take rows that do not say which valuator scored them for rows of the one that others name.")
  var allowUnknownValuator = false

  @OptionGroup var fields: TextOptions
  @OptionGroup var common: CommonOptions

  enum Policy: String, ExpressibleByArgument, CaseIterable {
    case share
    case floorSlope = "floor-slope"
  }

  enum Duplicates: String, ExpressibleByArgument, CaseIterable {
    case near, exact, keep

    /// `count` is what `keep` was called.
    init?(argument: String) { self.init(rawValue: argument == "count" ? "keep" : argument) }
  }

  func validate() throws {
    if files.isEmpty { throw ValidationError("at least one file of scored records is wanted") }
    if by.isEmpty { throw ValidationError("--by wants a field's name") }
    if !(likeness > 0 && likeness <= 1) {
      throw ValidationError("--likeness \(likeness): above 0 and at most 1")
    }
    if !(100...100_000).contains(resamples) {
      throw ValidationError("--resamples \(resamples): between 100 and 100000")
    }
    if (budget == nil) != (policy == nil) {
      throw ValidationError("--budget and --policy want each other: a price is named only by a stated policy")
    }
    if policy != .floorSlope, floor != nil || slope != nil {
      throw ValidationError("--floor and --slope are prices of --policy floor-slope")
    }
    do { _ = try options() } catch { throw ValidationError("\(error)") }
  }

  func run() throws {
    let terminal = Terminal(isQuiet: common.quiet)
    let files = try InputFiles.scored(files)
    try OutputFile.refuseInputs(output, files)
    if common.dryRun {
      return printPlan(of: try options(), inputs: files.count)
    }
    let folder = try OutputDirectory(
      path: output, entries: ["report.json", "report.html"], force: common.force)
    let settlement = try SettlementRun.settle(
      files, records: fields.recordOptions, try options(), workers: common.threads
    ) { rows in
      if let signal = Interruption.signal { throw Interrupted(signal: signal) }
      terminal.progress("\(rows) rows")
    }
    try settlement.write(to: folder.temporaryPath)
    try folder.commit()
    say(settlement, terminal)
    if common.json { print(settlement.briefJSON(output: output)) }
  }

  private func printPlan(of options: SettlementOptions, inputs: Int) {
    let plan: JSONValue = [
      "inputs": JSONValue(inputs), "memory_bytes_per_text": JSONValue(options.bytesPerText),
      "memory_bytes_per_provider": JSONValue(options.bytesPerProvider),
    ]
    let words =
      "\(inputs == 1 ? "1 input" : "\(inputs) inputs"), read once; about \(options.bytesPerText) bytes a text and"
      + " \(options.bytesPerProvider) a provider stay in memory"
    print(common.json ? String(decoding: plan.serialized(), as: UTF8.self) : words)
  }

  private func options() throws -> SettlementOptions {
    var options = SettlementOptions()
    options.by = by
    options.weight = weight
    options.duplicates =
      switch duplicates {
      case .near: .near(likeness)
      case .exact: .exact
      case .keep: .keep
      }
    options.countsOutside = countOutOfDomain
    options.allowsUnknownOrigin = allowUnknownValuator
    options.resamples = resamples
    options.seed = common.seed
    options.includesTexts = includeTexts
    options.provider = provider
    if let budget, let policy { options.payment = (try Money(budget: budget), try self.policy(policy)) }
    return options
  }

  private func policy(_ policy: Policy) throws -> PaymentPolicy {
    guard policy == .floorSlope else { return .share }
    return try .priceList(
      floor: try floor.map { try PaymentPolicy.price($0, option: "--floor") } ?? 0,
      slope: try slope.map { try PaymentPolicy.price($0, option: "--slope") } ?? 0)
  }

  private func say(_ settlement: Settlement, _ terminal: Terminal) {
    let unknown = settlement.facts.rowsOfUnknownValuator
    if unknown > 0 {
      terminal.warn(
        "\(unknown == 1 ? "1 row does" : "\(unknown) rows do") not say which valuator scored them (alinfik score adds alinfik_valuator)"
      )
    }
    if settlement.pool.withoutScore > 0 {
      let rows = settlement.pool.withoutScore
      terminal.warn("\(rows == 1 ? "1 row has" : "\(rows) rows have") no score (alinfik_error)")
    }
    if let reason = settlement.whyNobodyIsPaid { terminal.warn(reason) }
    settlement.summary.forEach { terminal.say($0.printable) }
    terminal.say("report: \(output)/report.html")
  }
}

extension SettlementOptions.Weight: ExpressibleByArgument {}

extension SettlementError: ExitCoded {
  var exitCode: Int32 {
    switch self {
    case .options: Exit.usage
    case .noSuchProvider, .empty, .tooManyProviders, .rawScores: Exit.badData
    }
  }
}
