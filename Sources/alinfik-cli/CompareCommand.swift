import ArgumentParser
import Comparison
import Encoder
import Formats
import Foundation
import LinFiK
import Reporting

struct CompareCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "compare",
    abstract:
      "Hold a valuator against influence methods and plain baselines, and say how true and how cheap each is.",
    discussion: """
      Examples:
        alinfik compare --model MODEL --target target.jsonl --sample sample.jsonl \\
                        --labels labels.h5 --valuator valuator --output report
        alinfik compare --model MODEL --target target.jsonl --sample sample.jsonl --output report \\
                        --checkpoint step-1000:2e-5 --checkpoint step-2000:1e-5
        alinfik compare --model MODEL --target target.jsonl --sample sample.jsonl --output report \\
                        --kind ekfac --kind relatif

      Rows that the valuator has seen are left out. Writes report.html and report.json.
      """)

  @OptionGroup var input: InputOptions

  @Option(
    help: "Labels of the samples, as alinfik label makes them; without it they are computed.",
    completion: .file())
  var labels: String?

  @Option(help: "The valuator on trial.", completion: .directory)
  var valuator: String?

  @Option(name: .shortAndLong, help: "The folder for report.html and report.json.", completion: .directory)
  var output: String

  @Option(
    help: ArgumentHelp(
      "A checkpoint for TracIn and TRAK, and its learning rate; may be given several times.",
      valueName: "path:rate"))
  var checkpoint: [CheckpointArgument] = []

  @Option(
    help:
      "A further kind of label to hold against the others: \(ComparisonRun.furtherKinds.map(\.rawValue).joined(separator: ", ")); may be given several times."
  )
  var kind: [LabelKind] = []

  @Option(
    help: ArgumentHelp(
      "Hold first-order in-run Data Shapley against the others too: the learning rate of its pass of gradient descent.",
      valueName: "rate"))
  var inRunShapley: Double?

  @Option(
    help: ArgumentHelp(
      "Which linear layers count, by weight name; adapter: the matrices of a LoRA adapter.", valueName: "glob"
    ))
  var layers: String = "*"

  @Option(help: "A side of LoGra's projection (default \(ComparisonConfiguration().rank)).")
  var rank: Int?

  @Option(help: "LoGra's damping, as a share of a layer's mean eigenvalue.")
  var damping: Double = LabelDefaults.dampingFactor

  @Option(help: "Rows on which the model is really stepped (0: none).")
  var oracleRows: Int = 32

  @Option(help: "Targets whose loss the real steps are measured on.")
  var oracleTargets: Int = 8

  @Option(help: "Rows labelled by two halves of the target, to say how far any method can agree (0: none).")
  var ceilingRows: Int = ComparisonConfiguration().ceilingRows

  @Flag(help: "Leave texts out of the report.")
  var withoutTexts = false

  @OptionGroup var common: CommonOptions

  func validate() throws {
    if let other = kind.first(where: { !ComparisonRun.furtherKinds.contains($0) }) {
      throw ValidationError("--kind \(other.rawValue): it is in the report anyway")
    }
    if Set(kind).count < kind.count { throw ValidationError("--kind: one is given twice") }
    if let inRunShapley, !(inRunShapley > 0 && inRunShapley.isFinite) {
      throw ValidationError("--in-run-shapley \(inRunShapley): a learning rate above 0")
    }
    guard rank ?? 1 >= 1, damping > 0, oracleRows >= 0, ceilingRows >= 0, oracleTargets >= 1 else {
      throw ValidationError(
        "--rank and --oracle-targets want at least 1, --damping more than 0, --oracle-rows and --ceiling-rows at least 0"
      )
    }
  }

  func run() throws {
    let terminal = Terminal(isQuiet: common.quiet)
    let folder =
      common.dryRun
      ? nil
      : try OutputDirectory(
        path: output, entries: ["report.json", "report.html"], force: common.force)
    let valuatorLoaded = try valuator.map { try Valuator.load(directory: $0) }
    let labelFile = try labels.map { try LabelFile(path: $0) }
    let (model, targets, samples) = try input.load(terminal, force: common.force)
    let comparison = try ComparisonRun(
      model: model, targets: targets, samples: samples, labels: labelFile, valuator: valuatorLoaded,
      valuatorPath: valuator, configuration: try comparisonConfiguration(model)
    ) { step in
      if let signal = Interruption.signal { throw Interrupted(signal: signal) }
      switch step {
      case .rows(let method, let done, let total): terminal.progress("\(method): \(done)/\(total)")
      case .method(let name, let done, let total): terminal.say("\(name): \(done)/\(total) methods")
      }
    }
    guard let folder else {
      print(comparison.planDescription)
      return
    }
    let report = try comparison.run()
    try report.write(to: folder.temporaryPath)
    try folder.commit()
    report.summary.forEach(terminal.say)
    terminal.say("report: \(output)/report.html")
    if common.json { print(report.briefJSON(output: output)) }
  }

  private func comparisonConfiguration(_ model: LoadedModel) throws -> ComparisonConfiguration {
    var configuration = ComparisonConfiguration()
    configuration.layers = layers
    if let rank {
      try WatchedLayers(of: model.model, matching: layers).refuseRank(above: rank)
      configuration.rank = rank
    }
    configuration.dampingFactor = damping
    configuration.kinds = kind
    configuration.checkpoints = try checkpoint.map {
      try Checkpoint(path: $0.path, learningRate: $0.learningRate, like: model.model)
    }
    configuration.inRunRate = inRunShapley
    configuration.oracleRows = oracleRows
    configuration.oracleTargets = oracleTargets
    configuration.ceilingRows = ceilingRows
    configuration.seed = common.seed
    configuration.maximumTokens = input.source.maxTokens
    configuration.targetDescription = input.targetDescription
    configuration.command = commandLineWithoutFolders()
    configuration.showsTexts = !withoutTexts
    configuration.workers = common.threads
    return configuration
  }
}

extension ComparisonError: ExitCoded {
  var exitCode: Int32 {
    switch self {
    case .mismatch: Exit.usage
    case .tooFewRows: Exit.badData
    }
  }
}

extension ReportingError: ExitCoded {
  var exitCode: Int32 {
    switch self {
    case .cannotWrite: Exit.inputOutput
    case .cannotRead: Exit.badData
    }
  }
}

/// A command that was asked to stop where it has nothing to keep.
struct Interrupted: ExitCoded, CustomStringConvertible {
  let signal: Int32
  var exitCode: Int32 { 128 + signal }
  var description: String { "interrupted" }
}
