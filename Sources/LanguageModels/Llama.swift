import Layers
import TensorKernels

/// The Llama family (Touvron et al. 2023): pre-norm blocks of grouped-query attention with rotary positions and
/// a SwiGLU feed-forward, RMS norms, no biases. SmolLM2 and TinyLlama are of it.
///
/// A block: `x += W_o attention(rope(W_q n1), rope(W_k n1), W_v n1)` with n1 = rmsNorm(x), then
/// `x += W_down (silu(W_gate n2) * W_up n2)` with n2 = rmsNorm(x).
package struct Llama: CausalLanguageModel {
  package internal(set) var configuration: LlamaConfiguration
  package internal(set) var linearLayers: [LinearLayer]
  package let precision: Precision
  let embedding: WeightMatrix
  var head: WeightMatrix
  let finalNorm: MatrixView
  var blocks: [Block]
  private let rope: RotaryEmbedding

  struct Block: Sendable {
    let inputNorm: MatrixView
    let postAttentionNorm: MatrixView
    var linears: [Linear]

    subscript(part: Part) -> Linear { linears[part.rawValue] }
  }

  /// A block's linear layers in forward order; the raw value is the place in `Block.linears`.
  enum Part: Int, CaseIterable {
    case query, key, value, output, gate, up, down

    var name: String {
      switch self {
      case .query: "self_attn.q_proj"
      case .key: "self_attn.k_proj"
      case .value: "self_attn.v_proj"
      case .output: "self_attn.o_proj"
      case .gate: "mlp.gate_proj"
      case .up: "mlp.up_proj"
      case .down: "mlp.down_proj"
      }
    }

    func shape(_ c: LlamaConfiguration) -> (rows: Int, columns: Int) {
      switch self {
      case .query: (c.attention.queryWidth, c.hiddenSize)
      case .key, .value: (c.attention.keyValueWidth, c.hiddenSize)
      case .output: (c.hiddenSize, c.attention.queryWidth)
      case .gate, .up: (c.intermediateSize, c.hiddenSize)
      case .down: (c.hiddenSize, c.intermediateSize)
      }
    }
  }

  /// Reads every weight by its Hugging Face name. Throws `ModelError` for a missing tensor, a wrong shape or a value
  /// that is not finite.
  package init(
    configuration c: LlamaConfiguration, weights: some WeightSource, precision: Precision = .f32
  ) throws {
    configuration = c
    self.precision = precision
    try weights.refuseBiases()
    try weights.refuseBlock(c.layers)
    embedding = try weights.weight("model.embed_tokens.weight", rows: c.vocabularySize, columns: c.hiddenSize)
    head =
      c.tiesEmbeddings
      ? embedding : try weights.weight("lm_head.weight", rows: c.vocabularySize, columns: c.hiddenSize)
    finalNorm = try weights.matrix("model.norm.weight", rows: 1, columns: c.hiddenSize)
    blocks = try (0..<c.layers).map { index in
      let prefix = "model.layers.\(index)."
      return Block(
        inputNorm: try weights.matrix(prefix + "input_layernorm.weight", rows: 1, columns: c.hiddenSize),
        postAttentionNorm: try weights.matrix(
          prefix + "post_attention_layernorm.weight", rows: 1, columns: c.hiddenSize),
        linears: try Part.allCases.map { part in
          let (rows, columns) = part.shape(c)
          let name = "\(prefix)\(part.name).weight"
          return Linear(
            weight: try weights.weight(name, rows: rows, columns: columns), precision: precision)
        })
    }
    linearLayers = (0..<c.layers).flatMap { index in
      Part.allCases.map { part in
        let (rows, columns) = part.shape(c)
        return LinearLayer(
          name: "model.layers.\(index).\(part.name).weight", inputWidth: columns, outputWidth: rows)
      }
    }
    rope = RotaryEmbedding(headWidth: c.headWidth, theta: c.ropeTheta)
  }

  package var summary: String {
    let c = configuration
    return "Llama family, \(c.layers) layers, width \(c.hiddenSize), \(c.heads)/\(c.keyValueHeads) heads, "
      + "feed-forward \(c.intermediateSize), vocabulary \(c.vocabularySize)\(c.tiesEmbeddings ? ", tied head" : "")"
  }

  package var vocabularySize: Int { configuration.vocabularySize }
  package var contextLength: Int { configuration.contextLength }
  package var headParameters: Int { head.rows * head.columns }
  package var attentionWidth: Int { configuration.layers * configuration.attention.queryWidth }

  package func activationBytes(tokens: Int) -> Int {
    MemoryLayout<Float>.stride * arenaSize(tokens: tokens, longest: tokens, keepsActivations: true)
  }

  package func linearWeight(_ layer: Int) -> WeightMatrix {
    blocks[layer / Part.allCases.count].linears[layer % Part.allCases.count].weight
  }

  package func replacingLinearWeights(_ weights: [WeightMatrix]) -> Llama {
    precondition(
      weights.count == linearLayers.count, "\(weights.count) weights for \(linearLayers.count) layers")
    var changed = self
    for (layer, weight) in weights.enumerated() {
      let (block, part) = layer.quotientAndRemainder(dividingBy: Part.allCases.count)
      changed.blocks[block].linears[part] = blocks[block].linears[part].replacing(weight: weight)
    }
    return changed
  }
}

