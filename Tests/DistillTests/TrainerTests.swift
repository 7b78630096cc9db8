import Distill
import Encoder
import Formats
import Foundation
import RankStatistics
import Records
import TensorKernels
import Synchronization
import Testing

@Suite struct TrainerTests {
  /// Texts of many lengths whose label is the share of the letter `a`, with a little noise.
  private func dataset(_ count: Int = 240) -> DistillationDataset {
    var generator = SeededGenerator(seed: 9)
    let rows = (0..<count).map { index -> DistillationDataset.Row in
      let share = generator.uniform()
      let letters = (0..<Int(12 + generator.next() % 30)).map { _ in
        generator.uniform() < share ? "a" : String(UnicodeScalar(UInt8(98 + generator.next() % 20)))
      }
      let label =
        12 * Double(letters.count { $0 == "a" }) / Double(letters.count) + 0.1 * generator.normal() + 5
      return .init(
        record: .text(ByteString((letters + ["\(index)"]).joined(separator: " "))), label: label,
        source: index % 2 == 0 ? "even" : "odd")
    }
    return DistillationDataset(rows: rows, kind: "dot", modelSHA256: "m", targetSHA256: "t")
  }

  private func configuration(_ tokenizer: String) -> TrainingConfiguration {
    var configuration = TrainingConfiguration(
      initialEncoder: .scratch(EncoderSize(layers: 1, hiddenSize: 32, heads: 2), tokenizer: tokenizer))
    configuration.maxTokens = 64
    configuration.optimisation.epochs = 8
    configuration.optimisation.learningRate = 2e-3
    configuration.optimisation.headLearningRate = 2e-3
    configuration.optimisation.trainsEmbeddingTables = true
    return configuration
  }

  @Test func learnsWhatTheTextShows() throws {
    let folder = try TrainerFolder()
    let dataset = dataset()
    let (valuator, report, _) = try Trainer(configuration: configuration(folder.tokenizer), dataset: dataset)
      .run(version: "test")
    let method = try #require(report.methods.first)
    #expect(try #require(method.spearman) > 0.85)
    #expect(try #require(method.withinSource.mean) > 0.8)
    #expect(method.withinSource.groups.map(\.name) == ["even", "odd"])
    // Calibrated to label units: near the labels themselves.
    let test = try DataParts(hashes: dataset.rows.map(\.sha256), sizes: .init()).test
    let scores = try valuator.scores(of: test.map { dataset.rows[$0].record })
    let errors = zip(scores, test).map { abs($0.value - dataset.rows[$1].label) }
    #expect(errors.reduce(0, +) / Double(errors.count) < 1.5)
    #expect(valuator.card.rows.test == test.map { dataset.rows[$0].sha256 })
    #expect(report.metrics["test_spearman"]?.double == method.spearman)
    // 36 test rows: an interval of 90 % that held in fewer than 25 would be broken.
    let intervals = try #require(report.intervals)
    let sourceWidth = try #require(intervals.sourceMeanWidth)
    #expect(intervals.held > 0.7 && intervals.meanWidth < sourceWidth)
    #expect(try #require(intervals.outside?.share) < 0.3)
    // The label is a share of words, so words alone may well rank better: then the report must say so.
    let words = try #require(report.methods.first { $0.name == "TF-IDF + ridge" }?.spearman)
    #expect(report.warnings.contains { $0.contains("TF-IDF + ridge") } == (words > (method.spearman ?? 0)))
  }

  /// What is measured of a valuator is measured in the precision that it scores in.
  @Test(arguments: [ValuatorPrecision.bf16, .int8]) func aPrecisionIsCalibratedAndTestedAsItIs(
    _ precision: ValuatorPrecision
  ) throws {
    let folder = try TrainerFolder()
    let dataset = dataset(160)
    var exact = configuration(folder.tokenizer)
    exact.optimisation.epochs = 2
    var rounded = exact
    rounded.precision = precision
    rounded.checkpoint += ".rounded"
    let runs = try [exact, rounded].map {
      try Trainer(configuration: $0, dataset: dataset).run(version: "test")
    }
    #expect(runs.map(\.valuator.card.precision) == [.f32, precision])
    // The same training, and another calibration.
    #expect(try encoder(runs[0].valuator).everyParameter == encoder(runs[1].valuator).everyParameter)
    #expect(runs[0].valuator.card.calibration != runs[1].valuator.card.calibration)
    let directory = folder.tokenizer + "/valuator"
    try runs[1].valuator.save(to: directory)
    let loaded = try Valuator.load(directory: directory)
    let calibration = try DataParts(hashes: dataset.rows.map(\.sha256), sizes: .init()).calibration
    let outputs = try loaded.scores(of: calibration.map { dataset.rows[$0].record }).map { Double($0.raw) }
    let map = IsotonicMap.fit(inputs: outputs, outputs: calibration.map { dataset.rows[$0].label })
    #expect(map == loaded.card.calibration)
  }

