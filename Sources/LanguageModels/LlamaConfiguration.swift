import Formats
import Layers
import TensorKernels

/// The sizes and variants of a model of Llama's kind.
package struct LlamaConfiguration: Sendable, Equatable {
  /// What one block's attention sees.
  struct BlockAttention: Sendable, Equatable {
    /// How many positions a query sees, itself included; nil for all before it.
    var window: Int?
    /// Which of `rotary` turns its queries and keys; nil for none.
    var rotary: Int?
  }

  package let family: LlamaFamily
  package var vocabularySize: Int
  package var hiddenSize: Int
  package var intermediateSize: Int
  package var layers: Int
  package var heads: Int
  package var keyValueHeads: Int
  package var headWidth: Int
  package var contextLength: Int
  package var normEpsilon: Float
  package var tiesEmbeddings: Bool
  var activation: GatedActivation
  var biasedParts: Set<LlamaPart>
  var rotary: [RotaryConfiguration]
  /// By block.
  var blockAttention: [BlockAttention]
  /// Scores are divided by its root.
  var attentionScalar: Double
  var attentionSoftCap: Float?
  var logitSoftCap: Float?
  /// Added to the norms' weights as the file holds them.
  let normOffset: Float
  /// Keys of config.json beyond Llama's own, as they were read.
  private var furtherKeys: [(key: ByteString, value: JSONValue)]

  var queryWidth: Int { heads * headWidth }
  var keyValueWidth: Int { keyValueHeads * headWidth }

  func attention(block: Int) -> AttentionShape {
    AttentionShape(
      heads: heads, keyValueHeads: keyValueHeads, headWidth: headWidth, isCausal: true,
      scale: 1 / Float(attentionScalar).squareRoot(), window: blockAttention[block].window,
      softCap: attentionSoftCap)
  }

  /// What token embeddings are multiplied by; nil for nothing.
  var embeddingScale: Float? { family.isGemma ? Float(hiddenSize).squareRoot() : nil }

  /// Reads config.json of a family. Throws `ModelError` for what is missing, impossible or not supported.
  package init(json: JSONValue, family: LlamaFamily, path: String) throws {
    let reader = LlamaConfigurationReader(json: json, family: family, path: path)
    self.family = family
    vocabularySize = try reader.integer("vocab_size")
    hiddenSize = try reader.integer("hidden_size")
    intermediateSize = try reader.integer("intermediate_size")
    layers = try reader.integer("num_hidden_layers")
    heads = try reader.integer("num_attention_heads")
    keyValueHeads = try reader.integer("num_key_value_heads", default: heads)
    headWidth = try reader.integer("head_dim", default: heads > 0 ? hiddenSize / heads : 0)
    contextLength = try reader.integer("max_position_embeddings", default: 2048)
    normEpsilon = Float(json["rms_norm_eps"]?.double ?? 1e-6)
    tiesEmbeddings = json["tie_word_embeddings"]?.bool ?? family.tiesEmbeddings
    activation = try reader.activation()
    biasedParts = reader.biasedParts
    attentionScalar = json["query_pre_attn_scalar"]?.double ?? Double(headWidth)
    attentionSoftCap = json["attn_logit_softcapping"]?.double.map { Float($0) }
    logitSoftCap = json["final_logit_softcapping"]?.double.map { Float($0) }
    normOffset = family.isGemma ? 1 : 0
    (rotary, blockAttention, furtherKeys) = ([], [], [])
    try validate(path)
    rotary = try reader.rotary(headWidth: headWidth, contextLength: contextLength)
    blockAttention = try reader.blockAttention(layers: layers, kindsOfRotary: rotary.count)
    furtherKeys = reader.furtherKeys(
      isPlain: rotary.allSatisfy { $0.scaling == .none && $0.width == headWidth })
  }

  /// The same model with its first blocks alone.
  mutating func keepFirst(_ count: Int) {
    layers = count
    blockAttention = Array(blockAttention.prefix(count))
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
    let positive =
      [Double(normEpsilon), attentionScalar]
      + [attentionSoftCap, logitSoftCap].compactMap { $0.map { Double($0) } }
    guard positive.allSatisfy({ $0 > 0 }) else {
      throw ModelError.configuration(
        path,
        "norm epsilon \(normEpsilon), attention scalar \(attentionScalar) and soft caps must be positive")
    }
  }

  package static func == (a: LlamaConfiguration, b: LlamaConfiguration) -> Bool {
    a.json == b.json
  }
}

