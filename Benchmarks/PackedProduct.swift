import Foundation
import TensorKernels

/// What products with packed weights reach by themselves, in the shapes of an encoder of width 384: the roof over `encode`.
struct PackedProduct {
  static func run(_ options: Options) throws {
    let threads = options.integer("threads", default: ProcessInfo.processInfo.activeProcessorCount)
    for (name, numbers) in [("f32", PackedWeight.Numbers.f32), ("bf16", .bf16), ("int8", .int8)] {
      let rates = try [(384, 1536), (1536, 384)].map { inputs, outputs in
        try rate(rows: 1024, inputs: inputs, outputs: outputs, numbers, threads: threads)
      }
      let texts = rates.map { String(format: "%.0f", $0) }.joined(separator: " and ")
      print("\(name): \(texts) GFLOP/s (1024 x 384 x 1536, 1024 x 1536 x 384) on \(threads) threads")
    }
    print("kernels \(vectorInstructionSet)")
  }

  private static func rate(
    rows: Int, inputs: Int, outputs: Int, _ numbers: PackedWeight.Numbers, threads: Int
  ) throws -> Double {
    func random(_ rows: Int, _ columns: Int) -> MatrixView {
      var generator = SeededGenerator(seed: UInt64(rows))
      return Matrix(
        rows: rows, columns: columns, values: (0..<rows * columns).map { _ in Float(generator.normal()) }
      ).view
    }
    let weight = PackedWeight(.f32(random(outputs, inputs)), as: numbers)
    let inputs = random(rows, inputs)
    let repetitions = numbers == .f32 ? 10 : 40
    let times = try (0..<5).map { _ in
      try seconds {
        try parallelForEach(count: threads, workers: threads) { _, _ in
          let y = Matrix(undefinedRows: rows, columns: outputs)
          for _ in 0..<repetitions { weight.product(inputs, into: y) }
        }
      }
    }
    let operations = 2 * Double(rows * inputs.columns * outputs * repetitions * threads)
    return operations / times.dropFirst().min()! / 1e9
  }
}
