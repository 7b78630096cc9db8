import ArgumentParser
import Formats
import LinFiK
import TensorKernels

struct CurvatureCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "curvature",
    abstract: "Make once, from the samples, the curvature that labels for any target can use.",
    discussion: """
      Examples:
        alinfik curvature --kind ekfac --model model.gguf --sample s.jsonl --output curvature.safetensors
        alinfik label --kind ekfac --curvature curvature.safetensors --model model.gguf --sample s.jsonl \\
                      --target t.jsonl --output labels.h5
        alinfik curvature --kind logra --projection pca --rank 32 --model MODEL --sample s.jsonl --output c.safetensors
        alinfik curvature --kind logra --shard 1/4 --model MODEL --sample s.jsonl --output c.safetensors
        alinfik curvature --kind adam --optimizer-state adam.safetensors --step 1000 --model MODEL --output c.safetensors

      A curvature is refused where model, layers, precision or samples (or --max-tokens) are others. Damping is no part of it.
      relatif uses logra's.
      """)

  @OptionGroup var source: SampleOptions

  @Option(name: .shortAndLong, help: "The curvature file to write (safetensors).", completion: .file())
  var output: String

  @Option(help: "The labels it is for: logra, relatif, ekfac or adam.")
  var kind: LabelKind

  @Option(help: ArgumentHelp("Which linear layers count, by weight name.", valueName: "glob"))
  var layers: String = "*"

  @Option(help: "For logra and relatif: random (default) or pca.")
  var projection: ProjectionKind?

  @Option(help: "A side of the projection (default \(LabelDefaults.rank)).")
  var rank: Int?

  @Option(
    help: ArgumentHelp(
      "With pca: the share of a side's second moment that its components hold, at most --rank of them.",
      valueName: "share"))
  var explained: Double?

  @Option(help: "For adam: how slowly the second moment forgets (default \(LabelDefaults.beta2)).")
  var beta2: Double?

  @Option(
    help: ArgumentHelp(
      "For adam: a safetensors file with NAME.exp_avg_sq for every watched weight, instead of a pass over samples.",
      valueName: "file"), completion: .file())
  var optimizerState: String?

  @Option(help: "For --optimizer-state: the steps it has taken, by which it is corrected for its beginning.")
  var step: Int?

  @Option(
    help: ArgumentHelp(
      "Add up one of n parts of the samples (at most \(SummationBlocks.count)), for `alinfik merge`; auto: as MPI's or Slurm's variables say.",
      valueName: "i/n"),
    transform: Shard.argument)
  var shard: Shard?

  @Option(
    help: ArgumentHelp(
      "For ekfac with --shard: the basis that the first round's shards were merged to; makes the second round.",
      valueName: "file"), completion: .file())
  var basis: String?

  @Option(help: "What the factors of the model's products are rounded to: f32 or bf16; sums are f32.")
  var precision: Precision = .f32

  @OptionGroup var common: CommonOptions

  func validate() throws {
    guard CurvatureKind(for: kind) != nil else {
      throw ValidationError("--kind \(kind.rawValue): its labels have no curvature")
    }
    if kind.needsProjection {
      if projection == ProjectionKind.none {
        throw ValidationError("--kind \(kind.rawValue) is measured on projected gradients")
      }
      try ProjectionKind.check(explained: explained, with: projection)
      if let rank, rank < 1 { throw ValidationError("--rank \(rank): at least 1") }
    } else if projection != nil || rank != nil || explained != nil {
      throw ValidationError("--projection, --rank and --explained want --kind logra or relatif")
    }
    if kind != .adam, beta2 != nil || optimizerState != nil {
      throw ValidationError("--beta2 and --optimizer-state want --kind adam")
    }
    if let beta2, beta2 < 0 || beta2 >= 1 {
      throw ValidationError("--beta2 \(beta2): a number from 0 to below 1 is wanted")
    }
    if shard != nil, optimizerState != nil {
      throw ValidationError("--shard: an optimizer's state is read by one run")
    }
    if let shard, shard.count > SummationBlocks.count {
      throw ValidationError("--shard \(shard): at most \(SummationBlocks.count) parts")
    }
    if basis != nil, shard == nil || kind != .ekfac {
      throw ValidationError("--basis wants --kind ekfac and --shard")
    }
    if (optimizerState == nil) != (step == nil) {
      throw ValidationError("--optimizer-state FILE and --step N want each other")
    }
    if let step, step < 1 { throw ValidationError("--step \(step): at least 1") }
    if (optimizerState == nil) == source.sample.isEmpty {
      throw ValidationError("either --sample or --optimizer-state is wanted")
    }
  }

  /// The file that is written: of a shard one of its own.
  private var file: String { shard?.path(output) ?? output }

  func run() throws {
    let terminal = Terminal(isQuiet: common.quiet)
    try OutputFile.refuseInputs(
      file, source.sample + [source.model] + [optimizerState, basis].compactMap { $0 })
    if !common.dryRun { try OutputFile.refuseExisting(file, force: common.force) }
    let model = try source.loadModel(terminal, precision: precision)
    let watched = try WatchedLayers(of: model.model, matching: layers)
    if let rank { try watched.refuseRank(above: rank) }
    let samples = optimizerState == nil ? try source.load(model, terminal, force: common.force) : nil
    if let samples, samples.records.isEmpty { throw LabelError.noSample }
    let recipe = CurvatureRecipe(
      kind: CurvatureKind(for: kind)!, model: model, watched: watched, samples: samples,
      projection: kind.needsProjection
        ? (projection ?? .random).projection(rank: rank, explained: explained) : .none,
      beta2: beta2 ?? LabelDefaults.beta2, seed: common.seed)
    terminal.say("plan: \(recipe.planDescription)")
    if common.dryRun { return }
    try recipe.refuseTooLittleMemory(shard: shard)
    if let shard {
      var wanted = recipe.origin
      wanted.kind = .ekfacBasis
      let made = try recipe.shard(
        shard, basis: try basis.map { try Curvature(path: $0, wanted: wanted) }, workers: common.threads,
        progress: steps(terminal))
      try made.write(to: file, force: common.force)
      return terminal.say("\(file): shard \(shard)")
    }
    let curvature =
      try optimizerState.map { try recipe.curvature(optimizerState: $0, step: step!) }
      ?? made(recipe, terminal)
    try curvature.write(to: output, force: common.force)
    terminal.say(
      "\(output): \(curvature.origin.kind.rawValue) curvature of \(recipe.watched.layers.count) layers")
    if common.json { print(curvature.json(output: output)) }
  }

  private func made(_ recipe: CurvatureRecipe, _ terminal: Terminal) throws -> Curvature {
    try recipe.curvature(workers: common.threads, progress: steps(terminal))
  }

  private func steps(_ terminal: Terminal) -> @Sendable (_ done: Int, _ of: Int) throws -> Void {
    let milestones = ProgressMilestones()
    return { done, total in
      if let signal = Interruption.signal { throw Interrupted(signal: signal) }
      terminal.progress("curvature: \(done)/\(total)")
      if milestones.passes(done: done, of: total) { terminal.say("curvature: \(done)/\(total)") }
    }
  }
}
