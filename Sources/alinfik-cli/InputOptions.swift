import ArgumentParser
import Formats
import LinFiK
import Records
import TensorKernels

/// The model and the samples: what every command with gradients reads.
struct SampleOptions: ParsableArguments {
  @Option(help: "The language model: a Hugging Face directory or a GGUF file.", completion: .file())
  var model: String

  @Option(
    parsing: .upToNextOption, help: ArgumentHelp("The texts to value, as JSON Lines.", valueName: "file"),
    completion: .file())
  var sample: [String] = []

  @Option(help: "Keep the first N tokens of a row (default: a row longer than the context is an error).")
  var maxTokens: Int?

  @Option(help: "What to do with a sample's bad line: fail, skip, or quarantine.")
  var onError: OnError = .fail

  @Option(
    help: ArgumentHelp("Where bad lines go with --on-error quarantine, dry run or not.", valueName: "file"),
    completion: .file())
  var quarantine: String?

  @OptionGroup var fields: FieldOptions

  enum OnError: String, ExpressibleByArgument, CaseIterable {
    case fail, skip, quarantine
  }

  func validate() throws {
    if let maxTokens, maxTokens < 2 {
      throw ValidationError("--max-tokens \(maxTokens): at least 2, or nothing is predicted")
    }
    if (onError == .quarantine) != (quarantine != nil) {
      throw ValidationError("--on-error quarantine and --quarantine FILE want each other")
    }
  }

  /// Loads the model, saying what it is.
  func loadModel(_ terminal: Terminal, precision: Precision = .f32) throws -> LoadedModel {
    let loaded = try LoadedModel(path: model, precision: precision)
    terminal.say("model: \(loaded.model.summary)")
    return loaded
  }

  /// Reads the samples, saying once what was found.
  func load(_ loaded: LoadedModel, _ terminal: Terminal, force: Bool) throws -> PreparedRows {
    var options = fields.recordOptions
    options.onError =
      switch onError {
      case .fail: .fail
      case .skip: .skip
      case .quarantine: .quarantine(path: quarantine ?? "", force: force)
      }
    return try rows(sample, options, loaded, "sample", terminal)
  }

  fileprivate func rows(
    _ paths: [String], _ options: RecordOptions, _ loaded: LoadedModel, _ name: String, _ terminal: Terminal
  ) throws -> PreparedRows {
    try preparedRows(
      paths, options, loaded.sampleEncoder(maximumTokens: maxTokens), maxTokens: maxTokens, as: name, terminal
    )
  }
}

/// Reads rows for a model, saying once what was found and what was left out.
func preparedRows(
  _ paths: [String], _ options: RecordOptions, _ encoder: SampleEncoder, maxTokens: Int?, as name: String,
  _ terminal: Terminal
) throws -> PreparedRows {
  let rows = try PreparedRows(paths: paths, options: options, encoder: encoder) { shape, place in
    terminal.say("\(name): records of \(shape.rawValue) (\(place))")
  }
  let cut = rows.truncatedCount > 0 ? ", \(rows.truncatedCount) cut to \(maxTokens ?? 0)" : ""
  terminal.say("\(name): \(rows.count) rows, \(rows.tokenCount) tokens\(cut)")
  if rows.summary.badLines > 0 {
    rows.summary.messages.forEach(terminal.warn)
    terminal.warn("\(name): \(rows.summary.badLines) bad lines left out")
  }
  return rows
}

/// The model, the target and the samples: what `label` and `compare` read.
struct InputOptions: ParsableArguments {
  @OptionGroup var source: SampleOptions

  @Option(
    parsing: .upToNextOption,
    help: ArgumentHelp("The examples whose loss should fall, as JSON Lines.", valueName: "file"),
    completion: .file())
  var target: [String]

  @Option(help: "The target in words, for people who meet the labels later.")
  var targetDescription: String = ""

  func validate() throws {
    if target.isEmpty || source.sample.isEmpty {
      throw ValidationError("--target and --sample want at least one file")
    }
  }

  /// Loads the model and both sets of rows, saying once what was found.
  func load(_ terminal: Terminal, precision: Precision = .f32, force: Bool) throws -> (
    model: LoadedModel, targets: PreparedRows, samples: PreparedRows
  ) {
    if let quarantine = source.quarantine {
      try OutputFile.refuseInputs(quarantine, target + source.sample)
    }
    let loaded = try source.loadModel(terminal, precision: precision)
    var targetOptions = source.fields.recordOptions
    targetOptions.onError = .fail
    let targets = try source.rows(target, targetOptions, loaded, "target", terminal)
    return (loaded, targets, try source.load(loaded, terminal, force: force))
  }
}
