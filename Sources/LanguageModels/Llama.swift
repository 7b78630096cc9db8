import Layers
import TensorKernels

/// The Llama family (Touvron et al. 2023) and those that came of it (`LlamaFamily`): pre-norm blocks of grouped-query
/// attention with rotary positions and a gated feed-forward, RMS norms. SmolLM2 and TinyLlama are Llamas.
///
/// A block: `x += W_o attention(rope(W_q n1), rope(W_k n1), W_v n1)` with n1 = rmsNorm(x), then
/// `x += W_down (silu(W_gate n2) * W_up n2)` with n2 = rmsNorm(x). In some families a norm stands between `W_q`, `W_k`
/// and rope (a head at a time), or before either `+=`.
package struct Llama: CausalLanguageModel {
  package internal(set) var configuration: LlamaConfiguration
  package internal(set) var linearLayers: [LinearLayer]
  package let precision: Precision
  let embedding: WeightMatrix
  var head: WeightMatrix
  let finalNorm: RMSNormWeight
  var blocks: [Block]
  let rotary: [RotaryEmbedding]

  struct Block: Sendable {
    let inputNorm: RMSNormWeight
    let queryNorm, keyNorm: RMSNormWeight?
    /// Of what attention puts out.
    let attendedNorm: RMSNormWeight?
    let feedForwardNorm: RMSNormWeight
    /// Of what the feed-forward puts out.
    let fedForwardNorm: RMSNormWeight?
    /// In the order of `LinearLayout.layers`.
    var linears: [Linear]
  }

  /// A norm's weight, 1 x width: as the file holds it, and as it multiplies.
  struct RMSNormWeight: Sendable {
    let name: String
    let stored: MatrixView
    let weight: MatrixView
  }

  /// Reads every weight by its Hugging Face name. Throws `ModelError` for a missing tensor, a wrong shape or a value
  /// that is not finite.
  package init(
    configuration c: LlamaConfiguration, weights: some WeightSource, precision: Precision = .f32
  ) throws {
    configuration = c
    self.precision = precision
    let layout = c.family.layout
    try weights.refuseBlock(c.layers)
    let biased = layout.layers.filter(c.hasBias)
    try weights.refuseBiases(
      exceptThoseOf: (0..<c.layers).flatMap { index in biased.map { "model.layers.\(index).\($0.name)" } })
    embedding = try weights.weight("model.embed_tokens.weight", rows: c.vocabularySize, columns: c.hiddenSize)
    head =
      c.tiesEmbeddings
      ? embedding : try weights.weight("lm_head.weight", rows: c.vocabularySize, columns: c.hiddenSize)
    finalNorm = try weights.norm("model.norm", width: c.hiddenSize, c)
    blocks = try (0..<c.layers).map { index in
      try weights.block("model.layers.\(index).", c, precision: precision)
    }
    linearLayers = (0..<c.layers).flatMap { index in
      layout.layers.map { layer in
        let (rows, columns) = layer.shape(c)
        return LinearLayer(
          name: "model.layers.\(index).\(layer.name).weight", inputWidth: columns, outputWidth: rows)
      }
    }
    rotary = c.rotary.map { $0.embedding(headWidth: c.headWidth) }
  }

  package var summary: String {
    let c = configuration
    return
      "\(c.family.title) family, \(c.layers) layers, width \(c.hiddenSize), \(c.heads)/\(c.keyValueHeads) heads, "
      + "feed-forward \(c.intermediateSize), vocabulary \(c.vocabularySize)\(c.tiesEmbeddings ? ", tied head" : "")"
  }

  package var vocabularySize: Int { configuration.vocabularySize }
  package var contextLength: Int { configuration.contextLength }
  package var headParameters: Int { head.rows * head.columns }
  package var attentionWidth: Int { configuration.layers * configuration.queryWidth }
  var layout: LinearLayout { configuration.family.layout }

  package func activationBytes(tokens: Int) -> Int {
    MemoryLayout<Float>.stride * arenaSize(tokens: tokens, longest: tokens, keepsActivations: true)
  }

  package func linearWeight(_ layer: Int) -> WeightMatrix {
    let (block, place) = layer.quotientAndRemainder(dividingBy: layout.layers.count)
    return blocks[block].linears[place].weight
  }

  package func replacingLinearWeights(_ weights: [WeightMatrix]) -> Llama {
    precondition(
      weights.count == linearLayers.count, "\(weights.count) weights for \(linearLayers.count) layers")
    var changed = self
    for (layer, weight) in weights.enumerated() {
      let (block, place) = layer.quotientAndRemainder(dividingBy: layout.layers.count)
      changed.blocks[block].linears[place] = blocks[block].linears[place].replacing(weight: weight)
    }
    return changed
  }
}

extension LlamaConfiguration {
  fileprivate func hasBias(_ layer: LinearLayout.Layer) -> Bool { biasedParts.contains(layer.parts[0]) }
}

extension LlamaFamily {
  /// The names of a block's norms. Where outputs are normed, `post_attention_layernorm` is the norm of one.
  var normNames: (attended: String?, feedForward: String, fedForward: String?) {
    normsOutputs
      ? ("post_attention_layernorm", "pre_feedforward_layernorm", "post_feedforward_layernorm")
      : (nil, "post_attention_layernorm", nil)
  }
}

extension WeightSource {
  fileprivate func norm(_ name: String, width: Int, _ c: LlamaConfiguration) throws -> Llama.RMSNormWeight {
    let stored = try matrix(name + ".weight", rows: 1, columns: width)
    guard c.normOffset != 0 else {
      return Llama.RMSNormWeight(name: name + ".weight", stored: stored, weight: stored)
    }
    let weight = stored.values.map { $0 + c.normOffset }
    return Llama.RMSNormWeight(
      name: name + ".weight", stored: stored, weight: Matrix(rows: 1, columns: width, values: weight).view)
  }

  fileprivate func block(_ prefix: String, _ c: LlamaConfiguration, precision: Precision) throws
    -> Llama.Block
  {
    let names = c.family.normNames
    func optional(_ name: String?) throws -> Llama.RMSNormWeight? {
      try name.map { try norm(prefix + $0, width: c.hiddenSize, c) }
    }
    func headNorm(_ name: String) throws -> Llama.RMSNormWeight? {
      c.family.normalizesHeads ? try norm("\(prefix)self_attn.\(name)", width: c.headWidth, c) : nil
    }
    return Llama.Block(
      inputNorm: try norm(prefix + "input_layernorm", width: c.hiddenSize, c),
      queryNorm: try headNorm("q_norm"), keyNorm: try headNorm("k_norm"),
      attendedNorm: try optional(names.attended),
      feedForwardNorm: try norm(prefix + names.feedForward, width: c.hiddenSize, c),
      fedForwardNorm: try optional(names.fedForward),
      linears: try c.family.layout.layers.map { layer in
        let (rows, columns) = layer.shape(c)
        return Linear(
          weight: try weight("\(prefix)\(layer.name).weight", rows: rows, columns: columns),
          bias: c.hasBias(layer) ? try matrix("\(prefix)\(layer.name).bias", rows: 1, columns: rows) : nil,
          precision: precision)
      })
  }
}
