import ArgumentParser
import Formats
import LinFiK
import TensorKernels

struct RelabelCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "relabel",
    abstract: "Label the samples of a label file for other targets, from the gradients it keeps.",
    discussion: """
      Examples:
        alinfik label --model MODEL --target t.jsonl --sample s.jsonl --output labels.h5 \\
                      --projection pca --rank 32 --store-gradients
        alinfik relabel labels.h5 --model MODEL --target other.jsonl --output other.h5
        alinfik relabel labels.h5 --model MODEL --target other.jsonl --output other.h5 --kind logra --damping 0.1

      Only the targets go through the model. Labels differ from those of `alinfik label` by what was rounded off when the
      gradients were stored.
      """)

  @Argument(help: "A label file with --store-gradients.", completion: .file())
  var labels: String

  @Option(
    help: "The language model of the labels: a Hugging Face directory or a GGUF file.", completion: .file())
  var model: String

  @Option(
    parsing: .upToNextOption,
    help: ArgumentHelp("The new target, as JSON Lines.", valueName: "file"), completion: .file())
  var target: [String]

  @Option(name: .shortAndLong, help: "The label file to write (HDF5).", completion: .file())
  var output: String

  @Option(
    help: "What a label is: dot, cosine, layer-cosine, logra or relatif; by default as in the label file.")
  var kind: LabelKind?

  @Option(
    help:
      "For logra and relatif: lambda as a share of a layer's mean eigenvalue (default: as in the label file, else \(LabelDefaults.dampingFactor))."
  )
  var damping: Double?

  @Option(help: "The target in words, for people who meet the labels later.")
  var targetDescription: String = ""

  @Flag(help: "Keep the label against each target alone.")
  var perTarget = false

  @Flag(help: "Keep each sample's projected gradient in the new file too.")
  var storeGradients = false

  @OptionGroup var fields: FieldOptions
  @OptionGroup var common: CommonOptions

  func validate() throws {
    if target.isEmpty { throw ValidationError("--target wants at least one file") }
  }

  func run() throws {
    let terminal = Terminal(isQuiet: common.quiet)
    try OutputFile.refuseInputs(output, target + [labels, model])
    if !common.dryRun { try OutputFile.refuseExisting(output, force: common.force) }
    let file = try LabelFile(path: labels)
    let attributes = file.attributes
    guard let known = kind ?? LabelKind(rawValue: attributes.kind),
      let precision = Precision(rawValue: attributes.precision)
    else { throw LabelError.options("\(labels): labels of kind '\(attributes.kind)' are not known") }
    if damping != nil, !known.needsDamping {
      throw ValidationError(
        "--damping wants --kind logra or relatif; these labels would be \(known.rawValue)")
    }
    let loaded = try LoadedModel(path: model, precision: precision)
    terminal.say("model: \(loaded.model.summary)")
    let targets = try PreparedRows(
      paths: target, options: fields.recordOptions,
      encoder: loaded.sampleEncoder(maximumTokens: attributes.maxTokens))
    var configuration = RelabelConfiguration()
    configuration.kind = known
    let hasDamping = LabelKind(rawValue: attributes.kind)?.needsDamping == true
    configuration.damping = damping ?? (hasDamping ? attributes.damping : LabelDefaults.dampingFactor)
    configuration.perTarget = perTarget
    configuration.storesGradients = storeGradients
    configuration.targetDescription = targetDescription
    configuration.command = commandLineWithoutFolders()
    let run = try RelabelRun(file, model: loaded, targets: targets, configuration: configuration)
    terminal.say(
      "\(labels): \(file.count) rows are labelled for \(targets.count) new targets (\(known.rawValue))")
    if common.dryRun { return }
    try run.run(output: output, force: common.force, workers: common.threads) { done, total in
      if let signal = Interruption.signal { throw Interrupted(signal: signal) }
      terminal.progress("target gradients: \(done)/\(total)")
    }
    terminal.say("\(output): \(file.count) labels (\(known.rawValue))")
    if common.json {
      let object: JSONValue = ["output": JSONValue(output), "samples": JSONValue(file.count)]
      print(String(decoding: object.serialized(), as: UTF8.self))
    }
  }
}
