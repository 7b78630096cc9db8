import Formats
import Foundation
import TensorKernels
import TestSupport
import Testing

import LanguageModels

/// The same models as Hugging Face directories and as GGUF files (`scripts/fixtures/gguf_models.py`).
@Suite struct GGUFModelTests {
  /// The model of a directory with some keys of its configuration replaced.
  private func model(_ name: String, replacing keys: [ByteString: JSONValue]) throws -> Llama {
    let folder = TestData.fixture("decoders/\(name)")
    let members = try #require(try JSONValue.read(path: "\(folder)/config.json").members)
    let config = JSONValue.object(
      members.filter { keys[$0.key] == nil } + keys.map { (key: $0.key, value: $0.value) })
    let family = try #require(LlamaFamily.all.first { $0.name == config["model_type"]?.string })
    return try Llama(
      configuration: LlamaConfiguration(json: config, family: family, path: folder),
      weights: SafetensorsWeights(directory: folder))
  }

  /// What GGUF has no word for is as it always is in an architecture: a window, which blocks have no positions, what
  /// scores are divided by.
  @Test(
    arguments: [
      ("llama3", [:]), ("llama-bias", [:]), ("llama-linear", [:]), ("mistral", [:]),
      ("qwen2", ["use_sliding_window": false]), ("qwen3", [:]), ("smollm3", ["no_rope_layers": [1, 1]]),
      ("phi3-long", [:]), ("gemma", [:]), ("gemma2", ["query_pre_attn_scalar": 6]),
    ] as [(String, [ByteString: JSONValue])])
  func equalsTheDirectory(_ name: String, _ changes: [ByteString: JSONValue]) throws {
    let expected = try model(name, replacing: changes)
    let found = try ModelLoader.load(path: TestData.fixture("gguf/\(name).gguf"))
    #expect(found.linearLayers == expected.linearLayers && found.contextLength == expected.contextLength)
    for layer in expected.linearLayers.indices {
      #expect(found.linearWeight(layer).f32.values == expected.linearWeight(layer).f32.values)
    }
    for length in [6, 14] {
      let tokens = (0..<length).map { Int32(($0 * 29 + 3) % 48) }
      let (a, b) = (
        found.nextTokenLogits(tokens, workspace: Workspace()),
        expected.nextTokenLogits(tokens, workspace: Workspace())
      )
      for (x, y) in zip(a, b) { #expect(abs(x - y) < 2e-5 * max(1, abs(y)), "\(name): \(x) and \(y)") }
    }
  }
}

/// Configurations that another computation belongs to are refused, and say what is supported.
@Suite struct ModelRefusalTests {
  private func refusal(_ config: String) throws -> String {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("alinfik-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    try config.write(to: folder.appendingPathComponent("config.json"), atomically: true, encoding: .utf8)
    return "\(try #require(throws: (any Error).self) { try ModelLoader.load(path: folder.path) })"
  }

  @Test func unknownFamiliesAreNamedWithThoseThatAreThere() throws {
    for family in ["mamba", "gemma3", "qwen3_moe", "mixtral"] {
      let message = try refusal(#"{"model_type": "\#(family)"}"#)
      #expect(
        message.contains("config.json: architecture '\(family)' is not supported; supported: llama, mistral,")
      )
      for known in ["qwen2", "qwen3", "smollm3", "phi3", "gemma2", "gemma3_text", "gpt2", "gpt_neox"] {
        #expect(message.contains(known))
      }
    }
    #expect(try refusal("{}").contains("architecture '(none)'"))
  }

  private let sizes =
    #""vocab_size": 48, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 4"#

  @Test(arguments: [
    (
      "llama", #""rope_scaling": {"rope_type": "magic"}"#,
      "type 'magic' is not supported; supported: default, linear"
    ),
    ("llama", #""rope_scaling": {"type": "linear"}"#, "positive 'factor'"),
    ("llama", #""rope_scaling": {"type": "linear", "factor": -2}"#, "positive 'factor'"),
    (
      "llama",
      #""rope_scaling": {"type": "llama3", "factor": 8, "low_freq_factor": 4, "high_freq_factor": 1}"#,
      "not below"
    ),
    (
      "phi3", #""rope_scaling": {"type": "longrope", "short_factor": [1], "long_factor": [1]}"#,
      "2 positive numbers"
    ),
    ("phi3", #""partial_rotary_factor": 0.3"#, "on 1 features of a head"),
    ("llama", #""hidden_act": "relu""#, "'hidden_act' is 'relu'"),
    ("llama", #""num_key_value_heads": 3"#, "cannot share 3"),
    ("mistral", #""sliding_window": 0"#, "'sliding_window' is 0"),
    ("gemma2", #""sliding_window": 4, "layer_types": ["full_attention"]"#, "1 entries for 2 layers"),
    ("gemma2", #""sliding_window": 4, "layer_types": ["a", "b"]"#, "'layer_types' has 'a'"),
    ("gemma2", #""attn_logit_softcapping": 0"#, "must be positive"),
    ("gemma2", #""use_bidirectional_attention": true"#, "'use_bidirectional_attention' is true"),
    ("smollm3", #""no_rope_layers": [1]"#, "'no_rope_layers' has 1 entries"),
    ("smollm3", #""no_rope_layer_interval": 0"#, "'no_rope_layer_interval' is 0"),
    ("gpt_neox", #""max_position_embeddings": 64, "hidden_act": "relu""#, "'hidden_act' is 'relu'"),
    ("gpt_neox", #""max_position_embeddings": 64, "rotary_pct": 0.3"#, "on 1 features of a head"),
  ])
  func configurationsAreRefusedByName(_ family: String, _ change: String, _ reason: String) throws {
    let message = try refusal(#"{"model_type": "\#(family)", \#(sizes), \#(change)}"#)
    #expect(message.contains("config.json") && message.contains(reason), "\(message)")
  }

  @Test func aBiasThatNobodyAskedForIsRefused() throws {
    let source = TestData.fixture("decoders/llama-bias")
    let members = try #require(try JSONValue.read(path: "\(source)/config.json").members)
    let config = JSONValue.object(members.map { ($0.key, $0.key == "attention_bias" ? false : $0.value) })
    let error = #expect(throws: ModelError.self) {
      try Llama(
        configuration: LlamaConfiguration(json: config, family: LlamaFamily.all[0], path: source),
        weights: SafetensorsWeights(directory: source))
    }
    #expect("\(try #require(error))".contains("_proj.bias' is a bias"))
  }
}