// MARK: - Forward

extension Llama {
  /// What backward needs of a block. The norms' outputs and the SwiGLU product are computed again there:
  /// element-wise work is cheaper than the memory.
  struct Saved {
    let input: Matrix
    let inputInverseRMS: Matrix
    let query, key, value, attended: Matrix
    let middle: Matrix
    let middleInverseRMS: Matrix
    let gate, up: Matrix

    init(_ tokens: Int, _ c: LlamaConfiguration, _ arena: Arena) {
      input = arena.matrix(tokens, c.hiddenSize)
      inputInverseRMS = arena.matrix(1, tokens)
      query = arena.matrix(tokens, c.attention.queryWidth)
      key = arena.matrix(tokens, c.attention.keyValueWidth)
      value = arena.matrix(tokens, c.attention.keyValueWidth)
      attended = arena.matrix(tokens, c.attention.queryWidth)
      middle = arena.matrix(tokens, c.hiddenSize)
      middleInverseRMS = arena.matrix(1, tokens)
      gate = arena.matrix(tokens, c.intermediateSize)
      up = arena.matrix(tokens, c.intermediateSize)
    }

    static func size(_ tokens: Int, _ c: LlamaConfiguration) -> Int {
      tokens
        * (2 * c.hiddenSize + 2 * c.attention.queryWidth + 2 * c.attention.keyValueWidth + 2
          * c.intermediateSize + 2)
        + 10 * 16
    }
  }

  /// Floats of arena a batch needs, its activations kept for backward or not.
  func arenaSize(_ batch: TokenBatch, keepsActivations: Bool) -> Int {
    arenaSize(tokens: batch.tokenCount, longest: batch.longest, keepsActivations: keepsActivations)
  }

  private func arenaSize(tokens: Int, longest: Int, keepsActivations: Bool) -> Int {
    let c = configuration
    let hidden = c.hiddenSize
    let saved = Saved.size(tokens, c) * (keepsActivations ? c.layers : 1)
    // The residual, both norms' outputs and gradients; inside a block one feed-forward product and d[q k v].
    let scratch =
      tokens
      * (5 * hidden + c.attention.queryWidth + 2 * c.attention.keyValueWidth + c.intermediateSize)
    return saved + scratch + c.attention.backwardScratch(length: longest)
      + headCrossEntropyScratch(width: hidden, vocabulary: c.vocabularySize, positions: tokens) + 32 * 16
  }

  /// Embeds the batch and runs it through all blocks; returns the last hidden states (T x d), before the final norm,
  /// and each block's activations where they are kept. `afterBlock` sees the states after each.
  func runBlocks(
    _ batch: TokenBatch, arena: Arena, keepsActivations: Bool, afterBlock: (Int, Matrix) -> Void = { _, _ in }
  ) -> (x: Matrix, saved: [Saved]) {
    let c = configuration
    let x = arena.matrix(batch.tokenCount, c.hiddenSize)
    for (row, token) in batch.tokens.enumerated() {
      embedding.copyRow(Int(token), into: x.rows(row..<row + 1))
    }
    let angles = rope.angles(positions: batch.longest)
    var saved: [Saved] = []
    for (index, block) in blocks.enumerated() {
      if saved.isEmpty || keepsActivations { saved.append(Saved(batch.tokenCount, c, arena)) }
      forward(block, x, batch, angles, saved[saved.count - 1], arena)
      afterBlock(index, x)
    }
    return (x, saved)
  }