  @Test func sameBitsWhateverTheWorkers() throws {
    let folder = try TrainerFolder()
    let dataset = dataset(80)
    var one = configuration(folder.tokenizer)
    one.optimisation.epochs = 2
    var three = one
    three.workers = 3
    three.checkpoint += ".three"
    let models = try [one, three].map {
      try encoder(Trainer(configuration: $0, dataset: dataset).run(version: "test").valuator)
    }
    #expect(models[0].everyParameter == models[1].everyParameter)
    var other = one
    other.seed = 1
    other.checkpoint += ".other"
    let different = try encoder(Trainer(configuration: other, dataset: dataset).run(version: "test").valuator)
    #expect(different.everyParameter != models[0].everyParameter)
  }

  @Test func testRowsDoNotReachTheWeights() throws {
    let folder = try TrainerFolder()
    var dataset = dataset(80)
    var configuration = configuration(folder.tokenizer)
    configuration.optimisation.epochs = 2
    let before = try Trainer(configuration: configuration, dataset: dataset).run(version: "test").valuator
    configuration.discardUnfinished()
    for row in try DataParts(hashes: dataset.rows.map(\.sha256), sizes: .init()).test {
      dataset.rows[row].label = -100
    }
    let after = try Trainer(configuration: configuration, dataset: dataset).run(version: "test").valuator
    #expect(try encoder(before).everyParameter == encoder(after).everyParameter)
    #expect(before.card.calibration == after.card.calibration)
  }

