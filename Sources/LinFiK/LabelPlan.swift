import Formats
import Foundation
import LanguageModels
import Records
import TensorKernels

/// What a label run will take, before it starts.
package struct LabelPlan: Sendable, CustomStringConvertible {
  package let tokens: Int
  package let operations: Double
  /// Of these, what the samples' gradient norms take.
  package let normOperations: Double
  /// The most memory the process will have, what it has now included.
  package let memoryBytes: Double
  /// Of that, what each worker takes.
  package let workerBytes: Double
  package let diskBytes: Double
  package let seconds: Double

  /// The share of a large product's rate that a whole label pass reaches; where the time is not measured.
  private static let efficiency = 0.75

  /// Counts the run's operations and what it will keep. With `measuresTime` the rate is taken from the run's own first
  /// batches, which takes as long as they do; otherwise from a moment of products alone.
  package init(_ run: LabelRun, workers: Int, measuresTime: Bool = false) throws {
    let work = Work(run)
    tokens = run.labelled.tokenCount + run.targets.tokenCount
    operations = work.total
    normOperations = work.norms
    let model = run.model.model
    let longest = (run.labelled.sequences + run.targets.sequences).map(\.tokens.count).max() ?? 0
    let batchTokens = max(LabelDefaults.batchTokens(for: model), longest)
    let widest = run.watched.layers.map { max($0.inputWidth, $0.outputWidth) }.max() ?? 0
    let width = run.configuration.projection.rank.map(run.watched.projectedWidth) ?? 0
    // A projected batch's gradients, and the rows made of them; its longest rows are fewer than its shortest.
    let rowsPerBatch = 1 + batchTokens * run.labelled.count / max(1, run.labelled.tokenCount)
    workerBytes = Double(
      model.activationBytes(tokens: batchTokens) + 4 * (batchTokens * widest + 2 * rowsPerBatch * width)
        + 3 << 20)
    let held = Self.targetNumbers(run, workers: workers)
    // Before the rate is measured, for that takes memory of its own.
    memoryBytes =
      Double(residentMemory()) + 4 * Double(held) + (run.curvatureRecipe?.memoryBytes ?? 0)
      + Double(workers) * workerBytes
    // The journal, and beside it at the end the label file with the texts.
    let texts = run.labelled.records.reduce(0) { $0 + $1.text.bytes.count + $1.id.bytes.count }
    diskBytes = Double(2 * run.shape.rows * run.shape.bytesPerRow + texts)
    let fits = memoryBytes <= availableMemory() ?? .infinity
    seconds =
      measuresTime && fits
      ? try work.seconds(run, workers: workers)
      : operations
        / (try productRate(workers: workers, precision: run.model.model.precision) * Self.efficiency)
  }

  /// Throws where the machine has not enough memory left, saying what to change.
  package func refuseTooLittleMemory(available: Double? = availableMemory()) throws {
    guard let available, memoryBytes > available else { return }
    throw LabelError.options(
      String(
        format:
          "the run needs about %.0f MB of memory and %.0f MB are free; fewer --threads save %.0f MB each, a "
          + "smaller --max-tokens shortens the longest row, and --projection random (or fewer --layers) keeps no whole "
          + "gradient of the target, nor of each with --per-target",
        memoryBytes / 1e6, available / 1e6, workerBytes / 1e6))
  }

  /// The targets' gradients, and of a projection its own.
  private static func targetNumbers(_ run: LabelRun, workers: Int) -> Int {
    let configuration = run.configuration
    if let rank = configuration.projection.rank {
      // Each target's projected gradient is there twice while they are gathered.
      return 2 * run.targets.count * run.watched.projectedWidth(rank: rank) + projectionNumbers(run)
    }
    var gradients =
      max(1, run.checkpoints.count) * (configuration.holdsEachTarget ? 1 + run.targets.count : 1)
    // What curvature turns is there beside what it makes of it: the mean's, and each worker's.
    if CurvatureKind(for: configuration.kind) != nil {
      gradients += configuration.holdsEachTarget ? workers : 1
    }
    return gradients * run.watched.parameterCount
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
    let norms =
      normOperations > 0 ? String(format: " (%.1f of them for gradient norms)", normOperations / 1e12) : ""
    return String(format: "%d tokens, %.1f TFLOP", tokens, operations / 1e12) + norms
      + String(
        format: ", about %.0f MB of memory, %.1f MB of disk, %.0f s", memoryBytes / 1e6, diskBytes / 1e6,
        seconds)
  }

  package var json: String {
    let object: JSONValue = [
      "tokens": JSONValue(tokens), "operations": JSONValue(operations),
      "gradient_norm_operations": JSONValue(normOperations),
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

/// The operations of a run, by the passes it makes.
private struct Work {
  let samples: Double
  let norms: Double
  let targets: Double
  let components: Double
  let curvature: Double

  var total: Double { samples + targets + components + curvature }

  init(_ run: LabelRun) {
    norms =
      run.configuration.measuresNorm && run.configuration.projection == .none
      ? Operations(of: run.labelled.sequences, model: run.model.model, watched: run.watched).gradientNorms : 0
    curvature = run.curvatureRecipe?.operations ?? 0
    samples = Self.labels(run, run.labelled.sequences, each: run.configuration.holdsEachTarget) + norms
    targets =
      (run.configuration.holdsEachTarget ? 2 : 1) * Self.labels(run, run.targets.sequences, each: false)
    if case .pca(let rank, _) = run.configuration.projection {
      components = Operations(of: run.principalRows, model: run.model.model, watched: run.watched)
        .principalComponents(rank: rank)
    } else {
      components = 0
    }
  }

  /// - Parameter each: whether rows are held against each target alone too.
  private static func labels(_ run: LabelRun, _ rows: [TokenizedSample], each: Bool) -> Double {
    let operations = Operations(of: rows, model: run.model.model, watched: run.watched)
    if let rank = run.configuration.projection.rank { return operations.projectedLabels(rank: rank) }
    let others = each ? operations.labelsOfEach(targets: run.targets.count) : 0
    return Double(max(1, run.checkpoints.count)) * (operations.exactLabels + others)
  }

  /// What each pass takes at the rate of the run's own first batches.
  func seconds(_ run: LabelRun, workers: Int) throws -> Double {
    let probe = try run.firstBatches(workers: workers)
    let (targetSeconds, sampleSeconds) = try probe.passSeconds(workers: workers)
    let work = Work(probe)
    return targets * targetSeconds / work.targets
      + (samples + components + curvature) * sampleSeconds / work.samples
  }
}

/// Operations a second of products like a layer's, `workers` side by side: the weight comes from memory, as it does in a pass.
private func productRate(workers: Int, precision: Precision) throws -> Double {
  // More workers than processors are no faster, and would make the measurement itself long.
  let workers = min(workers, ProcessInfo.processInfo.activeProcessorCount)
  let (rows, inputs, outputs) = (256, 1024, 4096)
  let w = Matrix(rows: outputs, columns: inputs)
  w.fill(1)
  let weight = w.view
  var best = Double.infinity
  for _ in 0..<4 {
    let begin = ContinuousClock.now
    try parallelForEach(count: workers, workers: workers) { _, _ in
      let x = Matrix(rows: rows, columns: inputs)
      let y = Matrix(rows: rows, columns: outputs)
      gemm(x.view, .no, weight, .yes, into: y, precision: precision)
    }
    best = min(best, begin.duration(to: .now) / .seconds(1))
  }
  return Double(workers * 2 * rows * inputs * outputs) / best
}

/// Memory this process has now, in bytes: all of it, or what is not of files (which the system can take back).
private func residentMemory(ofFilesToo: Bool = true) -> Int {
  let text = (try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8)) ?? ""
  let pages = text.split(separator: " ").compactMap { Int($0) }
  guard pages.count > 2 else { return 0 }
  return (ofFilesToo ? pages[1] : pages[1] - pages[2]) * sysconf(Int32(_SC_PAGESIZE))
}

/// Memory this process may have in all, what it has included: by the system, and by a control group's limit. Nil where
/// neither is known.
package func availableMemory() -> Double? {
  let lines = (try? String(contentsOfFile: "/proc/meminfo", encoding: .utf8))?.split(separator: "\n") ?? []
  let free = lines.first { $0.hasPrefix("MemAvailable:") }?.split(separator: " ").dropFirst().first
    .flatMap { Double($0) }.map { $0 * 1024 + Double(residentMemory(ofFilesToo: false)) }
  let limit = (try? String(contentsOfFile: "/sys/fs/cgroup/memory.max", encoding: .utf8))
    .flatMap { Double($0.trimmingCharacters(in: .whitespacesAndNewlines)) }
  return [free, limit].compactMap { $0 }.min()
}
