import Encoder
import Formats
import TensorKernels
import TestSupport

/// The small BERT with a head that PyTorch ran in float64 (`scripts/fixtures/bert.py`).
struct BertFixture {
  struct Sample {
    let id: String
    let ids: [Int]
    let output: Double
    let target: Double
  }

  let model: EncoderModel
  let golden: SafetensorsFile
  let samples: [Sample]
  let loss: Double

  init() throws {
    let folder = TestData.fixture("bert")
    model = try EncoderModel.load(directory: folder)
    golden = try SafetensorsFile(path: folder + "/golden.safetensors")
    for place in [model.layout.headWeight, model.layout.headBias] {
      let values = try golden.floats(named: place.name, shape: place.shape)
      model.parameters.matrix(place).pointer.update(from: values, count: values.count)
    }
    let json = try JSONValue.read(path: folder + "/golden.json")
    loss = json["loss"]?.double ?? .nan
    samples = (json["samples"]?.array ?? []).map { sample in
      Sample(
        id: sample["id"]?.string ?? "", ids: sample["ids"]?.array?.compactMap(\.int) ?? [],
        output: sample["output"]?.double ?? .nan, target: sample["target"]?.double ?? .nan)
    }
  }

  var batch: EncoderBatch { EncoderBatch(samples.map(\.ids)) }
}

/// A model of random weights, biases included, so that every parameter matters.
func randomModel(seed: UInt64 = 3, vocabulary: Int = 40) -> EncoderModel {
  let configuration = EncoderConfiguration(
    vocabularySize: vocabulary, hiddenSize: 16, layers: 2, heads: 4, intermediateSize: 24, maxPositions: 48)
  let model = EncoderModel(configuration: configuration)
  var generator = SeededGenerator(seed: seed)
  for place in model.layout.places {
    let base = place.name.hasSuffix("LayerNorm.weight") ? 1.0 : 0
    let matrix = model.parameters.matrix(place)
    for index in 0..<place.count { matrix.pointer[index] = Float(base + 0.3 * generator.normal()) }
  }
  return model
}

func randomTexts(_ lengths: [Int], vocabulary: Int = 40, seed: UInt64 = 5) -> [[Int]] {
  var generator = SeededGenerator(seed: seed)
  return lengths.map { length in (0..<length).map { _ in Int(generator.next() % UInt64(vocabulary)) } }
}
