import RankStatistics
import Reporting

/// A made-up comparison that looks like a real one: five sources of different worth, methods of different
/// truth and cost.
enum SyntheticReport {
  struct Noise {
    var state: UInt64

    /// A normal number, from a fixed sequence.
    mutating func next() -> Double {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return normalQuantile((Double(state >> 11) + 0.5) / 9_007_199_254_740_992)
    }
  }

  static let sources: [(name: String, worth: Double, text: String)] = [
    ("sci.space", 2.2, "The shuttle's engines throttle down at maximum dynamic pressure, then go to 104 %"),
    ("rec.autos", 0.7, "Has anyone replaced the clutch cable on an '88 without dropping the whole gearbox?"),
    ("reuters", 0.1, "GRAIN SHIPS LOADING AT PORTLAND: there were three ships loading and two waiting"),
    ("grimm", -0.3, "There was once upon a time a king's daughter who was so beautiful that the sun itself"),
    ("friends", -0.9, "Monica: Okay, everybody relax. This is not even a date. It's just two people"),
  ]

  static func rows(count: Int, withExcerpts: Bool = true) -> [ComparedRow] {
    (0..<count).map { row in
      let source = sources[row * 7 % 5]
      return ComparedRow(
        id: "\(source.name)-\(1000 + row * 37 % 997)", source: source.name,
        excerpt: withExcerpts ? "\(source.text) (\(row))" : nil)
    }
  }

  static let facts = RunFacts(
    model: "SmolLM2-135M-Instruct.Q4_1.gguf",
    modelSHA256: "5a1f6b2c0de94f7a8f3b1d6f0f7c6a2b5e4d3c2b1a09f8e7d6c5b4a392817060",
    targetDescription: "held-out posts of sci.space",
    targetSHA256: "9c2e8d7f6a5b4c3d2e1f0a9b8c7d6e5f4a3b2c1d0e9f8a7b6c5d4e3f2a1b0c9d", targetCount: 32,
    sampleCount: 820, seenCount: 408, seed: 7, maxTokens: 128, threads: 2, blasKernel: "SkylakeX",
    versions: [.init(name: "alinfik", version: "0.1.0"), .init(name: "OpenBLAS", version: "0.3.21")],
    date: "2026-01-15",
    command: "alinfik compare --model SmolLM2.gguf --target target.jsonl --sample pool.jsonl")

  /// - Parameter valuatorNoise: the larger, the worse the valuator.
  static func make(
    count: Int = 412, valuatorNoise: Double = 0.7, resamples: Int? = nil, withExcerpts: Bool = true
  ) -> ComparisonReport {
    var noise = Noise(state: 11)
    let rows = rows(count: count, withExcerpts: withExcerpts)
    let truth = rows.map { row in 6 * (sources.first { $0.name == row.source }!.worth + noise.next()) }
    func near(_ share: Double, _ spread: Double, scale: Double = 1) -> [Double] {
      truth.map { scale * (share * $0 / 6 + spread * noise.next()) }
    }
    let methods = [
      ComparedMethod(
        name: "LinFiK", formula: "inner product of the row’s gradient with the mean target gradient, exact",
        role: .reference, needs: .gradients, values: truth,
        cost: Cost(seconds: 61.4, rows: count, peakMemoryBytes: 1_240_000_000, diskBytes: 48_200)),
      ComparedMethod(
        name: "LoGra", formula: "projected gradients, inverse Fisher with damping per layer (rank 16)",
        role: .influence, needs: .gradients, values: near(1, 0.25, scale: 3e-4),
        cost: Cost(seconds: 74.1, rows: count, peakMemoryBytes: 1_310_000_000, diskBytes: 43_300_000)),
      ComparedMethod(
        name: "TracIn", formula: "sum over checkpoints of learning rate times inner product",
        role: .influence,
        needs: .gradients, notDrawn: "with one checkpoint TracIn is LinFiK by definition"),
      ComparedMethod(
        name: "ALinFiK", formula: "the trained valuator, from the text alone", role: .valuator, needs: .text,
        values: near(1, valuatorNoise, scale: 5),
        cost: Cost(
          seconds: 3.1, rows: count, preparationSeconds: 212, peakMemoryBytes: 310_000_000,
          diskBytes: 91_400_000)),
      ComparedMethod(
        name: "BM25", formula: "keyword score against the target texts (k1 = 1.2, b = 0.75)", role: .baseline,
        needs: .text, values: near(0.5, 0.9, scale: 12),
        cost: Cost(seconds: 0.21, rows: count, peakMemoryBytes: 28_000_000)),
      ComparedMethod(
        name: "length", formula: "number of tokens", role: .baseline, needs: .text,
        values: near(-0.35, 1, scale: 40), cost: Cost(seconds: 0.004, rows: count)),
      ComparedMethod(
        name: "model loss", formula: "the model’s mean loss on the row", role: .baseline, needs: .model,
        values: near(0.1, 1), cost: Cost(seconds: 20.4, rows: count, peakMemoryBytes: 900_000_000)),
      ComparedMethod(
        name: "random", formula: "a random number by the seed", role: .baseline, needs: .nothing,
        values: near(0, 1), cost: Cost(seconds: 0.0001, rows: count)),
    ]
    let stepped = Array(0..<min(32, count))
    let oracle = Oracle(
      rows: stepped, actual: stepped.map { 1e-6 * (truth[$0] + 0.9 * noise.next()) },
      predicted: stepped.map { 1e-6 * truth[$0] }, stepSize: 1e-6)
    let scores = methods[3].values.compactMap { $0 }
    let forecast = Forecast(
      coverage: 0.9, low: scores.map { $0 - 8 }, high: scores.map { $0 + 8 },
      isOutside: scores.indices.map { $0 % 10 == 0 })
    let curve = [64, 128, 256, 300].enumerated().map {
      LabelCurvePoint(labels: $1, spearman: 0.5 + 0.1 * Double($0), withinSource: 0.2 + 0.05 * Double($0))
    }
    let halved = Array(0..<min(24, count))
    let halves = TargetHalves(
      rows: halved, first: halved.map { truth[$0] + 0.3 * noise.next() },
      second: halved.map { truth[$0] + 0.3 * noise.next() })
    return .make(
      rows: rows, methods: methods, forecast: forecast, labelCurve: curve, halves: halves, oracle: oracle,
      facts: facts, resamples: resamples)
  }
}
