import Formats
import Foundation
import TestSupport
import TensorKernels
import Testing

import LanguageModels

/// Loss and per-sample gradients against PyTorch in float64, against themselves, and what is refused.
@Suite struct GPT2GradientTests {
  @Test(arguments: GoldenModel.gpt2) func gradientsOfRandomModelsEqualPyTorch(_ name: String) throws {
    try GradientChecks(name).gradientsEqualPyTorch()
  }

  @Test(arguments: GoldenModel.gpt2) func rowInABatchEqualsTheRowAlone(_ name: String) throws {
    try GradientChecks(name).rowInABatchEqualsTheRowAlone()
  }

  @Test(arguments: GoldenModel.gpt2) func gradientsEqualFiniteDifferences(_ name: String) throws {
    try GradientChecks(name).gradientsEqualFiniteDifferences()
  }

  @Test(arguments: GoldenModel.gpt2) func lossWithoutBackwardIsTheSame(_ name: String) throws {
    for precision in Precision.allCases {
      try GradientChecks(name, precision: precision).lossWithoutBackwardIsTheSame()
    }
  }

  @Test(arguments: GoldenModel.gpt2) func layersKeepTheirNamesAndWidths(_ name: String) throws {
    let model = try ModelLoader.load(path: TestData.fixture(name))
    let (d, f) = name == "gpt2/original" ? (16, 40) : (32, 128)
    let block = [
      ("attn.c_attn", d, 3 * d), ("attn.c_proj", d, d), ("mlp.c_fc", d, f), ("mlp.c_proj", f, d),
    ]
    let expected = (0..<2).flatMap { index in
      block.map { "transformer.h.\(index).\($0.0).weight: \($0.1) to \($0.2)" }
    }
    #expect(model.linearLayers.map { "\($0.name): \($0.inputWidth) to \($0.outputWidth)" } == expected)
  }

  /// `-log p(last token)` from the logits is the loss that PyTorch found.
  @Test func nextTokenLogitsPredictTheLoss() throws {
    let golden = try GoldenModel("gpt2/gelu-new")
    let model = try ModelLoader.load(path: golden.modelPath)
    // The fourth mask scores the last token alone.
    let sample = golden.samples[3]
    let logits = model.nextTokenLogits(Array(sample.tokens.dropLast()), workspace: Workspace())
      .map(Double.init)
    let top = logits.max()!
    let logSumExp = top + log(logits.reduce(0) { $0 + exp($1 - top) })
    #expect(abs(logSumExp - logits[Int(sample.tokens.last!)] - sample.loss) < 1e-5)
  }
}

/// Configurations and weights that another computation belongs to.
@Suite struct GPT2RefusalTests {
  private let sizes = #""model_type": "gpt2", "vocab_size": 97, "n_layer": 2, "n_positions": 64"#

  private func configuration(_ text: String) throws -> GPT2Configuration {
    try GPT2Configuration(json: JSONValue.parse(Array(text.utf8)), path: "config.json")
  }

  /// The message with which a configuration is refused, nil where it is not.
  private func refusal(_ more: String) -> String? {
    do {
      _ = try configuration("{\(sizes), \(more)}")
      return nil
    } catch {
      return "\(error)"
    }
  }

  @Test func defaultsAreThoseOfGPT2() throws {
    let c = try configuration(#"{\#(sizes), "n_embd": 32, "n_head": 4, "n_inner": null}"#)
    #expect(c.intermediateSize == 128 && c.activation == .geluTanh && c.normEpsilon == 1e-5)
  }

  @Test(arguments: [
    (#""activation_function": "relu""#, ["activation_function", "'relu'", "gelu_new"]),
    (#""scale_attn_weights": false"#, ["scale_attn_weights"]),
    (#""scale_attn_by_inverse_layer_idx": true"#, ["scale_attn_by_inverse_layer_idx"]),
    (#""reorder_and_upcast_attn": true"#, ["reorder_and_upcast_attn"]),
    (#""add_cross_attention": true"#, ["add_cross_attention"]),
    (#""tie_word_embeddings": false"#, ["tie_word_embeddings"]),
    (#""layer_norm_epsilon": 0"#, ["epsilon"]),
    (#""n_inner": 0"#, ["intermediate size 0"]),
    (#""n_head": 5"#, ["32", "5 heads"]),
    (#""n_head": 0"#, ["head count 0"]),
    (#""n_embd": 4611686018427387904"#, ["hidden size"]),
    (#""n_positions": -1"#, ["context length -1"]),
  ])
  func configurationsAreRefusedByName(_ change: String, _ words: [String]) throws {
    let message = try #require(refusal(#""n_embd": 32, "n_head": 4, \#(change)"#))
    for word in words { #expect(message.contains(word), "\(word) in: \(message)") }
  }

  @Test func aMissingSizeIsNamed() throws {
    #expect(try #require(refusal(#""n_head": 4"#)).contains("'n_embd' is missing"))
  }

  @Test(.enabled(if: TestData.isAvailable, "wants tokenizers in ALINFIK_DATA"))
  func aGGUFFileIsRefusedByItsFamily() throws {
    let error = #expect(throws: ModelError.self) {
      try ModelLoader.load(path: TestData.path("tokenizers/ggml-vocab-gpt-2.gguf"))
    }
    let message = "\(try #require(error))"
    #expect(
      message.contains("'gpt2' is not supported in a GGUF file; supported: gemma, gemma2"), "\(message)")
    #expect(message.contains("llama") && message.contains("qwen3"))
  }

  @Test(arguments: GoldenModel.gpt2) func weightsThatDoNotFitAreRefused(_ name: String) throws {
    let config = try JSONValue.read(path: TestData.fixture("\(name)/config.json"))
    let weights = try SafetensorsWeights(path: TestData.fixture("\(name)/model.safetensors"))
    func message(_ change: (inout GPT2Configuration) -> Void) throws -> String {
      var c = try GPT2Configuration(json: config, path: "config.json")
      change(&c)
      return "\(try #require(throws: ModelError.self) { try GPT2(configuration: c, weights: weights) })"
    }
    #expect(try message { $0.layers = 1 }.contains("block 1"))
    #expect(try message { $0.layers = 3 }.contains("h.2.ln_1.weight' is missing"))
    #expect(try message { $0.contextLength += 1 }.contains("wpe.weight"))
    // Stored inputs x outputs.
    #expect(try message { $0.intermediateSize += 1 }.contains("c_fc.weight"))
  }
}
