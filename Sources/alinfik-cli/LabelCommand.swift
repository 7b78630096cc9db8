import ArgumentParser
import Formats
import Foundation
import LinFiK
import TensorKernels

struct LabelCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "label",
    abstract: "Measure with real gradients what each sample is worth to the target.",
    discussion: """
      Examples:
        alinfik label --model SmolLM2-135M --target target.jsonl --sample sample.jsonl --output labels.h5
        alinfik label --model model.gguf --target t.jsonl --sample a.jsonl b.jsonl.gz --output labels.h5 \\
                      --max-tokens 512 --resume
        alinfik label --model model.gguf --target t.jsonl --sample s.jsonl --output labels.h5 \\
                      --projection pca --rank 32 --per-target --store-gradients
        alinfik label --model model.gguf --target t.jsonl --sample s.jsonl --output labels.h5 \\
                      --kind logra --rank 16 --damping 0.1
        alinfik label --model model.gguf --target t.jsonl --sample s.jsonl --output labels.h5 \\
                      --kind ekfac --curvature curvature.safetensors
        alinfik label --model last --target t.jsonl --sample s.jsonl --output labels.h5 \\
                      --kind tracin --checkpoint step-1000:2e-5 --checkpoint last:1e-5

      While it runs, finished rows are kept in OUTPUT.partial; --resume goes on from there.
      A positive label means that training on the sample lowers the target's loss.
      """)

  @OptionGroup var input: InputOptions

  @Option(name: .shortAndLong, help: "The label file to write (HDF5).", completion: .file())
  var output: String

  @Option(help: "What a label is: \(LabelKind.allCases.map(\.rawValue).joined(separator: ", ")).")
  var kind: LabelKind = .dot

  @Option(
    help: ArgumentHelp(
      "Which linear layers count, by weight name; adapter: the matrices of a LoRA adapter.", valueName: "glob"
    ))
  var layers: String = "*"

  @Option(
    help:
      "Project gradients (LoGra): none, random (unbiased; the default of logra and relatif) or pca (smaller errors of rank)."
  )
  var projection: ProjectionKind?

  @Option(help: "A side of the projection (default \(LabelDefaults.rank)).")
  var rank: Int?

  @Option(
    help: ArgumentHelp(
      "With pca: the share of a side's second moment that its components hold, at most --rank of them.",
      valueName: "share"))
  var explained: Double?

  @OptionGroup var second: SecondOrderOptions

  @Option(
    help: ArgumentHelp(
      "Curvature that `alinfik curvature` made of the same model, layers and samples; without it it is made here.",
      valueName: "file"), completion: .file())
  var curvature: String?

  @Option(
    help: ArgumentHelp(
      "A checkpoint for --kind tracin and its learning rate; may be given several times.",
      valueName: "path:rate"))
  var checkpoint: [CheckpointArgument] = []

  @Option(help: "What the factors of the model's products are rounded to: f32 or bf16; sums are f32.")
  var precision: Precision = .f32

  @Flag(help: "Keep each sample's gradient norm.")
  var gradientNorm = false

  @Flag(
    help:
      "Keep the label against each target alone; without a projection each target's whole gradient is in memory."
  )
  var perTarget = false

  @Flag(help: "Keep what each layer adds to the label.")
  var perLayer = false

  @Flag(help: "Keep each sample's projected gradient (wants a projection).")
  var storeGradients = false

  @Option(help: "How gradients are kept: f16, or int8 with a scale for 64 numbers, half the size.")
  var storeAs: GradientStorage = .f16

  @Option(
    help: ArgumentHelp(
      "Label one of n parts of the samples, into OUTPUT with the part in its name; auto: as MPI's or Slurm's variables say.",
      valueName: "i/n"),
    transform: Shard.argument)
  var shard: Shard?

  @Flag(help: "Go on from OUTPUT.partial if it is there.")
  var resume = false

  @OptionGroup var common: CommonOptions

  func validate() throws {
    if storeAs != .f16, !storeGradients { throw ValidationError("--store-as wants --store-gradients") }
    if projectionKind == .none, rank != nil {
      throw ValidationError("--rank wants --projection random or pca")
    }
    try ProjectionKind.check(explained: explained, with: projectionKind)
    try second.validate(for: kind)
    if curvature != nil, CurvatureKind(for: kind) == nil {
      throw ValidationError("--curvature: labels of --kind \(kind.rawValue) have none")
    }
    if curvature != nil, second.beta2 != nil || explained != nil {
      throw ValidationError("--beta2 and --explained are the curvature's: give them to `alinfik curvature`")
    }
    if checkpoint.isEmpty == (kind == .tracin) {
      throw ValidationError("--kind tracin and --checkpoint PATH:RATE want each other")
    }
  }

  private var projectionKind: ProjectionKind { projection ?? (kind.needsProjection ? .random : .none) }

  /// The file that is written: of a shard one of its own.
  private var file: String { shard?.path(output) ?? output }

  func run() throws {
    let terminal = Terminal(isQuiet: common.quiet)
    // A curvature file brings its own projection, and is asked about it later.
    try labelConfiguration.validate()
    try OutputFile.refuseInputs(
      file, input.target + input.source.sample + [input.source.model] + [curvature].compactMap { $0 })
    if !common.dryRun { try OutputFile.refuseExisting(file, force: common.force) }
    let (model, targets, samples) = try input.load(
      terminal, precision: precision, force: common.force || resume)
    terminal.say("products: \(model.model.precision.path)")
    let labels = try LabelRun(
      model: model, targets: targets, samples: samples, configuration: labelConfiguration,
      curvature: try loadedCurvature(model, samples),
      checkpoints: try checkpoint.map {
        try Checkpoint(path: $0.path, learningRate: $0.learningRate, like: model.model)
      })
    if let rank { try labels.watched.refuseRank(above: rank) }
    let plan = try LabelPlan(labels, workers: common.threads, measuresTime: common.dryRun)
    if common.dryRun {
      print(common.json ? plan.json : plan.description)
      return
    }
    terminal.say("plan: \(plan.description)")
    try plan.refuseTooLittleMemory()
    let progress = LabelProgressLine(terminal: terminal)
    let summary = try labels.run(
      output: file, resumes: resume, force: common.force, workers: common.threads,
      progress: { progress.show($0) }, isCancelled: { Interruption.signal != nil })
    terminal.say(
      "\(file): \(summary.samples) labels (\(labels.configuration.kind.rawValue)), \(summary.resumed) of them from the journal, "
        + String(format: "%.1f s", summary.seconds))
    if common.json { print(summary.json(output: file)) }
  }

  /// The curvature file, refused where it was made of something else.
  private func loadedCurvature(_ model: LoadedModel, _ samples: PreparedRows) throws -> Curvature? {
    guard let curvature, let wanted = CurvatureKind(for: kind) else { return nil }
    let isAsked = projection != nil || rank != nil
    return try Curvature(
      path: curvature,
      wanted: CurvatureOrigin(
        kind: wanted, model: model, watched: WatchedLayers(of: model.model, matching: layers),
        samples: samples,
        projection: isAsked ? labelConfiguration.projection : .none))
  }

  private var labelConfiguration: LabelConfiguration {
    var configuration = LabelConfiguration()
    configuration.kind = kind
    configuration.layers = layers
    configuration.projection =
      projectionKind.projection(rank: rank, explained: explained)
    configuration.damping = second.damping ?? LabelDefaults.dampingFactor
    configuration.epsilon = second.epsilon ?? LabelDefaults.epsilon
    configuration.beta2 = second.beta2 ?? LabelDefaults.beta2
    configuration.gradientNorm = gradientNorm
    configuration.perTarget = perTarget
    configuration.perLayer = perLayer
    configuration.shard = shard
    configuration.storesGradients = storeGradients
    configuration.gradientStorage = storeAs
    configuration.seed = common.seed
    configuration.maximumTokens = input.source.maxTokens
    configuration.targetDescription = input.targetDescription
    configuration.command = commandLineWithoutFolders()
    return configuration
  }
}

