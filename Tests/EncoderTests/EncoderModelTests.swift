import Encoder
import Formats
import TensorKernels
import TestSupport
import Testing

@Suite struct EncoderModelTests {
  @Test func outputsEqualPyTorch() throws {
    let fixture = try BertFixture()
    let workspace = EncoderWorkspace()
    let hidden = fixture.model.hiddenStates(fixture.batch, workspace: workspace)
    let offsets = fixture.batch.offsets
    for (index, sample) in fixture.samples.enumerated() {
      let rows = hidden.rows(offsets[index]..<offsets[index + 1])
      let expected = try fixture.golden.floats(
        named: "\(sample.id)/hidden", shape: [sample.ids.count, fixture.model.configuration.hiddenSize])
      let worst = zip(rows.values, expected).map { abs($0 - $1) }.max() ?? 0
      #expect(worst < 2e-5, "hidden states of \(sample.id) differ by \(worst)")
    }
    let outputs = fixture.model.scores(fixture.batch, workspace: workspace)
    for (output, sample) in zip(outputs, fixture.samples) {
      #expect(abs(Double(output) - sample.output) < 1e-5, "output of \(sample.id)")
    }
  }

  @Test func pooledFeaturesEqualPyTorch() throws {
    let fixture = try BertFixture()
    let pooled = fixture.model.pooledFeatures(fixture.batch, workspace: EncoderWorkspace())
    let width = fixture.model.configuration.hiddenSize
    for (index, sample) in fixture.samples.enumerated() {
      let expected =
        try fixture.golden.floats(named: "\(sample.id)/mean", shape: [width])
        + fixture.golden.floats(named: "\(sample.id)/mean_sqrt_len", shape: [width])
      let worst = zip(pooled.rows(index..<index + 1).values, expected).map { abs($0 - $1) }.max() ?? 0
      #expect(worst < 2e-5, "pooled features of \(sample.id) differ by \(worst)")
    }
  }

  @Test func gradientsEqualPyTorch() throws {
    let fixture = try BertFixture()
    let workspace = EncoderWorkspace()
    let gradients = ParameterBuffer(fixture.model.layout)
    let outputs = fixture.model.forward(fixture.batch, workspace: workspace)
    let errors = zip(outputs, fixture.samples).map { Double($0) - $1.target }
    let loss = errors.reduce(0) { $0 + $1 * $1 } / Double(errors.count)
    #expect(abs(loss - fixture.loss) < 1e-5)
    fixture.model.backward(
      outputGradient: errors.map { Float(2 * $0 / Double(errors.count)) }, into: gradients,
      workspace: workspace)
    for place in fixture.model.layout.places {
      let expected = try fixture.golden.floats(named: "gradient/\(place.name)", shape: place.shape)
      var actual = gradients.view(place).values
      if place.name == fixture.model.layout.wordEmbeddings.name {
        // transformers gives id 0, its padding, no gradient; here nothing is padded.
        for index in 0..<place.columns { actual[index] = 0 }
      }
      let scale = expected.map(abs).max() ?? 0
      let worst = zip(actual, expected).map { abs($0 - $1) }.max() ?? 0
      // A key's bias has no gradient (softmax ignores what all scores share): there only rounding is left.
      #expect(worst <= 1e-4 * max(scale, 1e-2), "\(place.name): off by \(worst), largest \(scale)")
    }
  }

  /// Every tensor along a random direction: `(f(w + h u) - f(w - h u)) / 2h = <gradient, u>`.
  @Test func gradientsEqualFiniteDifferences() throws {
    let model = randomModel()
    let workspace = EncoderWorkspace()
    let batch = EncoderBatch(randomTexts([5, 1, 17, 9]))
    let weights: [Float] = [0.5, -1, 0.25, 2]
    func value() -> Double {
      zip(model.scores(batch, workspace: workspace), weights).reduce(0) { $0 + Double($1.0) * Double($1.1) }
    }
    let gradients = ParameterBuffer(model.layout)
    _ = model.forward(batch, workspace: workspace)
    model.backward(outputGradient: weights, into: gradients, workspace: workspace)
    var generator = SeededGenerator(seed: 11)
    for place in model.layout.places where !place.name.hasSuffix("key.bias") {
      let direction = Matrix(rows: place.rows, columns: place.columns)
      for index in 0..<place.count { direction.pointer[index] = Float(generator.normal()) }
      let parameter = model.parameters.matrix(place)
      let kept = parameter.view.values
      let step: Float = 4e-3 / Float(place.count).squareRoot()
      add(direction.view, times: step, to: parameter)
      let above = value()
      add(direction.view, times: -2 * step, to: parameter)
      let below = value()
      parameter.pointer.update(from: kept, count: kept.count)
      let expected = (above - below) / Double(2 * step)
      let actual = dot(gradients.view(place), direction.view)
      let tolerance = 0.03 * max(abs(expected), 0.5)
      #expect(abs(actual - expected) < tolerance, "\(place.name): \(actual), \(expected)")
    }
  }