  private func forward(
    _ block: Block, _ x: Matrix, _ batch: TokenBatch, _ angles: RotaryAngles, _ saved: Saved, _ arena: Arena
  ) {
    let mark = arena.mark
    let normed = arena.matrix(x.rows, x.columns)
    saved.input.copy(x.view)
    norm(saved.input, block.inputNorm, into: normed, inverseRMS: saved.inputInverseRMS)
    block[.query].forward(normed.view, into: saved.query)
    block[.key].forward(normed.view, into: saved.key)
    block[.value].forward(normed.view, into: saved.value)
    angles.rotate(saved.query, offsets: batch.offsets)
    angles.rotate(saved.key, offsets: batch.offsets)
    attention(
      query: saved.query.view, key: saved.key.view, value: saved.value.view, offsets: batch.offsets,
      shape: configuration.attention, into: saved.attended, arena: arena)
    block[.output].forward(saved.attended.view, into: x, adding: true)

    saved.middle.copy(x.view)
    norm(saved.middle, block.postAttentionNorm, into: normed, inverseRMS: saved.middleInverseRMS)
    block[.gate].forward(normed.view, into: saved.gate)
    block[.up].forward(normed.view, into: saved.up)
    let product = arena.matrix(x.rows, configuration.intermediateSize)
    siluMultiply(gate: saved.gate.view, up: saved.up.view, into: product)
    block[.down].forward(product.view, into: x, adding: true)
    arena.release(to: mark)
  }

  func norm(_ x: Matrix, _ weight: MatrixView, into y: Matrix, inverseRMS: Matrix) {
    rmsNorm(x.view, weight: weight, epsilon: configuration.normEpsilon, into: y, inverseRMS: inverseRMS)
  }

  package func losses(of batch: TokenBatch, workspace: Workspace) -> [Double] {
    let arena = workspace.arena
    arena.reset(capacity: arenaSize(batch, keepsActivations: false))
    let (x, _) = runBlocks(batch, arena: arena, keepsActivations: false)
    let normed = arena.matrix(x.rows, x.columns)
    norm(x, finalNorm, into: normed, inverseRMS: arena.matrix(1, x.rows))
    return headCrossEntropy(
      hidden: normed.view, head: head, predictions: batch.predictions, samples: batch.count,
      hiddenGradient: nil, arena: arena, precision: precision)
  }

  package func nextTokenLogits(_ tokens: [Int32], workspace: Workspace) -> [Float] {
    let batch = TokenBatch([(tokens, tokens.map { _ in false })])
    let arena = workspace.arena
    arena.reset(capacity: arenaSize(batch, keepsActivations: false))
    let (x, _) = runBlocks(batch, arena: arena, keepsActivations: false)
    let normed = arena.matrix(x.rows, x.columns)
    norm(x, finalNorm, into: normed, inverseRMS: arena.matrix(1, x.rows))
    let logits = arena.matrix(1, configuration.vocabularySize)
    gemm(normed.view.rows(x.rows - 1..<x.rows), .no, head, .yes, into: logits, precision: precision)
    return logits.view.values
  }
}

// MARK: - Backward

extension Llama {
  package func losses(of batch: TokenBatch, workspace: Workspace, observer: some GradientObserver) -> [Double]
  {
    let arena = workspace.arena
    arena.reset(capacity: arenaSize(batch, keepsActivations: true))
    let (x, saved) = runBlocks(batch, arena: arena, keepsActivations: true)
    let normed = arena.matrix(x.rows, x.columns)
    let inverseRMS = arena.matrix(1, x.rows)
    norm(x, finalNorm, into: normed, inverseRMS: inverseRMS)
    let dnormed = arena.matrix(x.rows, x.columns)
    let losses = headCrossEntropy(
      hidden: normed.view, head: head, predictions: batch.predictions, samples: batch.count,
      hiddenGradient: dnormed, arena: arena, precision: precision)
    let dx = arena.matrix(x.rows, x.columns)
    dx.fill(0)
    rmsNormBackward(
      x.view, weight: finalNorm, inverseRMS: inverseRMS.view, outputGradient: dnormed.view, addingTo: dx)
    let angles = rope.angles(positions: batch.longest)
    for index in blocks.indices.reversed() {
      backward(blocks[index], saved[index], dx, batch, angles, arena, isFirst: index == 0) {
        part, input, gradient in
        observer.observe(
          layer: index * Part.allCases.count + part.rawValue, input: input.view,
          outputGradient: gradient.view,
          batch: batch)
      }
    }
    return losses
  }

