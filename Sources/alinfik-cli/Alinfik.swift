import ArgumentParser
import CArguments
import Formats
import Foundation

@main
struct Alinfik: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "alinfik",
    abstract: "Measure what text is worth to a language model, and teach a small encoder to see it.",
    discussion: """
      Examples:
        alinfik label   --model MODEL --target target.jsonl --sample sample.jsonl --output labels.h5
        alinfik train   labels.h5 --output valuator --init all-MiniLM-L6-v2
        alinfik score   valuator incoming.jsonl.gz --output scored.jsonl
        alinfik compare --model MODEL --target target.jsonl --sample sample.jsonl \\
                        --labels labels.h5 --valuator valuator --output report
        alinfik report  scored.jsonl --by source --budget "10000 EUR" --policy share --output settlement
      """,
    version: alinfikVersion,
    subcommands: [
      LabelCommand.self, CurvatureCommand.self, RelabelCommand.self, MergeCommand.self, TrainCommand.self,
      ScoreCommand.self, SelectCommand.self, QuantizeCommand.self, ExplainCommand.self, CompareCommand.self,
      AuditCommand.self, FinetuneCommand.self, VerifyCommand.self, SignCommand.self, DriftCommand.self,
      ReportCommand.self,
    ])

  static func main() {
    Interruption.install()
    var running: (any ParsableCommand.Type)?
    do {
      var command = try parseAsRoot(arguments)
      running = type(of: command)
      try command.run()
    } catch {
      ErrorReport(error, in: running).exit()
    }
  }

  /// What was asked for, without the program's name; known where /proc is not mounted, too.
  static var arguments: [String] {
    (0..<Int(ca_count())).dropFirst().compactMap { ca_values()[$0].map { String(cString: $0) } }
  }
}
