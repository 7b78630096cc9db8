import Foundation

// Benchmarks run by hand, never as tests:
//   swift run -c release Benchmarks label --model PATH [--tokens 160] [--rows 24] [--threads 2]
let arguments = Array(CommandLine.arguments.dropFirst())
do {
  switch arguments.first {
  case "label": try LabelBenchmark(Options(arguments.dropFirst())).run()
  default:
    print("usage: Benchmarks label --model PATH [--tokens N] [--rows N] [--threads N]")
    exit(64)
  }
} catch {
  FileHandle.standardError.write(Data("error: \(error)\n".utf8))
  exit(1)
}
