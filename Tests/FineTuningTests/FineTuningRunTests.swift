import Formats
import LanguageModels
import Records
import TensorKernels
import TestSupport
import Testing

import FineTuning

/// A model of the fixtures, its samples, and what PyTorch made of it (`scripts/fixtures/finetune.py`).
private struct Trained {
  let golden: GoldenModel
  let losses: [Double]
  /// Of each parameter, after the last step.
  let squares: [(name: String, value: Double)]

  init(_ name: String) throws {
    let json = try JSONValue.read(path: TestData.fixture("fine-tuning/\(name).json"))
    golden = try GoldenModel(try #require(json["model"]?.string))
    losses = try #require(json["losses"]?.array).compactMap(\.double)
    squares = try #require(json["squares"]?.members).compactMap { member in
      member.value.double.map { (member.key.string, $0) }
    }
  }

  var rows: [TokenizedSample] {
    golden.samples.map { TokenizedSample(tokens: $0.tokens, scored: $0.isScored, truncated: false) }
  }

  static var configuration: FineTuningConfiguration {
    var configuration = FineTuningConfiguration()
    configuration.epochs = 10
    configuration.steps = 10
    configuration.batchRows = 2
    configuration.learningRate = 3e-3
    configuration.schedule = .linear
    configuration.warmUp = 0.3
    configuration.weightDecay = 0.1
    configuration.clipNorm = 0.5
    configuration.keepsOrder = true
    return configuration
  }

  func run(_ training: any ModelInTraining, _ change: (inout FineTuningConfiguration) -> Void = { _ in })
    throws
    -> FineTuningRun
  {
    var configuration = Self.configuration
    change(&configuration)
    return try FineTuningRun(
      training: training, rows: rows, configuration: configuration, origin: ["test": "yes"])
  }

  func whole(_ precision: Precision = .f32) throws -> WholeModel {
    try WholeModel(ModelSource(path: golden.modelPath), precision: precision)
  }
}

private func finish(_ run: FineTuningRun, workers: Int = 2, checkpoint: String? = nil) throws -> [Double] {
  try run.run(checkpoint: checkpoint, workers: workers, progress: { _ in }, isCancelled: { false }).losses
}

private func numbers(_ training: any ModelInTraining) -> [[Float]] {
  training.parameters.map { $0.matrix.view.values }
}

@Suite struct FineTuningRunTests {
  @Test(
    arguments: [
      "tied", "untied", "qwen2", "qwen3", "phi3", "gemma2", "gelu-new", "original", "pythia",
      "gpt-neox-sequential",
    ])
  func tenStepsEqualPyTorch(_ name: String) throws {
    let trained = try Trained(name)
    let training = try trained.whole()
    try expect(try finish(trained.run(training)), training, equal: trained)
  }

  /// Products of rounded factors come to nearly the same, and the weights themselves are not rounded.
  @Test(arguments: ["tied", "gelu-new", "pythia"]) func tenStepsInBFloat16StayNear(_ name: String) throws {
    let trained = try Trained(name)
    let training = try trained.whole(.bf16)
    let losses = try finish(trained.run(training))
    #expect(losses != trained.losses)
    for (step, (loss, expected)) in zip(losses, trained.losses).enumerated() {
      #expect(abs(loss - expected) < 2e-2, "step \(step + 1): loss \(loss), PyTorch in f64 \(expected)")
    }
    let hasFullPrecision = training.parameters.contains { parameter in
      parameter.matrix.view.values.contains { $0.bitPattern & 0xffff != 0 }
    }
    #expect(hasFullPrecision)
  }

  @Test func tenStepsOfAnAdapterEqualPEFT() throws {
    let trained = try Trained("adapter")
    let adapter = try #require(try LoRAAdapter(directory: trained.golden.modelPath))
    let base = try ModelLoader.load(path: adapter.basePath)
    let known = try adapter.layers(of: base)
    let training = try AdapterInTraining(
      base: base, path: adapter.basePath, layers: known.keys.sorted(), rank: 3, alpha: 6, seed: 1)
    for (index, layer) in known.keys.sorted().enumerated() {
      training.parameters[2 * index].matrix.copy(known[layer]!.a)
      training.parameters[2 * index + 1].matrix.copy(known[layer]!.b)
    }
    try expect(try finish(trained.run(training)), training, equal: trained)
  }

