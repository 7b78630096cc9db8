import Formats
import Layers

/// The sizes of a GPT-2 model.
package struct GPT2Configuration: Sendable, Equatable {
  /// The feed-forward's activation, as config.json's `activation_function` names it.
  package enum Activation: String, Sendable, CaseIterable {
    /// By the hyperbolic tangent: what GPT-2 was trained with.
    case geluTanh = "gelu_new"
    /// By the error function.
    case gelu = "gelu"
  }

  package var vocabularySize: Int
  package var hiddenSize: Int
  package var intermediateSize: Int
  package var layers: Int
  package var heads: Int
  package var contextLength: Int
  package var normEpsilon: Float
  package var activation: Activation

  var attention: AttentionShape {
    AttentionShape(heads: heads, keyValueHeads: heads, headWidth: hiddenSize / heads, isCausal: true)
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
    hiddenSize = try integer("n_embd")
    // Absent or null means four times the width. An overflow belongs to a width that `validate` refuses.
    intermediateSize = json["n_inner"]?.int ?? 4 &* hiddenSize
    layers = try integer("n_layer")
    heads = try integer("n_head")
    contextLength = try integer("n_positions")
    normEpsilon = Float(json["layer_norm_epsilon"]?.double ?? 1e-5)
    activation = try Self.activation(json, path)
    try Self.refuseVariants(json, path)
    try validate(path)
  }

  private static func activation(_ json: JSONValue, _ path: String) throws -> Activation {
    let name = json["activation_function"]?.string ?? Activation.geluTanh.rawValue
    guard let activation = Activation(rawValue: name) else {
      let supported = Activation.allCases.map { "'\($0.rawValue)'" }.joined(separator: " and ")
      throw ModelError.configuration(
        path, "'activation_function' is '\(name)', only \(supported) are supported")
    }
    return activation
  }

  /// Throws for switches that make another computation of the same weights.
  private static func refuseVariants(_ json: JSONValue, _ path: String) throws {
    let required: [(key: ByteString, value: Bool)] = [
      ("scale_attn_weights", true), ("tie_word_embeddings", true),
      ("scale_attn_by_inverse_layer_idx", false), ("reorder_and_upcast_attn", false),
      ("add_cross_attention", false),
    ]
    for (key, value) in required where json[key]?.bool == !value {
      throw ModelError.configuration(path, "'\(key)' is \(!value), only \(value) is supported")
    }
  }

  private func validate(_ path: String) throws {
    try ModelError.requireSizes(
      [
        ("vocabulary size", vocabularySize, 1 << 24), ("hidden size", hiddenSize, 1 << 20),
        ("intermediate size", intermediateSize, 1 << 22), ("layer count", layers, 1 << 12),
        ("head count", heads, 1 << 16), ("context length", contextLength, 1 << 24),
      ], path: path)
    guard hiddenSize % heads == 0 else {
      throw ModelError.configuration(path, "hidden size \(hiddenSize) is not divisible by \(heads) heads")
    }
    guard normEpsilon > 0 else {
      throw ModelError.configuration(path, "norm epsilon \(normEpsilon) must be positive")
    }
  }
}