extension LabelKind: ExpressibleByArgument {}
extension Precision: ExpressibleByArgument {}
extension GradientStorage: ExpressibleByArgument {}

/// The command as typed, file names without folders: it may be published with the labels.
func commandLineWithoutFolders() -> String {
  let arguments = Alinfik.arguments.map { argument -> String in
    // Words with a slash between spaces are prose, such as a target's description.
    guard argument.contains("/"), !argument.contains(" ") else { return argument }
    let option = argument.hasPrefix("--") ? argument.prefix { $0 != "=" } + "=" : ""
    return option + (String(argument.dropFirst(option.count)) as NSString).lastPathComponent
  }
  return (["alinfik"] + arguments).joined(separator: " ")
}

/// One line that follows a label run; without a terminal, a line every tenth of the way.
private final class LabelProgressLine: Sendable {
  private let terminal: Terminal
  private let milestones = ProgressMilestones()

  init(terminal: Terminal) { self.terminal = terminal }

  func show(_ progress: LabelProgress) {
    switch progress {
    case .components(let done, let total):
      terminal.progress("principal components: \(done)/\(total)")
      if done == total { terminal.say("principal components: \(done)/\(total)") }
    case .curvature(let done, let total):
      terminal.progress("curvature: \(done)/\(total)")
      if done == total { terminal.say("curvature: \(done)/\(total)") }
    case .targets(let done, let total):
      terminal.progress("target gradients: \(done)/\(total)")
      if done == total { terminal.say("target gradients: \(done)/\(total)") }
    case .samples(let done, let total, let resumed, let rate):
      let before = resumed > 0 ? " (\(resumed) from the journal)" : ""
      let line =
        "labels: \(done)/\(total)\(before), "
        + String(format: "%.1f samples/s, %.0f tokens/s, ", rate.samplesPerSecond, rate.tokensPerSecond)
        + "\(durationText(rate.secondsLeft)) left"
      terminal.progress(line)
      if milestones.passes(done: done, of: total) { terminal.say(line) }
    case .writing:
      terminal.progress("writing")
    }
  }
}
