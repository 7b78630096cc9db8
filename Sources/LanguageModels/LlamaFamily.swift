import Formats

/// What sets a family of Llama's kind apart from Llama itself: one row of a table a family.
///
/// What a family's models differ in among themselves is read from their configuration (`LlamaConfiguration`).
package struct LlamaFamily: Sendable, Equatable {
  /// Which blocks' attention is limited to a window, where `layer_types` does not say.
  enum Windows: Sendable, Equatable {
    /// None, whatever `sliding_window` says.
    case none
    /// All of them, whatever `layer_types` says.
    case all
    /// Where `use_sliding_window` asks for it: those from `max_window_layers` on.
    case late
    /// Where `use_sliding_window` asks for it: those without rotary positions.
    case withoutPositions
    /// All but every nth; the number may be named by a key of the configuration.
    case exceptEvery(Int, key: ByteString?)
  }

  /// As config.json's `model_type` names it.
  package let name: String
  /// For people.
  let title: String
  /// Which linear layers a block has.
  var layout = LinearLayout.separate
  /// Query, key and value have biases whatever the configuration says.
  var biasesQueryKeyValue = false
  /// Queries and keys go through an RMS norm a head before they are turned (`q_norm`, `k_norm`).
  var normalizesHeads = false
  /// Norms multiply by 1 + w, and embeddings are multiplied by the root of the width.
  var isGemma = false
  /// What attention and feed-forward put out is normed before it joins the residual.
  var normsOutputs = false
  var windows = Windows.none
  /// Every nth block has no rotary positions, where `no_rope_layers` does not say which.
  var skipsPositionsEvery: Int?
  /// Theta of the blocks with a window, where they have one of their own.
  var localTheta: Double?
  var theta = 10000.0
  var tiesEmbeddings = false

  package static let all = [
    llama,
    LlamaFamily(name: "mistral", title: "Mistral", windows: .all),
    LlamaFamily(name: "qwen2", title: "Qwen2", biasesQueryKeyValue: true, windows: .late),
    LlamaFamily(name: "qwen3", title: "Qwen3", normalizesHeads: true, windows: .late),
    LlamaFamily(
      name: "smollm3", title: "SmolLM3", windows: .withoutPositions, skipsPositionsEvery: 4, theta: 2e6,
      tiesEmbeddings: true),
    LlamaFamily(name: "phi3", title: "Phi-3", layout: .fused, windows: .all),
    LlamaFamily(name: "gemma", title: "Gemma", isGemma: true, tiesEmbeddings: true),
    LlamaFamily(
      name: "gemma2", title: "Gemma 2", isGemma: true, normsOutputs: true,
      windows: .exceptEvery(2, key: nil), tiesEmbeddings: true),
    LlamaFamily(
      name: "gemma3_text", title: "Gemma 3", normalizesHeads: true, isGemma: true, normsOutputs: true,
      windows: .exceptEvery(6, key: "sliding_window_pattern"), localTheta: 10000, theta: 1e6,
      tiesEmbeddings: true),
  ]

  static let llama = LlamaFamily(name: "llama", title: "Llama")

  static func named(_ name: String) -> LlamaFamily? { all.first { $0.name == name } }
}

/// A part of a block's computation that has weights of its own.
enum LlamaPart: Sendable, CaseIterable {
  case query, key, value, output, gate, up, down

  func shape(_ c: LlamaConfiguration) -> (rows: Int, columns: Int) {
    switch self {
    case .query: (c.queryWidth, c.hiddenSize)
    case .key, .value: (c.keyValueWidth, c.hiddenSize)
    case .output: (c.hiddenSize, c.queryWidth)
    case .gate, .up: (c.intermediateSize, c.hiddenSize)
    case .down: (c.hiddenSize, c.intermediateSize)
    }
  }
}

/// The linear layers of a block in forward order: each computes one part, or several side by side.
struct LinearLayout: Sendable, Equatable {
  struct Layer: Sendable, Equatable {
    let name: String
    let parts: [LlamaPart]

    func shape(_ c: LlamaConfiguration) -> (rows: Int, columns: Int) {
      (parts.reduce(0) { $0 + $1.shape(c).rows }, parts[0].shape(c).columns)
    }
  }

  let layers: [Layer]
  /// The places in `layers` of those that read the block's normed input, and of the others.
  let queryKeyValue: Range<Int>
  let output: Int
  let gateUp: Range<Int>
  let down: Int

  static let separate = LinearLayout(
    layers: [
      Layer(name: "self_attn.q_proj", parts: [.query]), Layer(name: "self_attn.k_proj", parts: [.key]),
      Layer(name: "self_attn.v_proj", parts: [.value]), Layer(name: "self_attn.o_proj", parts: [.output]),
      Layer(name: "mlp.gate_proj", parts: [.gate]), Layer(name: "mlp.up_proj", parts: [.up]),
      Layer(name: "mlp.down_proj", parts: [.down]),
    ], queryKeyValue: 0..<3, output: 3, gateUp: 4..<6, down: 6)

  static let fused = LinearLayout(
    layers: [
      Layer(name: "self_attn.qkv_proj", parts: [.query, .key, .value]),
      Layer(name: "self_attn.o_proj", parts: [.output]),
      Layer(name: "mlp.gate_up_proj", parts: [.gate, .up]), Layer(name: "mlp.down_proj", parts: [.down]),
    ], queryKeyValue: 0..<1, output: 1, gateUp: 2..<3, down: 3)
}