  private func expect(_ losses: [Double], _ training: any ModelInTraining, equal trained: Trained) throws {
    #expect(losses.count == 10 && trained.losses.count == 10)
    for (step, (loss, expected)) in zip(losses, trained.losses).enumerated() {
      #expect(abs(loss - expected) < 1e-4, "step \(step + 1): loss \(loss), PyTorch \(expected)")
    }
    // Files name some parameters otherwise than transformers in memory: a bare decoder's, and GPT-NeoX's head.
    let isBare = training.parameters.contains { $0.name == "wte.weight" }
    let found = Dictionary(
      uniqueKeysWithValues: training.parameters.map { parameter in
        let name = parameter.name == "embed_out.weight" ? "lm_head.weight" : parameter.name
        return ((isBare ? "transformer." : "") + name, parameter.matrix.view)
      })
    #expect(found.keys.sorted() == trained.squares.map(\.name).sorted())
    for (name, value) in trained.squares {
      let view = try #require(found[name])
      #expect(
        abs(dot(view, view) - value) < 1e-3 * (0.01 + value), "\(name): \(dot(view, view)), PyTorch \(value)")
    }
  }

  @Test func workersDoNotChangeABit() throws {
    let trained = try Trained("qwen3")
    let (one, three) = (try trained.whole(), try trained.whole())
    // Six rows a step, in more batches than one.
    let change = { (c: inout FineTuningConfiguration) in (c.batchRows, c.steps) = (6, 3) }
    #expect(
      try finish(trained.run(one, change), workers: 1) == finish(trained.run(three, change), workers: 3))
    #expect(numbers(one) == numbers(three))
  }

  @Test(arguments: [false, true]) func aResumedRunEndsWithTheSameBits(ofAnAdapter: Bool) throws {
    let trained = try Trained("untied")
    func training() throws -> any ModelInTraining {
      guard ofAnAdapter else { return try trained.whole() }
      let base = try ModelLoader.load(path: trained.golden.modelPath)
      return try AdapterInTraining(base: base, path: "", layers: [0, 3], rank: 2, alpha: 4, seed: 1)
    }
    let shuffled = { (c: inout FineTuningConfiguration) in c.keepsOrder = false }
    let whole = try training()
    let losses = try finish(trained.run(whole, shuffled))
    let folder = try TemporaryFolder()
    let path = folder.path + "/model.checkpoint.partial"
    let (first, second) = (try training(), try training())
    var steps = 0
    #expect(throws: FineTuningError.self) {
      _ = try trained.run(first, shuffled).run(
        checkpoint: path, workers: 2,
        progress: { if case .step(let step, _, _, _, _) = $0 { steps = step } }, isCancelled: { steps == 4 })
    }
    #expect(numbers(first) != numbers(whole))
    #expect(try finish(trained.run(second, shuffled), workers: 1, checkpoint: path) == losses)
    #expect(numbers(second) == numbers(whole))
    // Another run's checkpoint is refused by what differs.
    if ofAnAdapter {
      let base = try ModelLoader.load(path: trained.golden.modelPath)
      let louder = try AdapterInTraining(base: base, path: "", layers: [0, 3], rank: 2, alpha: 8, seed: 1)
      #expect {
        try finish(trained.run(louder, shuffled), checkpoint: path)
      } throws: { "\($0)".contains("lora_alpha") }
    }
    #expect {
      try finish(trained.run(try training()) { $0.learningRate = 1 }, checkpoint: path)
    } throws: { "\($0)".contains("learning_rate") || "\($0)".contains("keeps_order") }
  }

  @Test func stepsThatLeadNowhereAreNamed() throws {
    let trained = try Trained("tied")
    #expect {
      try finish(trained.run(trained.whole()) { ($0.learningRate, $0.warmUp, $0.clipNorm) = (1e30, 0, 1e30) })
    } throws: { "\($0)".contains("--learning-rate") }
    #expect(throws: FineTuningError.self) { try trained.run(trained.whole()) { $0.batchRows = 0 } }
    #expect(throws: FineTuningError.self) {
      try FineTuningRun(
        training: trained.whole(), rows: [], configuration: Trained.configuration, origin: [:])
    }
  }

  @Test func learningRatesRiseAndFall() {
    var configuration = FineTuningConfiguration()
    (configuration.learningRate, configuration.warmUp) = (2, 0.25)
    func rates() -> [Double] { (0..<8).map { configuration.learningRate(step: $0, of: 8) } }
    configuration.schedule = .constant
    #expect(rates() == [1, 2, 2, 2, 2, 2, 2, 2])
    configuration.schedule = .linear
    #expect(
      zip(rates(), [1, 2, 2, 10.0 / 6, 8.0 / 6, 1, 4.0 / 6, 2.0 / 6]).allSatisfy { abs($0 - $1) < 1e-12 })
    configuration.schedule = .cosine
    #expect(abs(rates()[5] - 1) < 1e-12 && rates()[3] > 10.0 / 6)
  }
}
