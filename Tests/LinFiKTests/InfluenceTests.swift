import Formats
import LanguageModels
import LinFiK
import RankStatistics
import Records
import TensorKernels
import TestSupport
import Testing

/// The kinds that take nothing but the target's and the sample's gradients.
private let firstOrderKinds: [LabelKind] = [.dot, .cosine, .layerCosine]

/// Labels against PyTorch in float64, and the properties every label has.
@Suite struct InfluenceTests {
  @Test(
    arguments: GoldenModel.llama + GoldenModel.gpt2 + GoldenModel.decoders + GoldenModel.adapters,
    firstOrderKinds)
  func labelsOfRandomModelsEqualPyTorch(_ name: String, _ kind: LabelKind) throws {
    try compare(InfluenceSetting(name), kind)
  }

  @Test(
    .enabled(if: TestData.isAvailable, "wants stories260k in ALINFIK_DATA"), arguments: firstOrderKinds)
  func labelsOfStories260kEqualPyTorch(_ kind: LabelKind) throws {
    try compare(InfluenceSetting("llama/stories260k"), kind)
  }

  private func compare(_ setting: InfluenceSetting, _ kind: LabelKind) throws {
    let rows = try setting.rows(setting.exact(kind))
    for (row, sample) in zip(rows, setting.golden.samples) {
      let expected =
        switch kind {
        case .dot: sample.dot
        case .cosine: sample.cosine
        default: sample.layerCosine
        }
      #expect(
        abs(row.label - expected) < 1e-4 * max(abs(expected), 1e-2),
        "\(sample.id): \(row.label), PyTorch \(expected)")
      #expect(abs(row.gradientNorm - sample.gradientNorm) < 1e-4 * sample.gradientNorm)
      #expect(abs(row.loss - sample.loss) < 1e-5)
    }
  }

  @Test func anAdapterIsWatchedApart() throws {
    let adapted = try ModelLoader.load(path: GoldenModel("adapters/mistral").modelPath)
    let matrices = try WatchedLayers(of: adapted, matching: "adapter").layers
    #expect(matrices.count == 12 && matrices.allSatisfy { $0.name.contains("lora_") })
    let base = try WatchedLayers(of: adapted, matching: "*").layers
    #expect(base.count == 14 && base.allSatisfy { !$0.name.contains("lora_") })
    let plain = try ModelLoader.load(path: GoldenModel("decoders/mistral").modelPath)
    let error = #expect(throws: LabelError.self) { try WatchedLayers(of: plain, matching: "adapter") }
    #expect("\(try #require(error))".contains("adapter_config.json"))
  }

  /// The one-step oracle steps an adapter's matrices through the merged weights.
  @Test func aStepOfTheAdapterIsWhatItsLabelSays() throws {
    let setting = try InfluenceSetting("adapters/mistral")
    let labels = try setting.rows(setting.exact(.dot)).map(\.label)
    let oracle = OneStepOracle(
      model: setting.model, watched: setting.watched, learningRate: 1e-3, difference: .central)
    let measured = try oracle.values(
      of: setting.samples, targets: setting.targets, workers: 1, batchTokens: 100)
    for (label, value) in zip(labels, measured) { #expect(abs(label - value) < 0.05 * abs(label) + 0.02) }
  }

  @Test(arguments: Precision.allCases) func twoWorkersAndOneGiveTheSameBits(_ precision: Precision) throws {
    let setting = try InfluenceSetting("llama/untied", precision: precision)
    let one = try setting.rows(setting.exact(.cosine, workers: 1), workers: 1)
    let two = try setting.rows(setting.exact(.cosine, workers: 2), workers: 2)
    #expect(one.map(\.label) == two.map(\.label))
    #expect(one.map(\.loss) == two.map(\.loss))
  }

  @Test func labelDoesNotDependOnItsNeighbours() throws {
    let setting = try InfluenceSetting("llama/tied")
    let measure = try setting.exact(.dot)
    let alone = try setting.rows(measure, batchTokens: 1)
    let together = try setting.rows(measure, batchTokens: 1000)
    #expect(alone.map(\.label) == together.map(\.label), "a row's bits do not depend on its batch")
  }

  /// Halves of the targets label as each would alone, and together as the whole.
  @Test func otherTargetsAreLabelledBeside() throws {
    let setting = try InfluenceSetting("llama/untied")
    let middle = setting.targets.count / 2
    func mean(_ targets: ArraySlice<TokenizedSample>) throws -> MeanGradient {
      try MeanGradient(
        of: Array(targets), model: setting.model, watched: setting.watched, workers: 1, batchTokens: 16)
    }
    let halves = [try mean(setting.targets[..<middle]), try mean(setting.targets[middle...])]
    func measure(_ target: MeanGradient, _ others: [MeanGradient]) -> ExactInfluence {
      ExactInfluence(
        model: setting.model, watched: setting.watched, target: target, others: others, kind: .cosine,
        gradientNorm: false)
    }
    let both = try setting.rows(measure(halves[0], [halves[1]]))
    let second = try setting.rows(measure(halves[1], []))
    for (beside, alone) in zip(both, second) {
      #expect(abs(Double(beside.perTarget[0]) - alone.label) < 1e-5 * max(abs(alone.label), 1e-2))
    }
    #expect(try both.map(\.label) == setting.rows(measure(halves[0], [])).map(\.label))
    #expect(both.contains { abs($0.label - Double($0.perTarget[0])) > 1e-3 }, "the halves differ")
  }

  /// Each target alone, from the sample's whole gradient.
  @Test(arguments: ["llama/untied", "gpt2/original"]) func labelsOfEachTargetEqualPyTorch(_ name: String)
    throws
  {
    let setting = try InfluenceSetting(name)
    func gradients(_ workers: Int) throws -> [MeanGradient] {
      try MeanGradient.ofEach(
        setting.targets, model: setting.model, watched: setting.watched, workers: workers, batchTokens: 16)
    }
    let others = try gradients(2)
    #expect(others.count == setting.targets.count)
    #expect(try gradients(1).map(\.squaredNorms) == others.map(\.squaredNorms))
    let target = try MeanGradient(
      of: setting.targets, model: setting.model, watched: setting.watched, workers: 1, batchTokens: 16)
    let rows = try setting.rows(
      ExactInfluence(
        model: setting.model, watched: setting.watched, target: target, others: others, kind: .dot,
        gradientNorm: true))
    for (row, sample) in zip(rows, setting.golden.samples) {
      #expect(row.perTarget.count == sample.dotPerTarget.count)
      #expect(abs(row.gradientNorm - sample.gradientNorm) < 1e-4 * sample.gradientNorm)
      for (ours, theirs) in zip(row.perTarget, sample.dotPerTarget) {
        #expect(abs(Double(ours) - theirs) < 1e-4 * max(abs(theirs), 1e-2))
      }
    }
  }

  /// A sample's part of one step is its label; after a step, labels are those of another model.
  @Test func inRunShapleyIsTheLabelAtItsOwnStep() throws {
    let setting = try InfluenceSetting("llama/untied")
    let samples = (0..<20).map { setting.samples[$0 % setting.samples.count] }
    let labels = try BatchPlan(samples, batchTokens: 16).map(workers: 1) {
      [measure = try setting.exact(.dot)] in
      measure.measure($1, workspace: $2).map(\.label)
    }
    func values(_ rate: Double, _ rows: [TokenizedSample], workers: Int = 2) throws -> [Double] {
      try InRunShapley(model: setting.model, watched: setting.watched, learningRate: rate, seed: 3)
        .values(of: rows, targets: setting.targets, workers: workers, batchTokens: 16)
    }
    let oneStep = try values(0.5, Array(samples.prefix(16)))
    for (value, label) in zip(oneStep, labels) {
      #expect(abs(value - 0.5 / 16 * label) < 1e-6 * max(abs(label), 1))
    }
    // Twenty rows take two steps of ten: the second's are labels of the stepped model, at a small rate almost the first one's.
    func ratios(_ rate: Double) throws -> [Double] {
      zip(try values(rate, samples), labels).map { 16 * $0 / (rate * $1) }
    }
    #expect(try ratios(1e-6).allSatisfy { abs($0 - 1) < 1e-3 })
    #expect(try ratios(0.5).count { abs($0 - 1) < 1e-4 } == 10)
    #expect(try values(0.5, samples, workers: 1) == values(0.5, samples))
    let error = #expect(throws: LabelError.self) { try values(1e30, samples) }
    #expect("\(try #require(error))".contains("smaller rate"))
  }

  @Test func fullRankProjectionIsExact() throws {
    let setting = try InfluenceSetting("llama/untied")
    let rows = try setting.rows(setting.projected(rank: 4096, seed: 1))
    for (row, sample) in zip(rows, setting.golden.samples) {
      #expect(abs(row.label - sample.dot) < 1e-4 * max(abs(sample.dot), 1e-2))
      for (ours, theirs) in zip(row.perTarget, sample.dotPerTarget) {
        #expect(abs(Double(ours) - theirs) < 1e-4 * max(abs(theirs), 1e-2))
      }
      let mean = row.perTarget.reduce(0.0) { $0 + Double($1) } / Double(row.perTarget.count)
      #expect(abs(mean - row.label) < 1e-4 * max(abs(row.label), 1e-2))
    }
  }

  /// Over many seeds the mean of `<P g, P g'>` approaches `<g, g'>` as its standard error shrinks.
  @Test func projectionIsUnbiased() throws {
    let setting = try InfluenceSetting("llama/tied")
    let draws = 400
    var values = setting.samples.map { _ in [Double]() }
    for seed in 0..<draws {
      for (index, row) in try setting.rows(setting.projected(rank: 4, seed: UInt64(seed))).enumerated() {
        values[index].append(row.label)
      }
    }
    for (index, sample) in setting.golden.samples.enumerated() {
      let mean = values[index].reduce(0, +) / Double(draws)
      let variance = values[index].reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(draws - 1)
      let standardError = (variance / Double(draws)).squareRoot()
      #expect(variance > 0, "rank 4 must lose something, or nothing is tested")
      #expect(
        abs(mean - sample.dot) < 4 * standardError,
        "\(sample.id): \(mean) +- \(standardError), exact \(sample.dot)")
    }
  }

  @Test func globChoosesLayers() throws {
    let setting = try InfluenceSetting("llama/tied")
    let layers = try WatchedLayers(of: setting.model, matching: "*layers.1.mlp.*").layers
    #expect(layers.map(\.name) == ["gate", "up", "down"].map { "model.layers.1.mlp.\($0)_proj.weight" })
    #expect(throws: LabelError.self) { try WatchedLayers(of: setting.model, matching: "nothing") }
  }

  /// Really stepping the model on a row changes the target loss as the row's label says.
  @Test(.enabled(if: TestData.isAvailable, "wants stories260k in ALINFIK_DATA"))
  func oneStepOracleAgreesOnStories260k() throws {
    let model = try ModelLoader.load(path: TestData.path("stories260k"))
    let watched = try WatchedLayers(of: model)
    var generator = SeededGenerator(seed: 7)
    let rows = (0..<24).map { _ in
      let tokens = [1] + (0..<24).map { _ in Int32(3 + generator.next() % 509) }
      return TokenizedSample(
        tokens: tokens, scored: [false] + Array(repeating: true, count: 24), truncated: false)
    }
    let targets = Array(rows.prefix(4))
    let measure = ExactInfluence(
      model: model, watched: watched,
      target: try MeanGradient(of: targets, model: model, watched: watched, workers: 2, batchTokens: 100),
      kind: .dot,
      gradientNorm: false)
    let labels = try BatchPlan(rows, batchTokens: 100).map(workers: 2) { _, batch, workspace in
      measure.measure(batch, workspace: workspace)
    }.map(\.label)
    let truth = try OneStepOracle(model: model, watched: watched, learningRate: 1e-3)
      .values(of: rows, targets: targets, workers: 2, batchTokens: 100)
    let agreement = try #require(spearman(labels, truth))
    #expect(agreement >= 0.95, "Spearman \(agreement)")
  }
}

extension InfluenceSetting {
  fileprivate func exact(_ kind: LabelKind, workers: Int = 2, batchTokens: Int = 16) throws -> ExactInfluence
  {
    ExactInfluence(
      model: model, watched: watched,
      target: try MeanGradient(
        of: targets, model: model, watched: watched, workers: workers, batchTokens: batchTokens),
      kind: kind, gradientNorm: true)
  }

  fileprivate func projected(rank: Int, seed: UInt64) throws -> ProjectedInfluence {
    try ProjectedInfluence(
      of: targets, model: model, watched: watched,
      projection: LoGraProjection(watched: watched, rank: rank, seed: seed), kind: .dot, gradientNorm: true,
      perTarget: true, keepsGradients: true, workers: 2, batchTokens: 16)
  }
}
