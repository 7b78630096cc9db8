import Formats

/// The shape of a BERT-compatible encoder (Devlin et al. 2019): token, position and type embeddings, layers of
/// attention and feed-forward with LayerNorm after each residual, GELU by the error function.
package struct EncoderConfiguration: Sendable, Equatable {
  package var vocabularySize: Int
  package var hiddenSize: Int
  package var layers: Int
  package var heads: Int
  package var intermediateSize: Int
  package var maxPositions: Int
  package var typeVocabularySize: Int
  package var layerNormEpsilon: Float

  package init(
    vocabularySize: Int, hiddenSize: Int, layers: Int, heads: Int, intermediateSize: Int, maxPositions: Int,
    typeVocabularySize: Int = 2, layerNormEpsilon: Float = 1e-12
  ) {
    self.vocabularySize = vocabularySize
    self.hiddenSize = hiddenSize
    self.layers = layers
    self.heads = heads
    self.intermediateSize = intermediateSize
    self.maxPositions = maxPositions
    self.typeVocabularySize = typeVocabularySize
    self.layerNormEpsilon = layerNormEpsilon
  }

  package var headWidth: Int { hiddenSize / heads }

  /// The weights of the word table and of the blocks' matrices.
  var leastWeights: Int {
    vocabularySize * hiddenSize + layers * hiddenSize * (4 * hiddenSize + 2 * intermediateSize)
  }

  /// Reads a Hugging Face `config.json`; throws `EncoderError.unsupported` for what is no BERT of this kind.
  package init(json: JSONValue, path: String) throws {
    func number(_ key: String) throws -> Int {
      let most = key == "vocab_size" ? 1 << 22 : 1 << 14
      guard let value = json[ByteString(key)]?.int, value > 0, value <= most else {
        throw EncoderError.malformed(path, "'\(key)' must be within 1...\(most)")
      }
      return value
    }
    func require(_ key: String, _ allowed: [String]) throws {
      guard let value = json[ByteString(key)]?.string else { return }
      guard allowed.contains(value) else {
        let supported = allowed.joined(separator: ", ")
        throw EncoderError.unsupported(path, "'\(key)' is '\(value)'; supported: \(supported)")
      }
    }
    if json["model_type"]?.string == "llama" {
      throw EncoderError.unsupported(
        path, "this is a language model, no encoder: --size small or base says how much of it to use")
    }
    try require("model_type", ["bert"])
    try require("hidden_act", ["gelu"])
    try require("position_embedding_type", ["absolute"])
    self.init(
      vocabularySize: try number("vocab_size"), hiddenSize: try number("hidden_size"),
      layers: try number("num_hidden_layers"), heads: try number("num_attention_heads"),
      intermediateSize: try number("intermediate_size"), maxPositions: try number("max_position_embeddings"),
      typeVocabularySize: try number("type_vocab_size"),
      layerNormEpsilon: Float(json["layer_norm_eps"]?.double ?? 1e-12))
    guard hiddenSize % heads == 0 else {
      throw EncoderError.malformed(path, "hidden_size \(hiddenSize) is not divisible by \(heads) heads")
    }
  }

  /// The configuration as Hugging Face `config.json` writes it.
  package var json: JSONValue {
    [
      "architectures": ["BertModel"], "model_type": "bert",
      "vocab_size": JSONValue(vocabularySize), "hidden_size": JSONValue(hiddenSize),
      "num_hidden_layers": JSONValue(layers), "num_attention_heads": JSONValue(heads),
      "intermediate_size": JSONValue(intermediateSize),
      "max_position_embeddings": JSONValue(maxPositions), "type_vocab_size": JSONValue(typeVocabularySize),
      "layer_norm_eps": JSONValue(Double(layerNormEpsilon)), "hidden_act": "gelu",
      "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0,
      "position_embedding_type": "absolute", "initializer_range": 0.02, "pad_token_id": 0, "dtype": "float32",
    ]
  }
}
