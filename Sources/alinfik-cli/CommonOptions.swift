import ArgumentParser
import Foundation

/// Options that mean the same in every command.
struct CommonOptions: ParsableArguments {
  @Option(help: "Every random choice follows from this number.")
  var seed: UInt64 = 0

  @Option(help: "Worker threads; by default the processors this process may use.")
  var threads: Int = ProcessInfo.processInfo.activeProcessorCount

  @Flag(help: "No progress, only warnings and errors.")
  var quiet = false

  @Flag(help: "Print a final summary as one JSON object.")
  var json = false

  @Flag(help: "Print the plan (memory, disk, time) and do nothing.")
  var dryRun = false

  @Flag(help: "Replace an output that exists.")
  var force = false

  func validate() throws {
    guard threads >= 1 else { throw ValidationError("--threads \(threads): at least one worker is needed") }
  }
}

/// Where the fields of a record are.
struct FieldOptions: ParsableArguments {
  @Option(help: ArgumentHelp("Where a record's text is.", valueName: "dot.path"))
  var textField: String?

  @Option(help: ArgumentHelp("Where a record's id is.", valueName: "dot.path"))
  var idField: String?

  @Option(help: ArgumentHelp("Where a record's source is.", valueName: "dot.path"))
  var sourceField: String?
}