extension LlamaConfiguration {
  /// config.json of this model, as transformers reads it.
  var json: JSONValue {
    let plain: JSONValue = [
      "architectures": [JSONValue(family.architecture)], "model_type": JSONValue(family.name),
      "vocab_size": JSONValue(vocabularySize),
      "hidden_size": JSONValue(hiddenSize), "intermediate_size": JSONValue(intermediateSize),
      "num_hidden_layers": JSONValue(layers), "num_attention_heads": JSONValue(heads),
      "num_key_value_heads": JSONValue(keyValueHeads), "head_dim": JSONValue(headWidth),
      "max_position_embeddings": JSONValue(contextLength), "rms_norm_eps": JSONValue(Double(normEpsilon)),
      "rope_theta": JSONValue(rotary[0].theta),
      "hidden_act": activation == .silu ? "silu" : "gelu_pytorch_tanh",
      "attention_bias": JSONValue(biasedParts.contains(.output)),
      "mlp_bias": JSONValue(biasedParts.contains(.down)),
      "tie_word_embeddings": JSONValue(tiesEmbeddings), "torch_dtype": "bfloat16",
    ]
    // Lists by block are cut with the blocks.
    return .object(
      (plain.members ?? [])
        + furtherKeys.map { key, value in (key, value.array.map { .array(Array($0.prefix(layers))) } ?? value)
        })
  }
}

extension LlamaFamily {
  fileprivate var architecture: String {
    switch name {
    case "smollm3": "SmolLM3ForCausalLM"
    case "gemma3_text": "Gemma3ForCausalLM"
    default: name.prefix(1).uppercased() + name.dropFirst() + "ForCausalLM"
    }
  }
}

/// Reads what differs between models of a family.
private struct LlamaConfigurationReader {
  let json: JSONValue
  let family: LlamaFamily
  let path: String

  func integer(_ key: ByteString, default fallback: Int? = nil) throws -> Int {
    guard let value = json[key]?.int ?? fallback else {
      throw ModelError.configuration(path, "'\(key)' is missing")
    }
    return value
  }

  func activation() throws -> GatedActivation {
    if json["use_bidirectional_attention"]?.bool == true {
      throw ModelError.configuration(
        path, "'use_bidirectional_attention' is true, only causal attention is supported")
    }
    let fallback = family.isGemma ? "gelu_pytorch_tanh" : "silu"
    let name = (json["hidden_activation"]?.string ?? json["hidden_act"]?.string) ?? fallback
    switch name {
    case "silu", "swish": return .silu
    case "gelu_pytorch_tanh": return .geluTanh
    // Gemma's first configurations say so and mean the hyperbolic tangent.
    case "gelu" where family.isGemma: return .geluTanh
    default:
      throw ModelError.configuration(
        path, "'hidden_act' is '\(name)', only 'silu' and 'gelu_pytorch_tanh' are supported")
    }
  }

  var biasedParts: Set<LlamaPart> {
    var parts: Set<LlamaPart> = []
    if family.biasesQueryKeyValue { parts.formUnion([.query, .key, .value]) }
    if json["attention_bias"]?.bool == true { parts.formUnion([.query, .key, .value, .output]) }
    if json["mlp_bias"]?.bool == true { parts.formUnion([.gate, .up, .down]) }
    return parts
  }

  // MARK: Positions

