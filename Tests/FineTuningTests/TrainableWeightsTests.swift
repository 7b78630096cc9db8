import Formats
import Foundation
import LanguageModels
import TensorKernels
import TestSupport
import Testing

import FineTuning

@Suite struct TrainableWeightsTests {
  @Test func aModelSeesWhatIsWritten() throws {
    let path = try GoldenModel("llama/untied").modelPath
    let training = try WholeModel(ModelSource(path: path))
    let (before, original) = (try training.model(), try ModelLoader.load(path: path))
    let batch = TokenBatch([([1, 5, 9, 7], [false, true, true, true])])
    #expect(
      before.losses(of: batch, workspace: Workspace()) == original.losses(of: batch, workspace: Workspace()))
    let head = try #require(training.parameters.first { $0.name == "lm_head.weight" })
    head.matrix.fill(0)
    // Every token is as likely as any other.
    let loss = before.losses(of: batch, workspace: Workspace())[0]
    #expect(abs(exp(loss) - Double(before.vocabularySize)) < 1e-2)
    #expect(original.losses(of: batch, workspace: Workspace())[0] != loss)
  }

  @Test func untrainedWeightsAreWhatTheirConfigurationSays() throws {
    let path = try GoldenModel("decoders/qwen2").modelPath + "/config.json"
    func training(_ seed: UInt64) throws -> WholeModel {
      try WholeModel(
        ModelSource(untrained: path) { RandomWeights(path: $0, start: $1, seed: seed) })
    }
    let parameters = try training(1).parameters
    for parameter in parameters where parameter.isVector {
      let expected: Float = parameter.name.hasSuffix(".bias") ? 0 : 1
      #expect(parameter.matrix.view.values.allSatisfy { $0 == expected }, "\(parameter.name)")
    }
    for parameter in parameters where !parameter.isVector {
      let view = parameter.matrix.view
      let deviation = (dot(view, view) / Double(view.rows * view.columns)).squareRoot()
      #expect(abs(deviation - 0.02) < 0.004, "\(parameter.name): \(deviation)")
    }
    func numbers(_ seed: UInt64) throws -> [[Float]] {
      try training(seed).parameters.map { $0.matrix.view.values }
    }
    #expect(try numbers(1) == numbers(1))
    #expect(try numbers(1) != numbers(2))
    let gemma = try WholeModel(
      ModelSource(untrained: try GoldenModel("decoders/gemma2").modelPath + "/config.json") {
        RandomWeights(path: $0, start: $1, seed: 1)
      })
    let norm = try #require(gemma.parameters.first { $0.name == "model.norm.weight" })
    #expect(norm.matrix.view.values.allSatisfy { $0 == 0 }, "Gemma's norms multiply by 1 + w")
  }

  /// GGUF files of Gemma hold `1 + w` where directories hold w.
  @Test(arguments: ["gemma2", "qwen2"]) func whatCameFromGGUFIsADirectory(_ name: String) throws {
    let source = TestData.fixture("gguf/\(name).gguf")
    let training = try WholeModel(ModelSource(path: source))
    let folder = try TemporaryFolder()
    try training.save(to: folder.path)
    let batch = TokenBatch([([1, 5, 9, 7], [false, true, true, true])])
    let losses = try ModelLoader.load(path: source).losses(of: batch, workspace: Workspace())
    let again = try ModelLoader.load(path: folder.path).losses(of: batch, workspace: Workspace())
    #expect(abs(losses[0] - again[0]) < 1e-5, "\(losses) \(again)")
  }

  /// GPT-2 draws what is added to the residual with a smaller deviation.
  @Test func gpt2BeginsAsTransformersDoes() throws {
    let path = try GoldenModel("gpt2/gelu-new").modelPath + "/config.json"
    let training = try WholeModel(
      ModelSource(untrained: path) { RandomWeights(path: $0, start: $1, seed: 1) })
    let layers = try #require(try JSONValue.read(path: path)["n_layer"]?.double)
    for parameter in training.parameters where !parameter.isVector {
      let view = parameter.matrix.view
      let deviation = (dot(view, view) / Double(view.rows * view.columns)).squareRoot()
      let expected = parameter.name.hasSuffix("c_proj.weight") ? 0.02 / (2 * layers).squareRoot() : 0.02
      #expect(abs(deviation / expected - 1) < 0.2, "\(parameter.name): \(deviation)")
      #expect(parameter.name.hasPrefix("transformer."))
    }
  }

  @Test func anUnknownFamilyIsNamed() throws {
    let folder = try TemporaryFolder()
    let path = try folder.file("config.json", #"{"model_type": "mamba"}"#)
    #expect { try ModelSource(untrained: path) { RandomWeights(path: $0, start: $1, seed: 1) } } throws: {
      "\($0)".contains("mamba") && "\($0)".contains("gpt_neox")
    }
  }
}
