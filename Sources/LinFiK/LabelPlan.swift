import Formats
import Foundation
import TensorKernels

/// What a label run will take, before it starts.
package struct LabelPlan: Sendable, CustomStringConvertible {
  package let tokens: Int
  package let operations: Double
  package let memoryBytes: Double
  package let diskBytes: Double
  package let seconds: Double

  /// The share of a large product's rate that a whole label pass reaches.
  private static let efficiency = 0.75

  /// Measures this machine's products for a moment and counts the run's operations.
  package init(_ run: LabelRun, workers: Int) throws {
    let model = run.model.model
    let samples = Operations(of: run.samples.sequences, model: model, watched: run.watched)
    let targets = Operations(of: run.targets.sequences, model: model, watched: run.watched)
    let projection = run.configuration.projection
    tokens = run.samples.tokenCount + run.targets.tokenCount
    switch projection {
    case .none: operations = samples.exactLabels + targets.exactLabels
    case .random(let rank):
      operations = samples.projectedLabels(rank: rank) + targets.projectedLabels(rank: rank)
    case .pca(let rank):
      let components = Operations(of: run.principalRows, model: model, watched: run.watched)
      operations =
        samples.projectedLabels(rank: rank) + targets.projectedLabels(rank: rank)
        + components.principalComponents(rank: rank)
    }
    seconds = operations / (try productRate(workers: workers) * Self.efficiency)
    let weights = model.linearLayers.reduce(model.headParameters) { $0 + $1.inputWidth * $1.outputWidth }
    let longest = (run.samples.sequences + run.targets.sequences).map(\.tokens.count).max() ?? 0
    let activations = model.activationBytes(tokens: max(LabelDefaults.batchTokens(for: model), longest))
    let held =
      projection == .none
      ? run.watched.parameterCount : run.targets.count * Self.width(run) + Self.projectionNumbers(run)
    memoryBytes = 4 * Double(weights + held) + Double(workers * activations)
    diskBytes = Double(run.shape.rows * run.shape.bytesPerRow)
  }

  private static func width(_ run: LabelRun) -> Int {
    let rank = run.configuration.projection.rank ?? 0
    return run.watched.layers.reduce(0) { $0 + min(rank, $1.inputWidth) * min(rank, $1.outputWidth) }
  }

  /// The projection's own matrices, and the sketches that principal components are taken from.
  private static func projectionNumbers(_ run: LabelRun) -> Int {
    let rank = run.configuration.projection.rank ?? 0
    let isSketched = if case .pca = run.configuration.projection { true } else { false }
    return run.watched.layers.flatMap { [$0.inputWidth, $0.outputWidth] }.reduce(0) { sum, width in
      sum + width * min(rank, width) + (isSketched ? 2 * width * min(2 * rank, width) : 0)
    }
  }

  package var description: String {
    String(
      format: "%d tokens, %.1f TFLOP, about %.0f MB of memory, %.1f MB of disk, %.0f s", tokens,
      operations / 1e12,
      memoryBytes / 1e6, diskBytes / 1e6, seconds)
  }

  package var json: String {
    let object: JSONValue = [
      "tokens": JSONValue(tokens), "operations": JSONValue(operations),
      "memory_bytes": JSONValue(memoryBytes),
      "disk_bytes": JSONValue(diskBytes), "seconds": JSONValue(seconds),
    ]
    return String(decoding: object.serialized(), as: UTF8.self)
  }
}

extension LabelSummary {
  /// The summary as one JSON object.
  package func json(output: String) -> String {
    let object: JSONValue = [
      "output": JSONValue(output), "samples": JSONValue(samples), "resumed": JSONValue(resumed),
      "tokens": JSONValue(tokens), "seconds": JSONValue(seconds),
    ]
    return String(decoding: object.serialized(), as: UTF8.self)
  }
}

/// Operations a second of products like a layer's, `workers` side by side.
private func productRate(workers: Int) throws -> Double {
  // More workers than processors are no faster, and would make the measurement itself long.
  let workers = min(workers, ProcessInfo.processInfo.activeProcessorCount)
  let (rows, width) = (256, 1024)
  var best = Double.infinity
  for _ in 0..<4 {
    let begin = ContinuousClock.now
    try parallelForEach(count: workers, workers: workers) { _, _ in
      let x = Matrix(rows: rows, columns: width)
      let w = Matrix(rows: width, columns: width)
      let y = Matrix(rows: rows, columns: width)
      for _ in 0..<4 { gemm(x.view, .no, w.view, .yes, into: y) }
    }
    best = min(best, begin.duration(to: .now) / .seconds(1))
  }
  return Double(workers * 4 * 2 * rows * width * width) / best
}
