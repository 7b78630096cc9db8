import ArgumentParser
import Formats
import LinFiK

struct MergeCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "merge",
    abstract: "Put the shards of one command together: the same bits as one run would have written.",
    discussion: """
      Examples:
        alinfik label --shard 1/2 --model MODEL --target t.jsonl --sample s.jsonl --output labels.h5
        alinfik label --shard 2/2 --model MODEL --target t.jsonl --sample s.jsonl --output labels.h5
        alinfik merge labels.1-of-2.h5 labels.2-of-2.h5 --output labels.h5
        srun -n 8 alinfik label --shard auto --model MODEL --target t.jsonl --sample s.jsonl --output labels.h5
        alinfik curvature --kind ekfac --shard 1/2 --model MODEL --sample s.jsonl --output factors.safetensors  # and 2/2
        alinfik merge factors.*-of-2.safetensors --output basis.safetensors
        alinfik curvature --kind ekfac --shard 1/2 --basis basis.safetensors --model MODEL --sample s.jsonl --output values.safetensors
        alinfik merge values.*-of-2.safetensors --basis basis.safetensors --output curvature.safetensors

      Shards may come in any order; one that is missing, there twice or made otherwise is refused.
      """)

  @Argument(help: ArgumentHelp("The shards' files.", valueName: "file"), completion: .file())
  var shards: [String]

  @Option(name: .shortAndLong, help: "The file to write.", completion: .file())
  var output: String

  @Option(
    help: ArgumentHelp(
      "For the second round of ekfac: the basis that its first round was merged to.", valueName: "file"),
    completion: .file())
  var basis: String?

  @OptionGroup var common: CommonOptions

  func run() throws {
    let terminal = Terminal(isQuiet: common.quiet)
    try OutputFile.refuseInputs(output, shards + [basis].compactMap { $0 })
    if !common.dryRun { try OutputFile.refuseExisting(output, force: common.force) }
    if let first = shards.first, CurvatureShards.isShard(first) { return try mergeCurvature(terminal) }
    if basis != nil { throw ValidationError("--basis: labels have none") }
    let labels = try LabelShards(paths: shards, command: commandLineWithoutFolders())
    terminal.say("\(shards.count) shards of \(labels.count) rows")
    if common.dryRun { return }
    try labels.write(to: output, force: common.force)
    if common.json {
      let object: JSONValue = ["output": JSONValue(output), "samples": JSONValue(labels.count)]
      print(String(decoding: object.serialized(), as: UTF8.self))
    }
  }

  private func mergeCurvature(_ terminal: Terminal) throws {
    let parts = try CurvatureShards(paths: shards)
    if common.dryRun { return }
    let curvature = try parts.merged(basis: basis, workers: common.threads)
    try curvature.write(to: output, force: common.force)
    terminal.say("\(output): \(curvature.origin.kind.rawValue) curvature of \(shards.count) shards")
    if common.json { print(curvature.json(output: output)) }
  }
}