  @Test func rowInBatchEqualsRowAlone() {
    let model = randomModel()
    let texts = randomTexts([3, 40, 1, 8, 22])
    let workspace = EncoderWorkspace()
    let together = model.scores(EncoderBatch(texts), workspace: workspace)
    for (text, score) in zip(texts, together) {
      #expect(abs(model.scores(EncoderBatch([text]), workspace: workspace)[0] - score) < 1e-5)
    }
  }

  @Test func passThatKeepsEqualsPassThatDoesNot() {
    let model = randomModel()
    let batch = EncoderBatch(randomTexts([3, 40, 1]))
    let workspace = EncoderWorkspace()
    #expect(model.forward(batch, workspace: workspace) == model.scores(batch, workspace: workspace))
  }

  @Test func frozenTablesChangeNoOtherGradient() {
    let model = randomModel()
    let workspace = EncoderWorkspace()
    let batch = EncoderBatch(randomTexts([6, 3]))
    let all = ParameterBuffer(model.layout)
    let frozen = ParameterBuffer(model.layout, withTables: false)
    for gradients in [all, frozen] {
      _ = model.forward(batch, workspace: workspace)
      model.backward(outputGradient: [1, 1], into: gradients, workspace: workspace)
    }
    #expect(frozen.storage.count < all.storage.count)
    for place in model.layout.places.dropFirst(3) {
      #expect(frozen.view(place).values == all.view(place).values, "\(place.name)")
    }
  }

  @Test func scoresDoNotDependOnWorkers() throws {
    let model = randomModel()
    let texts = randomTexts((0..<300).map { 1 + $0 % 40 })
    let one = try model.scores(texts.map { EncodedText($0) }, workers: 1, workspaces: EncoderWorkspaces(1))
    let three = try model.scores(texts.map { EncodedText($0) }, workers: 3, workspaces: EncoderWorkspaces(3))
    #expect(one == three)
    #expect(one.count == texts.count)
  }

  @Test func initialisationFollowsTheSeed() {
    let shape = randomModel().configuration
    let models = [1, 1, 2].map { seed in
      let model = EncoderModel(configuration: shape)
      model.initialise(seed: UInt64(seed))
      return model
    }
    let words = models.map { $0.parameters.view($0.layout.wordEmbeddings).values }
    #expect(words[0] == words[1])
    #expect(words[0] != words[2])
    #expect(models[0].scores(EncoderBatch([[1, 2, 3]]), workspace: EncoderWorkspace()) == [0])
  }
}

@Suite struct EncoderConfigurationTests {
  private let good: JSONValue = [
    "model_type": "bert", "hidden_act": "gelu", "vocab_size": 10, "hidden_size": 8, "num_hidden_layers": 1,
    "num_attention_heads": 2, "intermediate_size": 16, "max_position_embeddings": 32, "type_vocab_size": 2,
    "layer_norm_eps": 1e-12,
  ]

  @Test func roundTrips() throws {
    let configuration = try EncoderConfiguration(json: good, path: "config.json")
    #expect(try EncoderConfiguration(json: configuration.json, path: "again") == configuration)
  }

  @Test(arguments: [
    ("model_type", JSONValue("gpt2")), ("hidden_act", "relu"), ("hidden_size", 0), ("hidden_size", 7),
    ("vocab_size", "many"), ("position_embedding_type", "relative_key"),
  ]) func refuses(key: String, value: JSONValue) throws {
    var members = try #require(good.members)
    members.append((key: ByteString(key), value: value))
    #expect(throws: EncoderError.self) {
      try EncoderConfiguration(json: .object(members), path: "config.json")
    }
  }
}

@Suite struct LengthDimensionTests {
  @Test func poolsToOneAndTheRootOfTheLength() {
    let model = randomModel()
    let dimension = model.openLengthDimension()
    let lengths = [1, 4, 25]
    let pooled = model.pooledFeatures(EncoderBatch(randomTexts(lengths)), workspace: EncoderWorkspace())
    for (row, length) in lengths.enumerated() {
      #expect(abs(pooled[row, dimension] - 1) < 1e-5)
      let root = pooled[row, model.configuration.hiddenSize + dimension]
      #expect(abs(root - Float(length).squareRoot()) < 1e-4)
    }
  }
}
