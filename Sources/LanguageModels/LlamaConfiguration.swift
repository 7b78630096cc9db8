import Formats
import Layers

/// The sizes of a Llama-family model.
package struct LlamaConfiguration: Sendable, Equatable {
  package var vocabularySize: Int
  package var hiddenSize: Int
  package var intermediateSize: Int
  package var layers: Int
  package var heads: Int
  package var keyValueHeads: Int
  package var headWidth: Int
  package var contextLength: Int
  package var normEpsilon: Float
  package var ropeTheta: Double
  package var tiesEmbeddings: Bool

  var attention: AttentionShape {
    AttentionShape(heads: heads, keyValueHeads: keyValueHeads, headWidth: headWidth, isCausal: true)
  }

  /// Reads config.json. Throws `ModelError` for what is missing, impossible or not supported.
  package init(json: JSONValue, path: String) throws {
    func integer(_ key: ByteString, default fallback: Int? = nil) throws -> Int {
      guard let value = json[key]?.int ?? fallback else {
        throw ModelError.configuration(path, "'\(key)' is missing")
      }
      return value
    }
    vocabularySize = try integer("vocab_size")
    hiddenSize = try integer("hidden_size")
    intermediateSize = try integer("intermediate_size")
    layers = try integer("num_hidden_layers")
    heads = try integer("num_attention_heads")
    keyValueHeads = try integer("num_key_value_heads", default: heads)
    headWidth = try integer("head_dim", default: heads > 0 ? hiddenSize / heads : 0)
    contextLength = try integer("max_position_embeddings", default: 2048)
    normEpsilon = Float(json["rms_norm_eps"]?.double ?? 1e-6)
    // transformers 5 moves theta and scaling into rope_parameters.
    let rope = json["rope_parameters"] ?? json["rope_scaling"]
    ropeTheta = json["rope_theta"]?.double ?? rope?["rope_theta"]?.double ?? 10000
    tiesEmbeddings = json["tie_word_embeddings"]?.bool ?? false
    if let kind = (rope?["rope_type"] ?? rope?["type"])?.string, kind != "default" {
      throw ModelError.configuration(
        path, "rope scaling of type '\(kind)' is not supported, only 'default' is")
    }
    for key: ByteString in ["attention_bias", "mlp_bias"] where json[key]?.bool == true {
      throw ModelError.configuration(path, "'\(key)' is true; linear layers with a bias are not supported")
    }
    if let activation = json["hidden_act"]?.string, activation != "silu" {
      throw ModelError.configuration(path, "'hidden_act' is '\(activation)', only 'silu' is supported")
    }
    try validate(path)
  }

  /// Reads the metadata of a GGUF file whose `general.architecture` is `llama`.
  package init(gguf: GGUFFile) throws {
    let path = gguf.path
    func value(_ key: String) -> GGUFValue? { gguf.metadata["llama.\(key)"] }
    func integer(_ key: String, default fallback: Int? = nil) throws -> Int {
      guard let number = value(key)?.int ?? fallback else {
        throw ModelError.configuration(path, "metadata 'llama.\(key)' is missing")
      }
      return number
    }
    guard let embedding = gguf.tensors.first(where: { $0.name == "token_embd.weight" }),
      embedding.shape.count == 2
    else {
      throw ModelError.configuration(path, "tensor 'token_embd.weight' is missing or not a matrix")
    }
    vocabularySize = embedding.shape[0]
    hiddenSize = try integer("embedding_length")
    intermediateSize = try integer("feed_forward_length")
    layers = try integer("block_count")
    heads = try integer("attention.head_count")
    keyValueHeads = try integer("attention.head_count_kv", default: heads)
    headWidth = try integer("attention.key_length", default: heads > 0 ? hiddenSize / heads : 0)
    contextLength = try integer("context_length")
    normEpsilon = Float(value("attention.layer_norm_rms_epsilon")?.double ?? 1e-5)
    ropeTheta = value("rope.freq_base")?.double ?? 10000
    tiesEmbeddings = gguf.tensor(named: "output.weight") == nil
    if let kind = value("rope.scaling.type")?.string, kind != "none" {
      throw ModelError.configuration(path, "rope scaling '\(kind)' is not supported")
    }
    if let turned = value("rope.dimension_count")?.int, turned != headWidth {
      throw ModelError.configuration(
        path, "rotary positions on \(turned) of \(headWidth) features are not supported")
    }
    if gguf.tensor(named: "rope_freqs.weight") != nil {
      throw ModelError.configuration(path, "rope frequency factors ('rope_freqs.weight') are not supported")
    }
    try validate(path)
  }

  private func validate(_ path: String) throws {
    try ModelError.requireSizes(
      [
        ("vocabulary size", vocabularySize, 1 << 24), ("hidden size", hiddenSize, 1 << 20),
        ("intermediate size", intermediateSize, 1 << 22), ("layer count", max(1, layers), 1 << 12),
        ("head count", heads, 1 << 16),
        ("key-value head count", keyValueHeads, 1 << 16), ("head width", headWidth, 1 << 16),
        ("context length", contextLength, 1 << 24),
      ], path: path)
    guard layers >= 0 else { throw ModelError.configuration(path, "layer count \(layers) is below zero") }
    guard heads % keyValueHeads == 0 else {
      throw ModelError.configuration(path, "\(heads) heads cannot share \(keyValueHeads) key-value heads")
    }
    guard headWidth % 2 == 0 else { throw ModelError.configuration(path, "head width \(headWidth) is odd") }
    guard normEpsilon > 0, ropeTheta > 0 else {
      throw ModelError.configuration(
        path, "norm epsilon \(normEpsilon) and rope theta \(ropeTheta) must be positive")
    }
  }
}
