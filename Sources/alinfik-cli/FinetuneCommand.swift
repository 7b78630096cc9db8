import ArgumentParser
import FineTuning
import Formats
import Foundation
import LanguageModels
import LinFiK
import Records
import TensorKernels
import Tokenization

struct FinetuneCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "finetune",
    abstract: "Train a language model further on rows, or from nothing.",
    discussion: """
      Examples:
        alinfik finetune --model SmolLM2-135M --data best.jsonl --output better
        alinfik finetune --model model.gguf --data best.jsonl --validation report.jsonl --lora-rank 16 \\
                         --learning-rate 2e-4 --output adapter
        alinfik finetune --init config.json --tokenizer SmolLM2-135M --data text.jsonl --epochs 10 \\
                         --learning-rate 1e-3 --output small

      AdamW goes down the mean of the rows' losses, each the mean over its scored tokens, as labels see a row. All weights
      are trained, or an adapter (LoRA) beside them. The output is a directory that `alinfik`, transformers or, an adapter,
      PEFT reads. A run that was stopped goes on from OUTPUT.checkpoint.partial when it is started again.
      """)

  @Option(help: "The model to begin with: a Hugging Face directory or a GGUF file.", completion: .file())
  var model: String?

  @Option(
    help: ArgumentHelp("Begin with random weights for this config.json.", valueName: "config.json"),
    completion: .file())
  var `init`: String?

  @Option(
    help: ArgumentHelp(
      "The tokenizer, with --init: a directory, a tokenizer.json or a GGUF file.", valueName: "path"),
    completion: .file())
  var tokenizer: String?

  @Option(
    parsing: .upToNextOption, help: ArgumentHelp("The rows to train on, as JSON Lines.", valueName: "file"),
    completion: .file())
  var data: [String]

  @Option(
    parsing: .upToNextOption,
    help: ArgumentHelp(
      "Rows whose loss is said after each epoch; nothing is chosen by it.", valueName: "file"),
    completion: .file())
  var validation: [String] = []

  @Option(
    parsing: .upToNextOption,
    help: ArgumentHelp("The very steps after which it is said too, as in 10 100 1000.", valueName: "step"))
  var validateAt: [Int] = []

  @Option(
    parsing: .upToNextOption,
    help: ArgumentHelp(
      "The very steps after which the model is saved as it is then, into OUTPUT-step-N.", valueName: "step"))
  var saveAt: [Int] = []

  @Option(name: .shortAndLong, help: "The directory to write.", completion: .directory)
  var output: String

  @Option(help: "Passes over the rows.")
  var epochs = 1

  @Option(help: "Steps at most (default: all of the epochs).")
  var steps: Int?

  @Option(
    help: "Rows of a step; they go through the model in packed batches, so memory does not grow with them.")
  var batchRows = 16

  @Option(help: "The highest learning rate (default: 2e-5, with --lora-rank 2e-4).")
  var learningRate: Double?

  @Option(help: "How it goes on after the warm-up: constant, linear or cosine.")
  var schedule: FineTuningConfiguration.Schedule = .cosine

  @Option(help: "The share of all steps in which it rises.")
  var warmUp = 0.05

  @Option(help: "Decay of matrices, AdamW's.")
  var weightDecay = 0.01

  @Option(help: "The longest gradient.")
  var clipNorm = 1.0

  @Option(help: "Train a LoRA adapter of this rank, and no weight of the model.")
  var loraRank: Int?

  @Option(help: "Its product is multiplied by alpha / rank (default: twice the rank).")
  var loraAlpha: Double?

  @Option(help: ArgumentHelp("Which linear layers get an adapter, by weight name.", valueName: "glob"))
  var layers: String = "*"

  @Option(help: "Keep the first N tokens of a row (default: a row longer than the context is an error).")
  var maxTokens: Int?

  @Option(help: "What to do with a bad line, or a row without a scored token: fail or skip.")
  var onError: OnError = .fail

  enum OnError: String, ExpressibleByArgument, CaseIterable { case fail, skip }

  @Option(help: "Steps between two checkpoints (default: one after each epoch).")
  var checkpointEvery: Int?

  @Option(
    help: "What the factors of products are rounded to: f32 or bf16. Weights, sums and moments are f32.")
  var precision: Precision = .f32

  @Flag(help: "Take the rows in the order in which they are given.")
  var keepOrder = false

  @OptionGroup var fields: FieldOptions
  @OptionGroup var common: CommonOptions

  func validate() throws {
    if (model == nil) == (`init` == nil) { throw ValidationError("give --model or --init, one of them") }
    if (`init` == nil) != (tokenizer == nil) {
      throw ValidationError("--init and --tokenizer want each other")
    }
    if `init` != nil, loraRank != nil {
      throw ValidationError("--lora-rank wants --model: an adapter changes a model that has learnt something")
    }
    if loraRank == nil, loraAlpha != nil || layers != "*" {
      throw ValidationError("--lora-alpha and --layers want --lora-rank")
    }
    if !validateAt.isEmpty, validation.isEmpty { throw ValidationError("--validate-at wants --validation") }
    if let maxTokens, maxTokens < 2 { throw ValidationError("--max-tokens \(maxTokens): at least 2") }
  }

  func run() throws {
    let terminal = Terminal(isQuiet: common.quiet)
    let name = OutputDirectory.name(output)
    let configuration = fineTuningConfiguration
    try configuration.check()
    try OutputFile.refuseInputs(name, data + validation + [model, `init`, tokenizer].compactMap { $0 })
    if !common.dryRun {
      for name in [name] + saveAt.map({ savedName($0) }) {
        try TrainedModelDirectory.refuseExisting(name, force: common.force)
      }
    }
    let training = try modelInTraining()
    let start = try training.model()
    terminal.say("model: \(start.summary)")
    terminal.say("trained: \(training.summary)")
    terminal.say("products: \(precision.path)")
    let tokenizer = try Tokenizer.load(carrying: ModelLoader.tokenizerPath(path: tokenizer ?? model ?? ""))
    guard tokenizer.vocabularySize <= start.vocabularySize else {
      throw ModelError.configuration(
        self.tokenizer ?? model ?? "",
        "its tokenizer knows \(tokenizer.vocabularySize) tokens, the model only \(start.vocabularySize)")
    }
    let encoder = SampleEncoder(
      tokenizer: tokenizer, maximumTokens: maxTokens, contextLength: start.contextLength)
    let rows = try self.rows(data, encoder, "data", terminal)
    let heldOut = validation.isEmpty ? nil : try self.rows(validation, encoder, "validation", terminal)
    if heldOut?.count == 0 { throw FineTuningError.noHeldOutRow }
    let run = try FineTuningRun(
      training: training, rows: rows.sequences, validation: heldOut?.sequences ?? [],
      configuration: configuration, origin: try origin(rows, heldOut))
    let plan = FineTuningPlan(run, model: start, workers: common.threads)
    if common.dryRun {
      print(common.json ? plan.json : plan.description)
      return
    }
    terminal.say("plan: \(plan.description)")
    let checkpoint = name + ".checkpoint.partial"
    let line = FineTuningLine(terminal: terminal)
    func directory(_ outcome: FineTuningRun.Outcome) -> TrainedModelDirectory {
      TrainedModelDirectory(run: run, outcome: outcome, tokenizer: loraRank == nil ? tokenizer : nil)
    }
    let outcome = try run.run(
      checkpoint: checkpoint, workers: common.threads, progress: line.show,
      // A run that was killed may come to a step twice.
      save: { try directory($0).write(to: savedName($0.losses.count), force: true) },
      finish: { try directory($0).write(to: name, force: common.force) },
      isCancelled: { Interruption.signal != nil })
    try FineTuningRun.discardCheckpoint(checkpoint)
    terminal.say(
      "\(name): \(outcome.losses.count) steps, \(durationText(outcome.seconds)), loss of the first step's rows "
        + String(
          format: "%.4f, of the last's %.4f", outcome.losses.first ?? .nan, outcome.losses.last ?? .nan))
    if common.json {
      print(String(decoding: directory(outcome).summary(output: name).serialized(), as: UTF8.self))
    }
  }

  private func savedName(_ step: Int) -> String { "\(OutputDirectory.name(output))-step-\(step)" }

  private func modelInTraining() throws -> any ModelInTraining {
    if let `init` {
      return try WholeModel(
        ModelSource(untrained: `init`) { RandomWeights(path: $0, start: $1, seed: common.seed) },
        precision: precision)
    }
    guard let model else { preconditionFailure("neither --model nor --init") }
    guard let loraRank else {
      return try WholeModel(ModelSource(path: model), precision: precision)
    }
    let base = try ModelLoader.load(path: model, precision: precision)
    guard base.adapterLayers.isEmpty else {
      throw FineTuningError.options("\(model) is an adapter already; give the model that it changes")
    }
    let watched = try WatchedLayers(of: base, matching: layers)
    return try AdapterInTraining(
      base: base, path: model, layers: base.linearLayers.indices.filter { watched.place(ofLayer: $0) != nil },
      rank: loraRank, alpha: loraAlpha ?? 2 * Double(loraRank), seed: common.seed)
  }

  private func rows(
    _ paths: [String], _ encoder: SampleEncoder, _ name: String, _ terminal: Terminal
  ) throws -> PreparedRows {
    var options = fields.recordOptions
    options.onError = onError == .skip ? .skip : .fail
    return try preparedRows(paths, options, encoder, maxTokens: maxTokens, as: name, terminal)
  }

  /// Hashes of what is trained and on what.
  private func origin(_ rows: PreparedRows, _ heldOut: PreparedRows?) throws -> JSONValue {
    [
      "model_sha256": JSONValue(try model.map(ModelLoader.sha256) ?? FileHash.sha256(path: `init` ?? "")),
      "data_sha256": JSONValue(rows.sha256), "validation_sha256": JSONValue(heldOut?.sha256 ?? ""),
      "kernels": JSONValue(vectorInstructionSet), "precision": JSONValue(precision.rawValue),
      "max_tokens": maxTokens.map { JSONValue($0) } ?? .null,
    ]
  }

  private var fineTuningConfiguration: FineTuningConfiguration {
    var configuration = FineTuningConfiguration()
    configuration.epochs = epochs
    configuration.steps = steps
    configuration.batchRows = batchRows
    configuration.learningRate = learningRate ?? (loraRank == nil ? 2e-5 : 2e-4)
    configuration.schedule = schedule
    configuration.warmUp = warmUp
    configuration.weightDecay = weightDecay
    configuration.clipNorm = clipNorm
    configuration.keepsOrder = keepOrder
    configuration.seed = common.seed
    configuration.validationSteps = Set(validateAt)
    configuration.savedSteps = Set(saveAt)
    configuration.checkpointEvery = checkpointEvery
    return configuration
  }
}

extension FineTuningConfiguration.Schedule: ExpressibleByArgument {}

/// One line that follows a fine-tuning; without a terminal, a line every tenth of the way.
private final class FineTuningLine: Sendable {
  private let terminal: Terminal
  private let milestones = ProgressMilestones()

  init(terminal: Terminal) { self.terminal = terminal }

  func show(_ progress: FineTuningProgress) {
    switch progress {
    case .resumed(let step): terminal.say("resumed after step \(step)")
    case .step(let step, let count, let loss, let norm, let left):
      let line = String(
        format: "step %d/%d: loss %.4f, gradient %.3g, %@ left", step, count, loss, norm, durationText(left))
      terminal.progress(line)
      if milestones.passes(done: step, of: count) { terminal.say(line) }
    case .validated(let step, let loss):
      terminal.say(String(format: "after step %d: held-out loss %.4f", step, loss))
    }
  }
}
