import Formats
import Foundation
import TensorKernels

/// A GGUF file as the Hugging Face directory that it was made from: its metadata as config.json, its tensors by
/// their Hugging Face names.
package struct GGUFModel {
  package let file: GGUFFile
  /// As `general.architecture` names it.
  let architecture: String

  /// The families a GGUF file may hold, by its `general.architecture`.
  static let families = [
    "llama": "llama", "qwen2": "qwen2", "qwen3": "qwen3", "smollm3": "smollm3", "phi3": "phi3",
    "gemma": "gemma", "gemma2": "gemma2", "gemma3": "gemma3_text",
  ]

  package init(file: GGUFFile) {
    self.file = file
    architecture = file.metadata["general.architecture"]?.string ?? "(none)"
  }

  /// The configuration of a model of Llama's kind. Throws `ModelError` for what is missing or not supported.
  package func llamaConfiguration() throws -> LlamaConfiguration {
    guard let family = family else { throw ModelLoader.unsupported(architecture, in: file) }
    return try LlamaConfiguration(json: try config(family), family: family, path: file.path)
  }

  private var family: LlamaFamily? {
    // Mistral goes by Llama's name there; its window tells.
    if architecture == "llama", (value("attention.sliding_window")?.int ?? 0) > 0 {
      return LlamaFamily.named("mistral")
    }
    return Self.families[architecture].flatMap(LlamaFamily.named)
  }

  // MARK: Metadata

  private func value(_ key: String) -> GGUFValue? { file.metadata["\(architecture).\(key)"] }

  private func integer(_ key: String, default fallback: Int? = nil) throws -> Int {
    guard let number = value(key)?.int ?? fallback else {
      throw ModelError.configuration(file.path, "metadata '\(architecture).\(key)' is missing")
    }
    return number
  }

  private func config(_ family: LlamaFamily) throws -> JSONValue {
    guard let embedding = file.tensor(named: "token_embd.weight"), embedding.shape.count == 2 else {
      throw ModelError.configuration(file.path, "tensor 'token_embd.weight' is missing or not a matrix")
    }
    let (hidden, heads) = (try integer("embedding_length"), try integer("attention.head_count"))
    let layers = try integer("block_count")
    let headWidth = try integer("attention.key_length", default: heads > 0 ? hidden / heads : 0)
    var members: [(key: ByteString, value: JSONValue)] = [
      ("vocab_size", JSONValue(embedding.shape[0])), ("hidden_size", JSONValue(hidden)),
      ("intermediate_size", JSONValue(try integer("feed_forward_length"))),
      ("num_hidden_layers", JSONValue(layers)), ("num_attention_heads", JSONValue(heads)),
      ("num_key_value_heads", JSONValue(try integer("attention.head_count_kv", default: heads))),
      ("head_dim", JSONValue(headWidth)),
      ("max_position_embeddings", JSONValue(try integer("context_length"))),
      ("rms_norm_eps", JSONValue(value("attention.layer_norm_rms_epsilon")?.double ?? 1e-5)),
      ("rope_theta", JSONValue(value("rope.freq_base")?.double ?? family.theta)),
      ("tie_word_embeddings", JSONValue(file.tensor(named: "output.weight") == nil)),
    ]
    if let window = value("attention.sliding_window")?.int, window > 0 {
      members.append(("sliding_window", JSONValue(window)))
    }
    for cap: ByteString in ["attn_logit_softcapping", "final_logit_softcapping"] {
      if let number = value(cap.string)?.double { members.append((cap, JSONValue(number))) }
    }
    // The file does not say: the largest of these two families divides by the root of another width than a head's.
    if (architecture == "gemma2" && layers == 46) || (architecture == "gemma3" && layers == 62), heads > 0 {
      members.append(("query_pre_attn_scalar", JSONValue(hidden / heads)))
    }
    if let turned = value("rope.dimension_count")?.int, turned != headWidth {
      members.append(("partial_rotary_factor", JSONValue(Double(turned) / Double(max(1, headWidth)))))
    }
    if let rope = try ropeScaling() { members.append(("rope_scaling", rope)) }
    return .object(members + biases)
  }

  /// Whether layers have biases, told by their tensors.
  private var biases: [(key: ByteString, value: JSONValue)] {
    [
      ("attention_bias", JSONValue(file.tensor(named: "blk.0.attn_output.bias") != nil)),
      ("mlp_bias", JSONValue(file.tensor(named: "blk.0.ffn_down.bias") != nil)),
    ]
  }

  private func ropeScaling() throws -> JSONValue? {
    let original = try integer("rope.scaling.original_context_length", default: try integer("context_length"))
    let magnitude = value("rope.scaling.attn_factor")?.double ?? 1
    func longRope(_ short: String, _ long: String, magnitude: Double) throws -> JSONValue {
      [
        "rope_type": "longrope", "short_factor": try factors(short), "long_factor": try factors(long),
        "original_max_position_embeddings": JSONValue(original), "attention_factor": JSONValue(magnitude),
        "factor": 1,
      ]
    }
    // Llama 3's scaling, stored as what it makes of each frequency: the same factors for any length.
    if file.tensor(named: "rope_freqs.weight") != nil {
      return try longRope("rope_freqs.weight", "rope_freqs.weight", magnitude: 1)
    }
    if file.tensor(named: "rope_factors_short.weight") != nil {
      return try longRope("rope_factors_short.weight", "rope_factors_long.weight", magnitude: magnitude)
    }
    let factor = JSONValue(value("rope.scaling.factor")?.double ?? 1)
    switch value("rope.scaling.type")?.string ?? "none" {
    case "none": return nil
    case "linear": return ["rope_type": "linear", "factor": factor]
    case "yarn":
      return [
        "rope_type": "yarn", "factor": factor, "original_max_position_embeddings": JSONValue(original),
      ]
    case let kind:
      throw ModelError.configuration(
        file.path,
        "rope scaling '\(kind)' is not supported; supported: none, linear, yarn, factors in tensors")
    }
  }

  private func factors(_ name: String) throws -> JSONValue {
    guard let tensor = file.tensor(named: name), tensor.shape.count == 1 else {
      throw ModelError.tensor(file.path, name, "is missing or not a vector")
    }
    return .array(try file.matrix(name, rows: 1, columns: tensor.shape[0]).values.map { JSONValue($0) })
  }
}

