import ArgumentParser
import Distill
import Encoder
import Formats
import Foundation

struct TrainCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "train",
    abstract: "Teach a small encoder to predict labels from the text alone.",
    discussion: """
      Examples:
        alinfik train labels.h5 --output valuator --init all-MiniLM-L6-v2
        alinfik train a.h5 b.h5 --output valuator --init all-MiniLM-L6-v2 --test-rows 400 --seed 1
        alinfik train labels.h5 --output small --init MODEL --size small
        alinfik train labels.h5 --output base --init MODEL --size base
        alinfik score base others.jsonl --pooling first --output scored.jsonl
        alinfik train labels.h5 --output small --init MODEL --size small --teacher base --scored scored.jsonl
        alinfik train labels.h5 --output valuator --tokenizer all-MiniLM-L6-v2 --layers 4 --hidden-size 256

      Rows are split by the SHA-256 of their text into training, validation (which stops the training), calibration
      (the map to label units) and test (read once, at the end). Label files must share kind, model and target.
      """)

  @Argument(help: "Label files of `alinfik label`.", completion: .file())
  var labels: [String]

  @Option(name: .shortAndLong, help: "The valuator's directory.", completion: .directory)
  var output: String

  @Option(
    name: .customLong("init"),
    help: "A BERT encoder to start from, such as all-MiniLM-L6-v2; with --first-layers the language model.",
    completion: .file())
  var initial: String?

  @Option(
    help: """
      With a language model as --init: small reads texts by its token embeddings alone, at thousands a second; base by the \
      whole model and its predictions, truest, at a fraction of what labels cost. Either hands out that part of the model.
      """)
  var size: Size?

  @Option(help: "As --size, with the first N layers of the language model (0 is small, all of them base).")
  var firstLayers: Int?

  @Option(
    help: """
      With --size or --first-layers: a truer valuator for the same target, whose scores of other records are learnt from \
      beside the labels.
      """, completion: .directory)
  var teacher: String?

  @Option(
    parsing: .upToNextOption,
    help: ArgumentHelp(
      "With --teacher: what `alinfik score TEACHER --pooling first` wrote, without --raw.",
      valueName: "file"), completion: .file())
  var scored: [String] = []

  @Option(
    help: ArgumentHelp(
      """
      With --size or --first-layers: keep what the layers make of the texts, for other trainings on them (default: in \
      OUTPUT.features.partial until the valuator is written, where a training that was stopped finds it).
      """, valueName: "file"), completion: .file())
  var features: String?

  @Flag(help: "Let the valuator carry the texts of the labelled rows, which `alinfik explain` then shows.")
  var includeTexts = false

  enum Size: String, ExpressibleByArgument, CaseIterable { case small, base }

  /// Whether the encoder is a language model's own layers.
  private var readsLayers: Bool { size != nil || firstLayers != nil }

  @Option(help: "Without --init: whose tokenizer the new encoder uses.", completion: .file())
  var tokenizer: String?

  @Option(help: "Without --init: how many layers the encoder has (default \(EncoderSize().layers)).")
  var layers: Int?

  @Option(help: "Without --init: how wide it is (default \(EncoderSize().hiddenSize)).")
  var hiddenSize: Int?

  @Option(help: "Without --init: attention heads (default \(EncoderSize().heads)).")
  var heads: Int?

  @Option(
    help: """
      Read the first N tokens of a text (default: \(Trainer.standardMaxTokens); with --first-layers as many as the model \
      read for the labels).
      """)
  var maxTokens: Int?

  @Option(
    help: """
      How the valuator multiplies when it scores: f32, bf16 or, for a text encoder, int8. Its map to label units, its intervals \
      and what is measured of it are then those of this precision; the training is in f32.
      """)
  var precision: ValuatorPrecision = .f32

  @Option(help: "Rows of the test part (default: 15 %).")
  var testRows: Int?

  @Option(
    help: ArgumentHelp(
      "Keep a source from all but the test part, to see how true the valuator is of what it never saw.",
      valueName: "source"))
  var leaveOut: [String] = []

  @Option(help: "Passes over the training rows at most.")
  var epochs: Int = Optimisation().epochs

  @Option(help: "Epochs clearly worse than the best on the validation rows before it stops.")
  var patience: Int = Optimisation().patience

  @Option(help: "Rows a step.")
  var batchRows: Int = Optimisation().batchRows

  @Option(help: "The highest learning rate, that of the topmost layer.")
  var learningRate: Double = Optimisation().learningRate

  @Option(help: "The head's highest learning rate.")
  var headLearningRate: Double = Optimisation().headLearningRate

  @Option(
    help:
      "How much of a label's deviation from its source and length is aimed at, 0 to 1 (default: by the rows)."
  )
  var withinSourceShare: Double?

  @Option(help: "How often a text is shown as a random part of itself, 0 to 1.")
  var cropShare: Double = Optimisation().cropShare

  @Flag(help: "Train the embedding tables too.")
  var trainEmbeddings = false

  @OptionGroup var common: CommonOptions

  func validate() throws {
    if size != nil && firstLayers != nil {
      throw ValidationError("--size and --first-layers say the same; give one of them")
    }
    if readsLayers && initial == nil {
      throw ValidationError("--\(size == nil ? "first-layers" : "size") wants the language model as --init")
    }
    if !readsLayers, let initial, initial.hasSuffix(".gguf") {
      throw ValidationError(
        "--init \(initial) is a language model: say with --size small or base how much of it to use")
    }
    if (teacher == nil) != scored.isEmpty {
      throw ValidationError(
        teacher == nil
          ? "--scored wants --teacher, whose scores they are" : "--teacher wants --scored, what it scored")
    }
    if teacher != nil && !readsLayers {
      throw ValidationError(
        "--teacher is for --size and --first-layers, which learn from scores in closed form")
    }
    if precision == .int8 && readsLayers {
      throw ValidationError("--precision int8 is for text encoders; a language model's layers take bf16")
    }
    if features != nil && !readsLayers {
      throw ValidationError("--features is for --size and --first-layers, whose layers are frozen")
    }
    let standard = Optimisation()
    let isTuned =
      epochs != standard.epochs || patience != standard.patience || batchRows != standard.batchRows
      || learningRate != standard.learningRate || headLearningRate != standard.headLearningRate
      || cropShare != standard.cropShare || trainEmbeddings
    if readsLayers && isTuned {
      throw ValidationError(
        "a language model's layers are frozen: --epochs, --patience, --batch-rows, --learning-rate, --head-learning-rate, "
          + "--crop-share and --train-embeddings are for encoders that are fine-tuned")
    }
    if (initial == nil) == (tokenizer == nil) {
      throw ValidationError("give either --init ENCODER or, to begin from random weights, --tokenizer PATH")
    }
    if initial != nil, layers != nil || hiddenSize != nil || heads != nil {
      throw ValidationError("--layers, --hidden-size and --heads are for an encoder without --init")
    }
    let size = encoderSize
    if !(1...256).contains(size.layers) || !(1...16384).contains(size.hiddenSize)
      || !(1...1024).contains(size.heads)
    {
      throw ValidationError(
        "--layers is within 1...256, --hidden-size within 1...16384, --heads within 1...1024")
    }
    for (name, rate) in [("learning-rate", learningRate), ("head-learning-rate", headLearningRate)]
    where !(rate > 0 && rate <= 1) { throw ValidationError("--\(name) \(rate): above 0 and at most 1") }
    for (name, share) in [("within-source-share", withinSourceShare ?? 0), ("crop-share", cropShare)]
    where !(0...1).contains(share) { throw ValidationError("--\(name) \(share): from 0 to 1") }
    if epochs < 1 || patience < 1 || batchRows < 1 {
      throw ValidationError("--epochs, --patience and --batch-rows are above zero")
    }
    if let testRows, testRows < 0 { throw ValidationError("--test-rows \(testRows): at least 0") }
  }

  func run() throws {
    let terminal = Terminal(isQuiet: common.quiet)
    if !common.dryRun { try Valuator.refuseExisting(output, force: common.force) }
    let dataset = try DistillationDataset(labelFiles: labels)
    terminal.say("\(dataset.rows.count) rows of kind \(dataset.kind)")
    let trainer = Trainer(
      configuration: trainingConfiguration, dataset: dataset, isCancelled: { Interruption.signal != nil })
    if common.dryRun {
      print(try trainer.plan())
      return
    }
    let (valuator, report, log) = try trainer.run(version: alinfikVersion) { event in
      switch event {
      case .step, .features: terminal.progress("\(event)")
      default: terminal.say("\(event)")
      }
    }
    try valuator.save(to: output, log: log, force: common.force)
    trainer.configuration.discardUnfinished()
    terminal.say(report.table)
    report.warnings.forEach(terminal.warn)
    terminal.say("\(output): written, \(durationText(report.seconds))")
    if common.json { print(String(decoding: report.json.serialized(), as: UTF8.self)) }
  }

  private var encoderSize: EncoderSize {
    let standard = EncoderSize()
    return EncoderSize(
      layers: layers ?? standard.layers, hiddenSize: hiddenSize ?? standard.hiddenSize,
      heads: heads ?? standard.heads)
  }

  private var initialEncoder: InitialEncoder {
    guard let initial else { return .scratch(encoderSize, tokenizer: tokenizer ?? "") }
    guard readsLayers else { return .directory(initial) }
    return .firstLayers(size == .small ? 0 : firstLayers, model: initial)
  }

  private var trainingConfiguration: TrainingConfiguration {
    var configuration = TrainingConfiguration(initialEncoder: initialEncoder)
    let name = OutputDirectory.name(output)
    configuration.checkpoint = name + ".checkpoint.partial"
    configuration.features = (features ?? name + ".features.partial", isKept: features != nil)
    configuration.maxTokens = maxTokens
    configuration.precision = precision
    configuration.includesTexts = includeTexts
    configuration.teacher = teacher.map { (directory: $0, scored: scored) }
    configuration.parts.testRows = testRows
    configuration.parts.leftOut = Set(leaveOut)
    configuration.seed = common.seed
    configuration.workers = common.threads
    configuration.optimisation.epochs = epochs
    configuration.optimisation.patience = patience
    configuration.optimisation.batchRows = batchRows
    configuration.optimisation.learningRate = learningRate
    configuration.optimisation.headLearningRate = headLearningRate
    // What deviates from source and length is memorised by an encoder whose weights move; closed form has its penalty.
    configuration.optimisation.withinSourceShare = withinSourceShare ?? (readsLayers ? 1 : nil)
    configuration.optimisation.cropShare = cropShare
    configuration.optimisation.trainsEmbeddingTables = trainEmbeddings
    return configuration
  }
}

extension DistillError: ExitCoded {
  var exitCode: Int32 {
    switch self {
    case .different, .options: Exit.usage
    case .badLabels, .tooFewRows, .diverged, .notFinite, .singular: Exit.badData
    case .interrupted: 128 + (Interruption.signal ?? SIGINT)
    }
  }
}
