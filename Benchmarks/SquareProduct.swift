import COpenBLAS
import Foundation
import TensorKernels

/// The best square product of 2048 to 4096 this machine gives, by OpenBLAS or by our own kernel, one product a thread.
struct SquareProduct {
  static func run(_ options: Options) throws {
    let threads = options.integer("threads", default: ProcessInfo.processInfo.activeProcessorCount)
    for size in [2048, 3072, 4096] {
      for (name, product) in kinds {
        let rate = try rate(size: size, threads: threads, repetitions: 3, product)
        print("\(size): \(name) \(String(format: "%.1f", rate)) GFLOP/s on \(threads) threads")
      }
    }
    print("OpenBLAS kernel \(BLAS.coreName), own kernel \(vectorInstructionSet)")
  }

  /// The better of both kernels, in GFLOP/s.
  static func best(threads: Int) throws -> Double {
    try kinds.map { try rate(size: 2048, threads: threads, repetitions: 3, $1) }.max()!
  }

  private typealias Product = @Sendable (MatrixView, MatrixView, Matrix) -> Void

  private static let kinds: [(String, Product)] = [
    ("own", { a, b, c in gemm(a, .no, b, into: c) }),
    (
      "OpenBLAS",
      { a, b, c in
        _ = BLAS.singleThreaded
        let n = blasint(a.rows)
        cblas_sgemm(
          CblasRowMajor, CblasNoTrans, CblasNoTrans, n, n, n, 1, a.pointer, n, b.pointer, n, 0, c.pointer, n)
      }
    ),
  ]

  private static func rate(size: Int, threads: Int, repetitions: Int, _ product: @escaping Product) throws
    -> Double
  {
    let factors = (0..<2 * threads).map { _ in
      let matrix = Matrix(rows: size, columns: size)
      matrix.fill(0.5)
      return matrix.view
    }
    var best = Double.infinity
    for _ in 0..<repetitions {
      best = min(
        best,
        try seconds {
          try parallelForEach(count: threads, workers: threads) { _, i in
            product(factors[2 * i], factors[2 * i + 1], Matrix(rows: size, columns: size))
          }
        })
    }
    return 2 * pow(Double(size), 3) * Double(threads) / best / 1e9
  }
}