  /// The rotary positions of all blocks, and of those with a window where these have their own.
  func rotary(headWidth: Int, contextLength: Int) throws -> [RotaryConfiguration] {
    let rope = json["rope_parameters"] ?? json["rope_scaling"]
    func read(_ rope: JSONValue?, theta: Double) throws -> RotaryConfiguration {
      try RotaryConfiguration(
        rope, config: json, theta: theta, headWidth: headWidth, contextLength: contextLength, path: path)
    }
    let theta = json["rope_theta"]?.double ?? family.theta
    let everywhere = try read(rope?["full_attention"] ?? rope, theta: theta)
    guard let localTheta = family.localTheta else { return [everywhere] }
    let local = json["rope_local_base_freq"]?.double ?? localTheta
    return [everywhere, try read(rope?["sliding_attention"], theta: local)]
  }

  func blockAttention(layers: Int, kindsOfRotary: Int) throws -> [LlamaConfiguration.BlockAttention] {
    let turns = try turningBlocks(layers)
    let windows = try windows(turns)
    return turns.indices.map { block in
      let rotary = windows[block] != nil && kindsOfRotary > 1 ? 1 : 0
      return .init(window: windows[block], rotary: turns[block] ? rotary : nil)
    }
  }

  /// By block: whether queries and keys are turned.
  private func turningBlocks(_ layers: Int) throws -> [Bool] {
    guard let every = family.skipsPositionsEvery else { return Array(repeating: true, count: layers) }
    if let list = json["no_rope_layers"]?.array {
      return try perBlock(list.compactMap(\.int), "no_rope_layers", layers).map { $0 != 0 }
    }
    let interval = try integer("no_rope_layer_interval", default: every)
    guard interval > 0 else {
      throw ModelError.configuration(path, "'no_rope_layer_interval' is \(interval)")
    }
    return (1...max(1, layers)).prefix(layers).map { $0 % interval != 0 }
  }

  private func windows(_ turns: [Bool]) throws -> [Int?] {
    let none = [Int?](repeating: nil, count: turns.count)
    guard let width = json["sliding_window"]?.int, family.windows != .none else { return none }
    guard width > 0 else { throw ModelError.configuration(path, "'sliding_window' is \(width)") }
    if let types = json["layer_types"]?.array, family.windows != .all {
      return try perBlock(types.map { $0.string ?? "" }, "layer_types", turns.count).map { type in
        switch type {
        case "full_attention": return nil
        case "sliding_attention": return width
        default: throw ModelError.configuration(path, "'layer_types' has '\(type)', which is not supported")
        }
      }
    }
    let isAskedFor = json["use_sliding_window"]?.bool ?? false
    switch family.windows {
    case .none: return none
    case .all: return turns.map { _ in width }
    case .late:
      let first = try integer("max_window_layers", default: 28)
      return turns.indices.map { isAskedFor && $0 >= first ? width : nil }
    case .withoutPositions: return turns.map { isAskedFor && !$0 ? width : nil }
    case .exceptEvery(let usual, let key):
      let every = try key.map { try integer($0, default: usual) } ?? usual
      guard every > 0 else { throw ModelError.configuration(path, "'\(key ?? "")' is \(every)") }
      return turns.indices.map { ($0 + 1) % every == 0 ? nil : width }
    }
  }

  private func perBlock<T>(_ list: [T], _ key: ByteString, _ layers: Int) throws -> [T] {
    guard list.count >= layers else {
      throw ModelError.configuration(path, "'\(key)' has \(list.count) entries for \(layers) layers")
    }
    return Array(list.prefix(layers))
  }

  // MARK: Carrying away

  /// The keys that `LlamaConfiguration.json` must repeat for the model to be the same; of plain rotary positions theta
  /// is enough.
  func furtherKeys(isPlain: Bool) -> [(key: ByteString, value: JSONValue)] {
    var keys: [ByteString] = [
      "hidden_activation", "query_pre_attn_scalar", "attn_logit_softcapping", "final_logit_softcapping",
      "sliding_window", "use_sliding_window", "max_window_layers", "layer_types", "sliding_window_pattern",
      "no_rope_layers", "no_rope_layer_interval",
    ]
    if !isPlain || family.localTheta != nil {
      keys += [
        "rope_parameters", "rope_scaling", "rope_local_base_freq", "partial_rotary_factor",
        "original_max_position_embeddings",
      ]
    }
    return family == .llama && isPlain ? [] : keys.compactMap { key in json[key].map { (key, $0) } }
  }
}
