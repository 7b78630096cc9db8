import Foundation

// Benchmarks run by hand, never as tests.
let usage = """
  usage: Benchmarks label --model DIR [--method forward|target|dot|norm|logra] [--rows FILE | --count N --tokens T]
                          [--rank 64] [--precision f32|bf16] [--threads N] [--batch-tokens N] [--repeat 3]
                          [--square 1] [--profile 1]
         Benchmarks encode --encoder DIR [--tokens 128] [--count 256] [--precision f32|bf16] [--threads N] [--repeat 3]
         Benchmarks tokenize --tokenizer PATH --texts FILE [--threads 1] [--repeat 3]
         Benchmarks square [--threads N]
         Benchmarks packed [--threads N]
         Benchmarks make-model --shape NAME --output DIR [--tokenizer tokenizer.json]
  """
let arguments = Array(CommandLine.arguments.dropFirst())
let options = Options(arguments.dropFirst())
do {
  switch arguments.first {
  case "label": try LabelBenchmark(options).run()
  case "encode": try EncodeBenchmark.run(options)
  case "tokenize": try TokenizeBenchmark.run(options)
  case "square": try SquareProduct.run(options)
  case "packed": try PackedProduct.run(options)
  case "make-model":
    try RandomModel(shape: try options.required("shape"))
      .write(to: try options.required("output"), tokenizer: options["tokenizer"])
  default:
    print(usage)
    exit(64)
  }
} catch {
  FileHandle.standardError.write(Data("error: \(error)\n".utf8))
  exit(1)
}
