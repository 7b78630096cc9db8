import Formats
import Foundation
import LanguageModels
import LinFiK
import Records
import TensorKernels

/// Throughput of labelling on rows of token ids, as one JSON line that stands beside the peers'.
struct LabelBenchmark {
  private let options: Options
  private let threads: Int
  private let precision: Precision

  init(_ options: Options) throws {
    self.options = options
    threads = options.integer("threads", default: ProcessInfo.processInfo.activeProcessorCount)
    guard let precision = Precision(rawValue: options["precision"] ?? "f32") else {
      throw Refusal("--precision is f32 or bf16")
    }
    self.precision = precision
  }

  /// `--method forward | target | dot | norm | logra`; norm is dot with gradient norms, whose cost is the difference.
  func run() throws {
    let model = try ModelLoader.load(path: try options.required("model"), precision: precision)
    let watched = try WatchedLayers(of: model)
    let loaded = peakMemory()
    let rows = try readRows(vocabulary: model.vocabularySize)
    let rank = options.integer("rank", default: 64)
    let operations = Operations(of: rows, model: model, watched: watched)
    let budget = options.integer("batch-tokens", default: LabelDefaults.batchTokens(for: model))
    let plan = BatchPlan(rows, batchTokens: budget)
    let method = options["method"] ?? "dot"
    let (work, body): (Double, () throws -> Void)
    switch method {
    case "forward":
      work = operations.forward
      body = {
        _ = try plan.map(workers: threads) { _, batch, workspace in
          model.losses(of: batch, workspace: workspace)
        }
      }
    case "target":
      work = operations.exactLabels
      body = {
        _ = try MeanGradient(
          of: rows, model: model, watched: watched, workers: threads, batchTokens: budget)
      }
    case "dot", "norm":
      work = operations.exactLabels + (method == "norm" ? operations.gradientNorms : 0)
      let target = try MeanGradient(
        of: Array(rows.prefix(2)), model: model, watched: watched, workers: threads, batchTokens: budget)
      body = measuring(
        ExactInfluence(
          model: model, watched: watched, target: target, kind: .dot, gradientNorm: method == "norm"), plan)
    case "logra":
      work = operations.projectedLabels(rank: rank)
      let measure = try ProjectedInfluence(
        of: Array(rows.prefix(2)), model: model, watched: watched,
        projection: LoGraProjection(watched: watched, rank: rank, seed: 1), kind: .dot, gradientNorm: false,
        perTarget: false, keepsGradients: true, workers: threads, batchTokens: budget)
      body = measuring(measure, plan)
    default: throw Refusal("--method is forward, target, dot, norm or logra")
    }
    if options["profile"] != nil { while true { try body() } }
    try report(method, model, rows, rank: rank, work: work, loaded: loaded, body)
  }

  private func measuring(_ measure: some InfluenceMeasure, _ plan: BatchPlan) -> () throws -> Void {
    {
      _ = try plan.map(workers: threads) { _, batch, workspace in
        measure.measure(batch, workspace: workspace).map {
          StoredGradient($0.projectedGradient, storage: .f16)
        }
      }
    }
  }

  /// The rate of the best of the repetitions, the product's rate measured before and after each.
  private func report(
    _ method: String, _ model: any CausalLanguageModel, _ rows: [TokenizedSample], rank: Int, work: Double,
    loaded: Int, _ body: () throws -> Void
  ) throws {
    let tokens = rows.reduce(0) { $0 + $1.tokens.count }
    var times: [Double] = []
    var square = 0.0
    for _ in 0..<options.integer("repeat", default: 3) {
      if options["square"] != nil { square = max(square, try SquareProduct.best(threads: threads)) }
      times.append(try seconds(body))
    }
    let best = times.min()!
    let width = method == "logra" ? try WatchedLayers(of: model).projectedWidth(rank: rank) : 0
    let parts: [(String, JSONValue)] = [
      ("peer", "alinfik"), ("version", JSONValue(alinfikVersion)), ("method", JSONValue(method)),
      ("precision", JSONValue(precision.rawValue)), ("rows", JSONValue(rows.count)),
      ("tokens", JSONValue(tokens)), ("rank", JSONValue(rank)), ("threads", JSONValue(threads)),
      ("seconds", JSONValue(best)), ("samples_per_second", JSONValue(Double(rows.count) / best)),
      ("tokens_per_second", JSONValue(Double(tokens) / best)), ("gigaflops", JSONValue(work / best / 1e9)),
      ("square_gigaflops", JSONValue(square)),
      ("stored_bytes_per_sample", JSONValue(GradientStorage.f16.byteCount(width))),
      ("stored_bytes_per_sample_int8", JSONValue(GradientStorage.int8.byteCount(width))),
      ("peak_rss_bytes", JSONValue(peakMemory())),
      ("loaded_rss_bytes", JSONValue(loaded)), ("kernels", JSONValue(vectorInstructionSet)),
      ("openblas", JSONValue(BLAS.coreName)), ("model", JSONValue(model.summary)),
    ]
    printLine(parts.map { (key: ByteString($0.0), value: $0.1) })
  }

  /// Rows from `--rows FILE` (an array of token ids a line), or `--count` random ones of `--tokens` each.
  private func readRows(vocabulary: Int) throws -> [TokenizedSample] {
    if let path = options["rows"] {
      return try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n").map { line in
        let ids = line.drop { $0 == "[" }.prefix { $0 != "]" }.split(separator: ",")
        return row(ids.map { Int32($0.filter { !$0.isWhitespace })! })
      }
    }
    var generator = SeededGenerator(seed: 1)
    let length = options.integer("tokens", default: 256)
    return (0..<options.integer("count", default: 16)).map { _ in
      row((0..<length).map { _ in Int32(generator.next() % UInt64(vocabulary)) })
    }
  }

  private func row(_ tokens: [Int32]) -> TokenizedSample {
    TokenizedSample(
      tokens: tokens, scored: [false] + Array(repeating: true, count: tokens.count - 1), truncated: false)
  }
}

/// One result, as one line of JSON.
func printLine(_ members: [(key: ByteString, value: JSONValue)]) {
  print(String(decoding: JSONValue.object(members).serialized(), as: UTF8.self))
}

func seconds(_ body: () throws -> Void) rethrows -> Double {
  try ContinuousClock().measure(body) / .seconds(1)
}

/// The most memory this process has had, in bytes.
func peakMemory() -> Int {
  var usage = rusage()
  getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
  return usage.ru_maxrss * 1024
}