  /// Takes dx from a block's output to its input, in place. Below the first block nothing is watched, so there the
  /// last products are left out.
  private func backward(
    _ block: Block, _ saved: Saved, _ dx: Matrix, _ batch: TokenBatch, _ angles: RotaryAngles, _ arena: Arena,
    isFirst: Bool, observe: (Part, Matrix, Matrix) -> Void
  ) {
    let mark = arena.mark
    let normed = arena.matrix(dx.rows, dx.columns)
    backwardFeedForward(block, saved, dx, normed, arena, observe)
    backwardAttention(block, saved, dx, normed, batch, angles, arena, isFirst: isFirst, observe)
    arena.release(to: mark)
  }

  private func backwardFeedForward(
    _ block: Block, _ saved: Saved, _ dx: Matrix, _ normed: Matrix, _ arena: Arena,
    _ observe: (Part, Matrix, Matrix) -> Void
  ) {
    let mark = arena.mark
    let product = arena.matrix(dx.rows, configuration.intermediateSize)
    siluMultiply(gate: saved.gate.view, up: saved.up.view, into: product)
    observe(.down, product, dx)
    block[.down].inputGradient(dx.view, into: product)
    siluMultiplyBackward(gate: saved.gate, up: saved.up, outputGradient: product.view)

    norm(saved.middle, block.postAttentionNorm, into: normed, inverseRMS: saved.middleInverseRMS)
    observe(.up, normed, saved.up)
    observe(.gate, normed, saved.gate)
    block[.gate].inputGradient(saved.gate.view, into: normed)
    block[.up].inputGradient(saved.up.view, into: normed, adding: true)
    rmsNormBackward(
      saved.middle.view, weight: block.postAttentionNorm, inverseRMS: saved.middleInverseRMS.view,
      outputGradient: normed.view, addingTo: dx)
    arena.release(to: mark)
  }

  private func backwardAttention(
    _ block: Block, _ saved: Saved, _ dx: Matrix, _ normed: Matrix, _ batch: TokenBatch,
    _ angles: RotaryAngles,
    _ arena: Arena, isFirst: Bool, _ observe: (Part, Matrix, Matrix) -> Void
  ) {
    let c = configuration
    observe(.output, saved.attended, dx)
    // Attended values are not needed past here: their memory takes their gradient.
    let dattended = saved.attended
    block[.output].inputGradient(dx.view, into: dattended)
    let dquery = arena.matrix(dx.rows, c.attention.queryWidth)
    let dkey = arena.matrix(dx.rows, c.attention.keyValueWidth)
    let dvalue = arena.matrix(dx.rows, c.attention.keyValueWidth)
    attentionBackward(
      query: saved.query.view, key: saved.key.view, value: saved.value.view, outputGradient: dattended.view,
      offsets: batch.offsets, shape: c.attention, queryGradient: dquery, keyGradient: dkey,
      valueGradient: dvalue,
      arena: arena)
    angles.rotateBack(dquery, offsets: batch.offsets)
    angles.rotateBack(dkey, offsets: batch.offsets)

    norm(saved.input, block.inputNorm, into: normed, inverseRMS: saved.inputInverseRMS)
    observe(.value, normed, dvalue)
    observe(.key, normed, dkey)
    observe(.query, normed, dquery)
    if isFirst { return }
    block[.query].inputGradient(dquery.view, into: normed)
    block[.key].inputGradient(dkey.view, into: normed, adding: true)
    block[.value].inputGradient(dvalue.view, into: normed, adding: true)
    rmsNormBackward(
      saved.input.view, weight: block.inputNorm, inverseRMS: saved.inputInverseRMS.view,
      outputGradient: normed.view, addingTo: dx)
  }
}
