import Layers
import TensorKernels

/// The GPT-NeoX family (Black et al. 2022), of which Pythia is: multi-head attention with rotary positions on a part
/// of each head and a GELU feed-forward side by side, layer norms, biases.
///
/// A block: `x += W_o attention(rope(q), rope(k), v) + b_o + W_2 gelu(W_1 n2 + b_1) + b_2` with
/// `[q k v] = W_qkv n1 + b_qkv` head by head, n1 = layerNorm(x) and n2 = layerNorm'(x). Where the two are not parallel,
/// n2 is of x with attention added. Query, key and value are one linear layer.
package struct GPTNeoX: CausalLanguageModel {
  package let configuration: GPTNeoXConfiguration
  package let linearLayers: [LinearLayer]
  package let precision: Precision
  private let embedding: WeightMatrix
  private let head: WeightMatrix
  private let finalNorm: LayerNorm
  private let rope: RotaryEmbedding
  private var blocks: [Block]

  private struct Block: Sendable {
    let attentionNorm: LayerNorm
    let feedForwardNorm: LayerNorm
    var linears: [Linear]

    subscript(part: Part) -> Linear { linears[part.rawValue] }
  }

  /// A block's linear layers in forward order; the raw value is the place in `Block.linears`.
  private enum Part: Int, CaseIterable {
    case queryKeyValue, output, up, down

    var name: String {
      switch self {
      case .queryKeyValue: "attention.query_key_value"
      case .output: "attention.dense"
      case .up: "mlp.dense_h_to_4h"
      case .down: "mlp.dense_4h_to_h"
      }
    }

    func shape(_ c: GPTNeoXConfiguration) -> (outputs: Int, inputs: Int) {
      switch self {
      case .queryKeyValue: (3 * c.hiddenSize, c.hiddenSize)
      case .output: (c.hiddenSize, c.hiddenSize)
      case .up: (c.intermediateSize, c.hiddenSize)
      case .down: (c.hiddenSize, c.intermediateSize)
      }
    }

    func hasBias(_ c: GPTNeoXConfiguration) -> Bool {
      self == .up || self == .down || c.hasAttentionBias
    }
  }

  /// Reads every weight by its Hugging Face name. Throws `ModelError` for a missing tensor, a wrong shape or a value
  /// that is not finite. The masks and frequencies of old checkpoints are no weights and are not read.
  package init(
    configuration c: GPTNeoXConfiguration, weights: some WeightSource, precision: Precision = .f32
  ) throws {
    configuration = c
    self.precision = precision
    try weights.refuseBlock(c.layers, prefixes: ["gpt_neox.layers."])
    embedding = try weights.weight("gpt_neox.embed_in.weight", rows: c.vocabularySize, columns: c.hiddenSize)
    head =
      c.tiesEmbeddings
      ? embedding : try weights.weight("embed_out.weight", rows: c.vocabularySize, columns: c.hiddenSize)
    finalNorm = try weights.layerNorm("gpt_neox.final_layer_norm", c)
    blocks = try (0..<c.layers).map { index in
      let prefix = "gpt_neox.layers.\(index)."
      return Block(
        attentionNorm: try weights.layerNorm(prefix + "input_layernorm", c),
        feedForwardNorm: try weights.layerNorm(prefix + "post_attention_layernorm", c),
        linears: try Part.allCases.map { part in
          let (rows, columns) = part.shape(c)
          let name = prefix + part.name
          return Linear(
            weight: try weights.weight(name + ".weight", rows: rows, columns: columns),
            bias: part.hasBias(c) ? try weights.matrix(name + ".bias", rows: 1, columns: rows) : nil,
            precision: precision)
        })
    }
    linearLayers = (0..<c.layers).flatMap { index in
      Part.allCases.map { part in
        let (outputs, inputs) = part.shape(c)
        return LinearLayer(
          name: "gpt_neox.layers.\(index).\(part.name).weight", inputWidth: inputs, outputWidth: outputs)
      }
    }
    rope = c.rotary.embedding(headWidth: c.headWidth)
  }

  package var summary: String {
    let c = configuration
    return "GPT-NeoX family, \(c.layers) layers, width \(c.hiddenSize), \(c.heads) heads, "
      + "feed-forward \(c.intermediateSize), vocabulary \(c.vocabularySize)\(c.tiesEmbeddings ? ", tied head" : "")"
  }

  package var vocabularySize: Int { configuration.vocabularySize }
  package var contextLength: Int { configuration.contextLength }
  package var headParameters: Int { head.rows * head.columns }
  package var attentionWidth: Int { configuration.layers * configuration.hiddenSize }

  package func activationBytes(tokens: Int) -> Int {
    MemoryLayout<Float>.stride * arenaSize(tokens: tokens, longest: tokens, keepsActivations: true)
  }

  package func linearWeight(_ layer: Int) -> WeightMatrix {
    blocks[layer / Part.allCases.count].linears[layer % Part.allCases.count].weight
  }

  package func replacingLinearWeights(_ weights: [WeightMatrix]) -> GPTNeoX {
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

extension WeightSource {
  /// The layer norm whose weight and bias are `<name>.weight` and `<name>.bias`.
  fileprivate func layerNorm(_ name: String, _ c: GPTNeoXConfiguration) throws -> LayerNorm {
    LayerNorm(
      weight: try matrix(name + ".weight", rows: 1, columns: c.hiddenSize),
      bias: try matrix(name + ".bias", rows: 1, columns: c.hiddenSize), epsilon: c.normEpsilon)
  }
}

// MARK: - Forward

extension GPTNeoX {
  /// What backward needs of a block. The norms' outputs and the activated feed-forward are computed again there:
  /// element-wise work is cheaper than the memory.
  private struct Saved {
    let input: Matrix
    let inputStatistics: Matrix
    let queryKeyValue: Matrix
    let attended: Matrix
    /// What the feed-forward's norm reads; the block's input where the two are parallel.
    let middle: Matrix
    let middleStatistics: Matrix
    let up: Matrix

    init(_ tokens: Int, _ c: GPTNeoXConfiguration, _ arena: Arena) {
      input = arena.matrix(tokens, c.hiddenSize)
      inputStatistics = arena.matrix(2, tokens)
      queryKeyValue = arena.matrix(tokens, 3 * c.hiddenSize)
      attended = arena.matrix(tokens, c.hiddenSize)
      middle = c.isParallel ? input : arena.matrix(tokens, c.hiddenSize)
      middleStatistics = arena.matrix(2, tokens)
      up = arena.matrix(tokens, c.intermediateSize)
    }

    static func size(_ tokens: Int, _ c: GPTNeoXConfiguration) -> Int {
      tokens * (6 * c.hiddenSize + c.intermediateSize + 4) + 7 * 16
    }
  }

  /// Query (0), key (1) or value (2) of all heads: the first head's stand at these columns' beginning, the next
  /// head's three head widths on.
  private func heads(_ index: Int) -> Range<Int> {
    let (width, all) = (configuration.headWidth, 3 * configuration.hiddenSize)
    return index * width..<all - (2 - index) * width
  }

  private func arenaSize(_ batch: TokenBatch, keepsActivations: Bool) -> Int {
    arenaSize(tokens: batch.tokenCount, longest: batch.longest, keepsActivations: keepsActivations)
  }

  /// Floats of arena a batch needs, its activations kept for backward or not.
  private func arenaSize(tokens: Int, longest: Int, keepsActivations: Bool) -> Int {
    let c = configuration
    let saved = Saved.size(tokens, c) * (keepsActivations ? c.layers : 1)
    // The residual, its final norm and their gradients; inside a block the activated feed-forward or d[q k v].
    let scratch = tokens * (4 * c.hiddenSize + 2 + max(c.intermediateSize, 3 * c.hiddenSize)) + 8 * 16
    return saved + scratch + c.attention.backwardScratch(length: longest)
      + headCrossEntropyScratch(width: c.hiddenSize, vocabulary: c.vocabularySize, positions: tokens)
  }

  /// Embeds the batch and runs it through all blocks; returns the last hidden states (T x d), before the final norm,
  /// and each block's activations where they are kept. `normed` (T x d) is memory it may write.
  private func runBlocks(
    _ batch: TokenBatch, _ angles: RotaryAngles, normed: Matrix, arena: Arena, keepsActivations: Bool
  ) -> (x: Matrix, saved: [Saved]) {
    let x = arena.matrix(batch.tokenCount, configuration.hiddenSize)
    for (row, token) in batch.tokens.enumerated() {
      embedding.copyRow(Int(token), into: x.rows(row..<row + 1))
    }
    var saved: [Saved] = []
    for block in blocks {
      if saved.isEmpty || keepsActivations { saved.append(Saved(batch.tokenCount, configuration, arena)) }
      forward(block, x, normed, batch, angles, saved[saved.count - 1], arena)
    }
    return (x, saved)
  }

  private func forward(
    _ block: Block, _ x: Matrix, _ normed: Matrix, _ batch: TokenBatch, _ angles: RotaryAngles,
    _ saved: Saved, _ arena: Arena
  ) {
    saved.input.copy(x.view)
    block.attentionNorm.forward(x.view, into: normed, statistics: saved.inputStatistics)
    block[.queryKeyValue].forward(normed.view, into: saved.queryKeyValue)
    for index in 0...1 {
      angles.rotate(
        saved.queryKeyValue.columns(heads(index)), offsets: batch.offsets,
        headStride: configuration.attention.headStride)
    }
    let qkv = saved.queryKeyValue.view
    attention(
      query: qkv.columns(heads(0)), key: qkv.columns(heads(1)), value: qkv.columns(heads(2)),
      offsets: batch.offsets, shape: configuration.attention, into: saved.attended, arena: arena)
    block[.output].forward(saved.attended.view, into: x, adding: true)

    if !configuration.isParallel { saved.middle.copy(x.view) }
    block.feedForwardNorm.forward(saved.middle.view, into: normed, statistics: saved.middleStatistics)
    block[.up].forward(normed.view, into: saved.up)
    let mark = arena.mark
    let activated = arena.matrix(x.rows, configuration.intermediateSize)
    activate(saved.up.view, into: activated)
    block[.down].forward(activated.view, into: x, adding: true)
    arena.release(to: mark)
  }

  private func activate(_ x: MatrixView, into y: Matrix) {
    switch configuration.activation {
    case .geluTanh: geluTanh(x, into: y)
    case .gelu: gelu(x, into: y)
    }
  }

  /// Nothing is kept for backward.
  package func headStates(of batch: TokenBatch, workspace: Workspace) -> MatrixView {
    let arena = workspace.arena
    arena.reset(capacity: arenaSize(batch, keepsActivations: false))
    let normed = arena.matrix(batch.tokenCount, configuration.hiddenSize)
    let angles = rope.angles(positions: batch.longest)
    let (x, _) = runBlocks(batch, angles, normed: normed, arena: arena, keepsActivations: false)
    finalNorm.forward(x.view, into: normed, statistics: arena.matrix(2, x.rows))
    return normed.view
  }

  package func losses(of batch: TokenBatch, workspace: Workspace) -> [Double] {
    let states = headStates(of: batch, workspace: workspace)
    return headCrossEntropy(
      hidden: states, head: head, predictions: batch.predictions, samples: batch.count,
      hiddenGradient: nil, arena: workspace.arena, precision: precision)
  }

  package func nextTokenLogits(_ tokens: [Int32], workspace: Workspace) -> [Float] {
    let batch = TokenBatch([(tokens, tokens.map { _ in false })])
    let states = headStates(of: batch, workspace: workspace)
    let logits = workspace.arena.matrix(1, configuration.vocabularySize)
    gemm(states.rows(states.rows - 1..<states.rows), .no, head, .yes, into: logits, precision: precision)
    return logits.view.values
  }
}

// MARK: - Backward

extension GPTNeoX {
  package func losses(of batch: TokenBatch, workspace: Workspace, observer: some GradientObserver) -> [Double]
  {
    let arena = workspace.arena
    arena.reset(capacity: arenaSize(batch, keepsActivations: true))
    let normed = arena.matrix(batch.tokenCount, configuration.hiddenSize)
    let angles = rope.angles(positions: batch.longest)
    let (x, saved) = runBlocks(batch, angles, normed: normed, arena: arena, keepsActivations: true)
    let statistics = arena.matrix(2, x.rows)
    finalNorm.forward(x.view, into: normed, statistics: statistics)
    let dx = arena.matrix(x.rows, x.columns)
    let others = observer.otherGradients
    let headGradient = others.map { _ in Matrix(rows: head.rows, columns: head.columns) }
    let losses = headCrossEntropy(
      hidden: normed.view, head: head, predictions: batch.predictions, samples: batch.count,
      hiddenGradient: dx, headGradient: headGradient, arena: arena, precision: precision)
    finalNorm.backward(
      x.view, statistics: statistics.view, outputGradient: dx.view, into: dx,
      name: "gpt_neox.final_layer_norm", to: others)
    // What reaches a block's input through the feed-forward: kept apart where attention does not see it.
    let through = arena.matrix(x.rows, x.columns)
    for index in blocks.indices.reversed() {
      let observe = { (part: Part, input: Matrix, gradient: Matrix) in
        observer.observe(
          layer: index * Part.allCases.count + part.rawValue, input: input.view,
          outputGradient: gradient.view, batch: batch)
      }
      backwardFeedForward(index, saved[index], dx, into: through, normed, arena, others, observe)
      if !configuration.isParallel { add(through.view, to: dx) }
      backwardAttention(index, saved[index], dx, normed, batch, angles, arena, others, observe)
      if configuration.isParallel { add(through.view, to: dx) }
    }
    if let others, let headGradient { addEmbeddingGradients(batch, dx, headGradient, to: others) }
    return losses
  }

  /// dx, now the gradient of the embedded tokens, and the head's.
  private func addEmbeddingGradients(
    _ batch: TokenBatch, _ dx: Matrix, _ headGradient: Matrix, to others: any ParameterGradients
  ) {
    if !configuration.tiesEmbeddings {
      others.add("embed_out.weight") { TensorKernels.add(headGradient.view, to: $0) }
    }
    others.add("gpt_neox.embed_in.weight") { sum in
      if configuration.tiesEmbeddings { TensorKernels.add(headGradient.view, to: sum) }
      Embedding.backward(batch.tokens.lazy.map(Int.init), outputGradient: dx.view, tableGradient: sum)
    }
  }

  /// Writes what dx becomes through a block's feed-forward and its norm; `normed` is memory it may write.
  private func backwardFeedForward(
    _ index: Int, _ saved: Saved, _ dx: Matrix, into through: Matrix, _ normed: Matrix, _ arena: Arena,
    _ others: (any ParameterGradients)?, _ observe: (Part, Matrix, Matrix) -> Void
  ) {
    let block = blocks[index]
    let mark = arena.mark
    let activated = arena.matrix(dx.rows, configuration.intermediateSize)
    activate(saved.up.view, into: activated)
    observe(.down, activated, dx)
    // The activated feed-forward is not needed past here: its memory takes its gradient.
    let dup = activated
    block[.down].inputGradient(dx.view, into: dup)
    switch configuration.activation {
    case .geluTanh: geluTanhBackward(saved.up.view, outputGradient: dup.view, into: dup)
    case .gelu: geluBackward(saved.up.view, outputGradient: dup.view, into: dup)
    }
    block.feedForwardNorm.forward(saved.middle.view, into: normed, statistics: saved.middleStatistics)
    observe(.up, normed, dup)
    block[.up].inputGradient(dup.view, into: through)
    block.feedForwardNorm.backward(
      saved.middle.view, statistics: saved.middleStatistics.view, outputGradient: through.view, into: through,
      name: "gpt_neox.layers.\(index).post_attention_layernorm", to: others)
    arena.release(to: mark)
  }

  /// Adds to dx what it becomes through a block's attention and its norm. Below the first block nothing is watched but by a
  /// training, so else the last products are left out there.
  private func backwardAttention(
    _ index: Int, _ saved: Saved, _ dx: Matrix, _ normed: Matrix, _ batch: TokenBatch,
    _ angles: RotaryAngles, _ arena: Arena, _ others: (any ParameterGradients)?,
    _ observe: (Part, Matrix, Matrix) -> Void
  ) {
    let block = blocks[index]
    let mark = arena.mark
    observe(.output, saved.attended, dx)
    // Attended values are not needed past here: their memory takes their gradient.
    let dattended = saved.attended
    block[.output].inputGradient(dx.view, into: dattended)
    let (qkv, dqkv) = (saved.queryKeyValue.view, arena.matrix(dx.rows, 3 * configuration.hiddenSize))
    attentionBackward(
      query: qkv.columns(heads(0)), key: qkv.columns(heads(1)), value: qkv.columns(heads(2)),
      outputGradient: dattended.view, offsets: batch.offsets, shape: configuration.attention,
      queryGradient: dqkv.columns(heads(0)), keyGradient: dqkv.columns(heads(1)),
      valueGradient: dqkv.columns(heads(2)), arena: arena)
    for index in 0...1 {
      angles.rotateBack(
        dqkv.columns(heads(index)), offsets: batch.offsets, headStride: configuration.attention.headStride)
    }
    block.attentionNorm.forward(saved.input.view, into: normed, statistics: saved.inputStatistics)
    observe(.queryKeyValue, normed, dqkv)
    if index > 0 || others != nil {
      block[.queryKeyValue].inputGradient(dqkv.view, into: normed)
      block.attentionNorm.backward(
        saved.input.view, statistics: saved.inputStatistics.view, outputGradient: normed.view, into: normed,
        name: "gpt_neox.layers.\(index).input_layernorm", to: others)
      add(normed.view, to: dx)
    }
    arena.release(to: mark)
  }
}
