import Formats
import Layers

/// The sizes of a GPT-NeoX model.
package struct GPTNeoXConfiguration: Sendable, Equatable {
  /// The feed-forward's activation, as config.json's `hidden_act` names it.
  enum Activation: Sendable {
    /// By the error function.
    case gelu
    /// By the hyperbolic tangent.
    case geluTanh
  }

  var vocabularySize: Int
  var hiddenSize: Int
  var intermediateSize: Int
  var layers: Int
  var heads: Int
  var contextLength: Int
  var normEpsilon: Float
  var activation: Activation
  /// Attention and feed-forward both read the block's input, and not the one what the other has made of it.
  var isParallel: Bool
  var hasAttentionBias: Bool
  var tiesEmbeddings: Bool
  var rotary: RotaryConfiguration

  var headWidth: Int { hiddenSize / heads }

  /// A head's query, key and value stand together.
  var attention: AttentionShape {
    AttentionShape(
      heads: heads, keyValueHeads: heads, headWidth: headWidth, isCausal: true, headStride: 3 * headWidth)
  }

  /// Reads config.json. Throws `ModelError` for what is missing, impossible or not supported.
  package init(json: JSONValue, path: String) throws {
    func integer(_ key: ByteString) throws -> Int {
      guard let value = json[key]?.int else {
        throw ModelError.configuration(path, "'\(key)' is missing")
      }
      return value
    }
    vocabularySize = try integer("vocab_size")
    hiddenSize = try integer("hidden_size")
    intermediateSize = try integer("intermediate_size")
    layers = try integer("num_hidden_layers")
    heads = try integer("num_attention_heads")
    contextLength = try integer("max_position_embeddings")
    normEpsilon = Float(json["layer_norm_eps"]?.double ?? 1e-5)
    isParallel = json["use_parallel_residual"]?.bool ?? true
    hasAttentionBias = json["attention_bias"]?.bool ?? true
    tiesEmbeddings = json["tie_word_embeddings"]?.bool ?? false
    switch json["hidden_act"]?.string ?? "gelu" {
    case "gelu": activation = .gelu
    case "gelu_new", "gelu_fast", "gelu_pytorch_tanh": activation = .geluTanh
    case let name:
      throw ModelError.configuration(
        path,
        "'hidden_act' is '\(name)', only 'gelu', 'gelu_new', 'gelu_fast' and 'gelu_pytorch_tanh' are supported"
      )
    }
    try ModelError.requireSizes(
      [
        ("vocabulary size", vocabularySize, 1 << 24), ("hidden size", hiddenSize, 1 << 20),
        ("intermediate size", intermediateSize, 1 << 22), ("layer count", layers, 1 << 12),
        ("head count", heads, 1 << 16), ("context length", contextLength, 1 << 24),
      ], path: path)
    guard hiddenSize % heads == 0, normEpsilon > 0 else {
      throw ModelError.configuration(
        path, "hidden size \(hiddenSize) is not divisible by \(heads) heads, or norm epsilon is not positive")
    }
    rotary = try Self.rotary(json, headWidth: hiddenSize / heads, contextLength, path)
  }

  /// The share of a head that turns was called `rotary_pct`, theta `rotary_emb_base`.
  private static func rotary(
    _ json: JSONValue, headWidth: Int, _ contextLength: Int, _ path: String
  ) throws -> RotaryConfiguration {
    let rope = json["rope_parameters"] ?? json["rope_scaling"]
    let share = rope?["partial_rotary_factor"] ?? json["partial_rotary_factor"] ?? json["rotary_pct"] ?? 0.25
    let theta = json["rotary_emb_base"]?.double ?? json["rope_theta"]?.double ?? 10000
    let config: JSONValue = ["partial_rotary_factor": share]
    return try RotaryConfiguration(
      rope, config: config, theta: theta, headWidth: headWidth, contextLength: contextLength, path: path)
  }
}
