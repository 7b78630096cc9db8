import ArgumentParser
import Foundation
import Records

/// How a command works and what it says, whatever it does.
struct WorkOptions: ParsableArguments {
  @Option(help: "Worker threads; by default the processors this process may use.")
  var threads: Int = ProcessInfo.processInfo.activeProcessorCount

  @Flag(help: "No progress, only warnings and errors.")
  var quiet = false

  @Flag(help: "Print a final summary as one JSON object.")
  var json = false

  @Flag(help: "Print the plan (memory, disk, time) and do nothing.")
  var dryRun = false

  func validate() throws {
    guard threads >= 1 else { throw ValidationError("--threads \(threads): at least one worker is needed") }
  }
}

/// Options that mean the same in every command that makes something.
struct CommonOptions: ParsableArguments {
  @Option(help: "Every random choice follows from this number.")
  var seed: UInt64 = 0

  @OptionGroup var work: WorkOptions

  @Flag(help: "Replace an output that exists.")
  var force = false

  var threads: Int { work.threads }
  var quiet: Bool { work.quiet }
  var json: Bool { work.json }
  var dryRun: Bool { work.dryRun }
}

/// Where the text and the id of a record are.
struct TextOptions: ParsableArguments {
  @Option(help: ArgumentHelp("Where a record's text is.", valueName: "dot.path"))
  var textField: String?

  @Option(help: ArgumentHelp("Where a record's id is.", valueName: "dot.path"))
  var idField: String?

  /// Where they are, as the record reader wants it.
  var recordOptions: RecordOptions {
    var options = RecordOptions()
    options.textField = textField
    if let idField { options.idField = idField }
    return options
  }
}

/// Where the fields of a record are.
struct FieldOptions: ParsableArguments {
  @OptionGroup var text: TextOptions

  @Option(help: ArgumentHelp("Where a record's source is.", valueName: "dot.path"))
  var sourceField: String?

  /// Where they are, as the record reader wants it.
  var recordOptions: RecordOptions {
    var options = text.recordOptions
    if let sourceField { options.sourceField = sourceField }
    return options
  }
}
