import Foundation
import LanguageModels
import LinFiK
import Records
import TensorKernels

/// Arithmetic rate of labelling, as a share of the best square product of the same run.
struct LabelBenchmark {
  let options: Options

  init(_ options: Options) { self.options = options }

  func run() throws {
    let threads = options.integer("threads", default: ProcessInfo.processInfo.activeProcessorCount)
    let length = options.integer("tokens", default: 160)
    guard let path = options["model"] else { throw LabelError.options("--model is missing") }
    let model = try ModelLoader.load(path: path)
    let watched = try WatchedLayers(of: model)
    print(
      "\(model.summary); \(threads) workers, OpenBLAS kernel \(BLAS.coreName), loops \(vectorInstructionSet)")
    let peak = try [2048, 3072, 4096].map { try squareProductRate(size: $0, threads: threads) }.max()!
    print("best square product: \(format(peak)) GFLOP/s")

    var generator = SeededGenerator(seed: 1)
    let rows = (0..<options.integer("rows", default: 24)).map { _ in
      TokenizedSample(
        tokens: (0..<length).map { _ in Int32(generator.next() % UInt64(model.vocabularySize)) },
        scored: [false] + Array(repeating: true, count: length - 1), truncated: false)
    }
    let operations = Operations(of: rows, model: model, watched: watched)
    let plan = BatchPlan(rows, batchTokens: LabelDefaults.batchTokens)
    func report(_ name: String, _ work: Double, _ body: () throws -> Void) rethrows {
      let seconds = try time(body)
      let rate = work / seconds / 1e9
      print(
        "\(name): \(format(Double(rows.count) / seconds)) samples/s of \(length) tokens, \(format(rate)) GFLOP/s, "
          + "\(format(100 * rate / peak)) % of the square product")
    }
    try report("forward", operations.forward) {
      _ = try plan.map(workers: threads) { _, batch, workspace in
        model.losses(of: batch, workspace: workspace)
      }
    }
    var target: MeanGradient?
    try report("target gradient", operations.exactLabels) {
      target = try MeanGradient(
        of: rows, model: model, watched: watched, workers: threads, batchTokens: LabelDefaults.batchTokens)
    }
    let exact = ExactInfluence(
      model: model, watched: watched, target: target!, kind: .dot, gradientNorm: false)
    try report("exact dot", operations.exactLabels) {
      _ = try plan.map(workers: threads) { _, batch, workspace in exact.measure(batch, workspace: workspace) }
    }
    let rank = options.integer("rank", default: 16)
    let projected = try ProjectedInfluence(
      of: Array(rows.prefix(2)), model: model, watched: watched,
      projection: LoGraProjection(watched: watched, rank: rank, seed: 1), kind: .dot, gradientNorm: false,
      perTarget: false, keepsGradients: false, workers: threads, batchTokens: LabelDefaults.batchTokens)
    try report("LoGra rank \(rank)", operations.projectedLabels(rank: rank)) {
      _ = try plan.map(workers: threads) { _, batch, workspace in
        projected.measure(batch, workspace: workspace)
      }
    }
  }

  /// GFLOP/s of size x size products, `threads` side by side, best of five.
  private func squareProductRate(size: Int, threads: Int) throws -> Double {
    var best = Double.infinity
    for _ in 0..<5 {
      let matrices = (0..<threads).map { _ in (0..<2).map { _ in Matrix(rows: size, columns: size).view } }
      let seconds = try time {
        try parallelForEach(count: threads, workers: threads) { _, index in
          gemm(matrices[index][0], .no, matrices[index][1], into: Matrix(rows: size, columns: size))
        }
      }
      best = min(best, seconds)
    }
    return 2 * pow(Double(size), 3) * Double(threads) / best / 1e9
  }

  private func time(_ body: () throws -> Void) rethrows -> Double {
    let clock = ContinuousClock()
    let duration = try clock.measure(body)
    return Double(duration.components.seconds) + Double(duration.components.attoseconds) * 1e-18
  }

  private func format(_ value: Double) -> String { String(format: "%.1f", value) }
}