  @Test func equalLabelsAreRefused() throws {
    let folder = try TrainerFolder()
    var dataset = dataset(80)
    for row in dataset.rows.indices { dataset.rows[row].label = 2 }
    let error = #expect(throws: DistillError.self) {
      try Trainer(configuration: configuration(folder.tokenizer), dataset: dataset).run(version: "test")
    }
    #expect("\(try #require(error))".contains("the same"))
  }

  @Test func cancellingEndsTheRun() throws {
    let folder = try TrainerFolder()
    #expect(throws: DistillError.interrupted) {
      try Trainer(configuration: configuration(folder.tokenizer), dataset: dataset(80), isCancelled: { true })
        .run(version: "test")
    }
  }

  @Test func aTrainingThatWasBrokenOffEndsWithTheSameBits() throws {
    let folder = try TrainerFolder()
    var configuration = configuration(folder.tokenizer)
    configuration.optimisation.epochs = 4
    let whole = try Trainer(configuration: configuration, dataset: dataset(80)).run(version: "test")
    configuration.discardUnfinished()
    let steps = Mutex(0)
    #expect(throws: DistillError.interrupted) {
      // Fifty-odd rows are four steps an epoch: within the third.
      try Trainer(
        configuration: configuration, dataset: dataset(80), isCancelled: { steps.withLock { $0 > 9 } }
      ).run(version: "test") { if case .step = $0 { steps.withLock { $0 += 1 } } }
    }
    #expect(FileManager.default.fileExists(atPath: configuration.checkpoint))
    var other = configuration
    other.seed = 3
    let error = #expect(throws: FormatError.self) {
      try Trainer(configuration: other, dataset: dataset(80)).run(version: "test")
    }
    #expect("\(try #require(error))".contains("was begun with another"))
    var resumed: [Int] = []
    let rest = try Trainer(configuration: configuration, dataset: dataset(80)).run(version: "test") {
      if case .resumed(let epoch) = $0 { resumed.append(epoch) }
    }
    #expect(resumed == [2])
    #expect(try encoder(rest.valuator).everyParameter == encoder(whole.valuator).everyParameter)
    #expect(rest.log == whole.log)
    // It stays until the valuator is safe: a training that is broken off behind its last epoch goes on too.
    #expect(FileManager.default.fileExists(atPath: configuration.checkpoint))
    let again = try Trainer(configuration: configuration, dataset: dataset(80)).run(version: "test") {
      if case .resumed(let epoch) = $0 { resumed.append(epoch) }
    }
    #expect(resumed == [2, 4])
    #expect(try encoder(again.valuator).everyParameter == encoder(whole.valuator).everyParameter)
    // Another validation row would have stopped it elsewhere.
    var relabelled = dataset(80)
    relabelled.rows[try DataParts(hashes: relabelled.rows.map(\.sha256), sizes: .init()).validation[0]]
      .label += 1
    let stale = #expect(throws: FormatError.self) {
      try Trainer(configuration: configuration, dataset: relabelled).run(version: "test")
    }
    #expect("\(try #require(stale))".contains("another 'rows'"))
    configuration.discardUnfinished()
    #expect(!FileManager.default.fileExists(atPath: configuration.checkpoint))
  }

  @Test func frozenTablesStay() throws {
    let folder = try TrainerFolder()
    var configuration = configuration(folder.tokenizer)
    configuration.optimisation.trainsEmbeddingTables = false
    configuration.optimisation.epochs = 1
    let model = try encoder(
      Trainer(configuration: configuration, dataset: dataset(80)).run(version: "test").valuator)
    let fresh = EncoderModel(configuration: model.configuration)
    fresh.initialise(seed: configuration.seed)
    let words = model.layout.wordEmbeddings
    #expect(model.parameters.view(words).values == fresh.parameters.view(words).values)
  }

  /// Of the features that are scaled by sqrt(n), only the length has a weight.
  @Test func lengthIsSeenByOneWeight() throws {
    let folder = try TrainerFolder()
    var configuration = configuration(folder.tokenizer)
    configuration.optimisation.epochs = 2
    let model = try encoder(
      Trainer(configuration: configuration, dataset: dataset(80)).run(version: "test").valuator)
    let head = model.parameters.view(model.layout.headWeight).values
    let width = model.configuration.hiddenSize
    #expect(head[width...].filter { $0 != 0 }.count == 1)
    let weights = head[..<width].filter { $0 != 0 }
    #expect(weights.count >= width - 1)
    let last = model.layout.layers.last!
    let dimension = head[width...].firstIndex { $0 != 0 }! - width
    #expect(model.parameters.view(last.outputNormWeight)[0, dimension] == 0)
    #expect(model.parameters.view(last.outputNormBias)[0, dimension] == 1)
  }

  @Test func maxTokensBeyondThePositionsAreRefused() throws {
    let folder = try TrainerFolder()
    var configuration = configuration(folder.tokenizer)
    configuration.maxTokens = 2
    #expect(throws: DistillError.self) {
      try Trainer(configuration: configuration, dataset: dataset(80)).run(version: "test")
    }
  }
}

private func encoder(_ valuator: Valuator) throws -> EncoderModel {
  try #require(valuator.model as? EncoderModel)
}

extension EncoderModel {
  fileprivate var everyParameter: [Float] { layout.places.flatMap { parameters.view($0).values } }
}

/// A folder with a WordPiece tokenizer of single letters.
private final class TrainerFolder {
  let tokenizer: String

  init() throws {
    tokenizer =
      FileManager.default.temporaryDirectory.appendingPathComponent("alinfik-\(UUID().uuidString)").path
    try FileManager.default.createDirectory(atPath: tokenizer, withIntermediateDirectories: true)
    let words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"] + "abcdefghijklmnopqrstuvwxyz".map { "\($0)" }
    let vocabulary = words.enumerated().map { "\"\($1)\": \($0)" }.joined(separator: ", ")
    let json = """
      {"version": "1.0", "added_tokens": [], "normalizer": null, "pre_tokenizer": {"type": "BertPreTokenizer"},
       "post_processor": null, "decoder": null,
       "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
         "max_input_chars_per_word": 100, "vocab": {\(vocabulary)}}}
      """
    try Data(json.utf8).write(to: URL(fileURLWithPath: tokenizer + "/tokenizer.json"))
  }

  deinit { try? FileManager.default.removeItem(atPath: tokenizer) }
}