/// The tensors of a GGUF file under their Hugging Face names.
package struct GGUFWeights: WeightSource {
  private let file: any TensorFile
  private let configuration: LlamaConfiguration
  /// Whether a head's query and key rows stand in rotary pairs.
  private let isPaired: Bool

  package init(_ model: GGUFModel, configuration: LlamaConfiguration) {
    file = model.file
    self.configuration = configuration
    isPaired = ["llama", "smollm3"].contains(model.architecture)
  }

  package var path: String { file.path }
  package var names: [String] { file.tensors.map(\.name) }

  package func matrix(_ name: String, rows: Int, columns: Int) throws -> MatrixView {
    let matrix = try file.matrix(storedName(name), rows: rows, columns: columns)
    // Gemma's norms are stored with their one added.
    if configuration.normOffset != 0, name.hasSuffix("norm.weight") {
      return Matrix(
        rows: rows, columns: columns, values: matrix.values.map { $0 - configuration.normOffset }
      ).view
    }
    guard isPaired else { return matrix }
    if name.contains(".q_proj.") { return unpaired(matrix, heads: configuration.heads) }
    if name.contains(".k_proj.") { return unpaired(matrix, heads: configuration.keyValueHeads) }
    return matrix
  }

  package func weight(_ name: String, rows: Int, columns: Int) throws -> WeightMatrix {
    .f32(try matrix(name, rows: rows, columns: columns))
  }

  private static let parts = [
    "input_layernorm": "attn_norm", "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v", "self_attn.qkv_proj": "attn_qkv", "self_attn.o_proj": "attn_output",
    "self_attn.q_norm": "attn_q_norm", "self_attn.k_norm": "attn_k_norm",
    "pre_feedforward_layernorm": "ffn_norm", "post_feedforward_layernorm": "post_ffw_norm",
    "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.gate_up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
  ]

  /// `model.layers.3.mlp.up_proj.weight` -> `blk.3.ffn_up.weight`
  package func storedName(_ name: String) -> String {
    switch name {
    case "model.embed_tokens.weight": return "token_embd.weight"
    case "model.norm.weight": return "output_norm.weight"
    case "lm_head.weight": return "output.weight"
    default: break
    }
    let pieces = name.split(separator: ".", maxSplits: 3).map(String.init)
    guard pieces.count == 4, let end = pieces[3].lastIndex(of: ".") else { return name }
    let (layer, kind) = (String(pieces[3][..<end]), pieces[3][end...])
    let part =
      layer != "post_attention_layernorm"
      ? Self.parts[layer] : configuration.family.normsOutputs ? "post_attention_norm" : "ffn_norm"
    return part.map { "blk.\(pieces[2]).\($0)\(kind)" } ?? name
  }

  /// GGUF stores a head's query and key rows in rotary pairs (0, d/2, 1, d/2 + 1, ...); Hugging Face's rotary
  /// convention wants the first halves, then the second. A bias is one row, and its columns stand so.
  private func unpaired(_ stored: MatrixView, heads: Int) -> MatrixView {
    if stored.rows == 1 { return unpaired(stored.transposed, heads: heads).transposed }
    let width = stored.rows / heads
    let result = Matrix(rows: stored.rows, columns: stored.columns)
    for head in 0..<heads {
      for i in 0..<width {
        let source = head * width + 2 * (i % (width / 2)) + i / (width / 2)
        result.rows(head * width + i..<head * width + i + 1).copy(stored.rows(source..<source + 1))
      }
    }
    return result.view
  }
}
