import Layers
import TensorKernels

/// The GPT-2 family (Radford et al. 2019): pre-norm blocks of multi-head attention and a GELU feed-forward, layer
/// norms, biases, learned positions, and a head that is the token embedding.
///
/// A block: `x += W_o attention(q, k, v) + b_o` with `[q k v] = W_qkv n1 + b_qkv` and n1 = layerNorm(x), then
/// `x += W_2 gelu(W_1 n2 + b_1) + b_2` with n2 = layerNorm(x). Query, key and value are one linear layer.
package struct GPT2: CausalLanguageModel {
  package let configuration: GPT2Configuration
  package let linearLayers: [LinearLayer]
  package let precision: Precision
  private let tokenEmbedding: Embedding
  private let positionEmbedding: Embedding
  private let finalNorm: LayerNorm
  private var blocks: [Block]
  /// What every name in the file begins with.
  private let prefix: String

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
      case .queryKeyValue: "attn.c_attn"
      case .output: "attn.c_proj"
      case .up: "mlp.c_fc"
      case .down: "mlp.c_proj"
      }
    }

    func shape(_ c: GPT2Configuration) -> (outputs: Int, inputs: Int) {
      switch self {
      case .queryKeyValue: (3 * c.hiddenSize, c.hiddenSize)
      case .output: (c.hiddenSize, c.hiddenSize)
      case .up: (c.intermediateSize, c.hiddenSize)
      case .down: (c.hiddenSize, c.intermediateSize)
      }
    }
  }

  /// Reads every weight by its Hugging Face name, which begins with `transformer.` except in checkpoints of the bare
  /// decoder, such as the original one. Throws `ModelError` for a missing tensor, a wrong shape or a value that is not
  /// finite. The causal masks of old checkpoints (`attn.bias`, `attn.masked_bias`) are no weights and are not read.
  package init(
    configuration c: GPT2Configuration, weights: some WeightSource, precision: Precision = .f32
  ) throws {
    self.precision = precision
    let isBare = weights.names.contains("wte.weight")
    let prefix = isBare ? "" : "transformer."
    self.prefix = prefix
    try weights.refuseBlock(c.layers, prefixes: [prefix + "h."])
    configuration = c
    tokenEmbedding = Embedding(
      table: try weights.matrix(prefix + "wte.weight", rows: c.vocabularySize, columns: c.hiddenSize))
    positionEmbedding = Embedding(
      table: try weights.matrix(prefix + "wpe.weight", rows: c.contextLength, columns: c.hiddenSize))
    finalNorm = try weights.layerNorm(prefix + "ln_f", c)
    blocks = try (0..<c.layers).map { index in
      let prefix = "\(prefix)h.\(index)."
      return Block(
        attentionNorm: try weights.layerNorm(prefix + "ln_1", c),
        feedForwardNorm: try weights.layerNorm(prefix + "ln_2", c),
        linears: try Part.allCases.map { part in
          let (outputs, inputs) = part.shape(c)
          return try weights.transposedLinear(
            prefix + part.name, inputs: inputs, outputs: outputs, precision: precision)
        })
    }
    linearLayers = (0..<c.layers).flatMap { index in
      Part.allCases.map { part in
        let (outputs, inputs) = part.shape(c)
        return LinearLayer(
          name: "transformer.h.\(index).\(part.name).weight", inputWidth: inputs, outputWidth: outputs)
      }
    }
  }

  package func storedWeight(ofLayer layer: Int) -> StoredWeight {
    let (block, part) = layer.quotientAndRemainder(dividingBy: Part.allCases.count)
    return StoredWeight(name: "\(prefix)h.\(block).\(Part.allCases[part].name).weight", inputsFirst: true)
  }

  package var summary: String {
    let c = configuration
    return "GPT-2 family, \(c.layers) layers, width \(c.hiddenSize), \(c.heads) heads, "
      + "feed-forward \(c.intermediateSize), vocabulary \(c.vocabularySize), tied head"
  }

  package var vocabularySize: Int { configuration.vocabularySize }
  package var contextLength: Int { configuration.contextLength }
  package var headParameters: Int { head.rows * head.columns }
  package var attentionWidth: Int { configuration.layers * configuration.hiddenSize }
  private var head: WeightMatrix { .f32(tokenEmbedding.table) }

  package func activationBytes(tokens: Int) -> Int {
    MemoryLayout<Float>.stride * arenaSize(tokens: tokens, longest: tokens, keepsActivations: true)
  }

  package func linearWeight(_ layer: Int) -> WeightMatrix {
    blocks[layer / Part.allCases.count].linears[layer % Part.allCases.count].weight
  }

  package func replacingLinearWeights(_ weights: [WeightMatrix]) -> GPT2 {
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
  fileprivate func layerNorm(_ name: String, _ c: GPT2Configuration) throws -> LayerNorm {
    LayerNorm(
      weight: try matrix(name + ".weight", rows: 1, columns: c.hiddenSize),
      bias: try matrix(name + ".bias", rows: 1, columns: c.hiddenSize), epsilon: c.normEpsilon)
  }

  /// A linear layer that is stored as inputs x outputs (Hugging Face's Conv1D), turned to outputs x inputs.
  fileprivate func transposedLinear(
    _ name: String, inputs: Int, outputs: Int, precision: Precision
  ) throws -> Linear {
    Linear(
      weight: .f32(try matrix(name + ".weight", rows: inputs, columns: outputs).transposed),
      bias: try matrix(name + ".bias", rows: 1, columns: outputs), precision: precision)
  }
}

// MARK: - Forward

extension GPT2 {
  /// What backward needs of a block. The norms' outputs and the activated feed-forward are computed again there:
  /// element-wise work is cheaper than the memory.
  private struct Saved {
    let input: Matrix
    let inputStatistics: Matrix
    let queryKeyValue: Matrix
    let attended: Matrix
    let middle: Matrix
    let middleStatistics: Matrix
    let up: Matrix

    init(_ tokens: Int, _ c: GPT2Configuration, _ arena: Arena) {
      input = arena.matrix(tokens, c.hiddenSize)
      inputStatistics = arena.matrix(2, tokens)
      queryKeyValue = arena.matrix(tokens, 3 * c.hiddenSize)
      attended = arena.matrix(tokens, c.hiddenSize)
      middle = arena.matrix(tokens, c.hiddenSize)
      middleStatistics = arena.matrix(2, tokens)
      up = arena.matrix(tokens, c.intermediateSize)
    }

    static func size(_ tokens: Int, _ c: GPT2Configuration) -> Int {
      tokens * (6 * c.hiddenSize + c.intermediateSize + 4) + 7 * 16
    }
  }

  /// A third of `[q k v]`, which stand side by side: T x d each.
  private func third(_ index: Int) -> Range<Int> {
    index * configuration.hiddenSize..<(index + 1) * configuration.hiddenSize
  }

  private func arenaSize(_ batch: TokenBatch, keepsActivations: Bool) -> Int {
    arenaSize(tokens: batch.tokenCount, longest: batch.longest, keepsActivations: keepsActivations)
  }

  /// Floats of arena a batch needs, its activations kept for backward or not.
  private func arenaSize(tokens: Int, longest: Int, keepsActivations: Bool) -> Int {
    let c = configuration
    let saved = Saved.size(tokens, c) * (keepsActivations ? c.layers : 1)
    // The residual, its final norm and their gradient; inside a block the activated feed-forward or d[q k v].
    let scratch = tokens * (3 * c.hiddenSize + 2 + max(c.intermediateSize, 3 * c.hiddenSize)) + 8 * 16
    return saved + scratch + c.attention.backwardScratch(length: longest)
      + headCrossEntropyScratch(width: c.hiddenSize, vocabulary: c.vocabularySize, positions: tokens)
  }

  /// Embeds the batch and runs it through all blocks; returns the last hidden states (T x d), before the final norm,
  /// and each block's activations where they are kept. `normed` (T x d) is memory it may write.
  private func runBlocks(_ batch: TokenBatch, normed: Matrix, arena: Arena, keepsActivations: Bool) -> (
    x: Matrix, saved: [Saved]
  ) {
    let x = arena.matrix(batch.tokenCount, configuration.hiddenSize)
    tokenEmbedding.forward(batch.tokens.map(Int.init), into: x)
    positionEmbedding.forward(batch.positions, into: x, adding: true)
    var saved: [Saved] = []
    for block in blocks {
      if saved.isEmpty || keepsActivations { saved.append(Saved(batch.tokenCount, configuration, arena)) }
      forward(block, x, normed, batch, saved[saved.count - 1], arena)
    }
    return (x, saved)
  }

  private func forward(
    _ block: Block, _ x: Matrix, _ normed: Matrix, _ batch: TokenBatch, _ saved: Saved, _ arena: Arena
  ) {
    saved.input.copy(x.view)
    block.attentionNorm.forward(x.view, into: normed, statistics: saved.inputStatistics)
    block[.queryKeyValue].forward(normed.view, into: saved.queryKeyValue)
    let qkv = saved.queryKeyValue.view
    attention(
      query: qkv.columns(third(0)), key: qkv.columns(third(1)), value: qkv.columns(third(2)),
      offsets: batch.offsets, shape: configuration.attention, into: saved.attended, arena: arena)
    block[.output].forward(saved.attended.view, into: x, adding: true)

    saved.middle.copy(x.view)
    block.feedForwardNorm.forward(x.view, into: normed, statistics: saved.middleStatistics)
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
    let (x, _) = runBlocks(batch, normed: normed, arena: arena, keepsActivations: false)
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

extension TokenBatch {
  /// Each position's place in its own sequence.
  fileprivate var positions: [Int] { (0..<count).flatMap { 0..<rows(of: $0).count } }
}

// MARK: - Backward

extension GPT2 {
  package func losses(of batch: TokenBatch, workspace: Workspace, observer: some GradientObserver) -> [Double]
  {
    let arena = workspace.arena
    arena.reset(capacity: arenaSize(batch, keepsActivations: true))
    let normed = arena.matrix(batch.tokenCount, configuration.hiddenSize)
    let (x, saved) = runBlocks(batch, normed: normed, arena: arena, keepsActivations: true)
    let statistics = arena.matrix(2, x.rows)
    finalNorm.forward(x.view, into: normed, statistics: statistics)
    let dx = arena.matrix(x.rows, x.columns)
    let others = observer.otherGradients
    let headGradient = others.map { _ in Matrix(rows: head.rows, columns: head.columns) }
    let losses = headCrossEntropy(
      hidden: normed.view, head: head, predictions: batch.predictions, samples: batch.count,
      hiddenGradient: dx, headGradient: headGradient, arena: arena, precision: precision)
    finalNorm.backward(
      x.view, statistics: statistics.view, outputGradient: dx.view, into: dx, name: "\(prefix)ln_f",
      to: others)
    for index in blocks.indices.reversed() {
      let observe = { (part: Part, input: Matrix, gradient: Matrix) in
        observer.observe(
          layer: index * Part.allCases.count + part.rawValue, input: input.view,
          outputGradient: gradient.view, batch: batch)
      }
      backwardFeedForward(index, saved[index], dx, normed, arena, others, observe)
      backwardAttention(index, saved[index], dx, normed, batch, arena, others, observe)
    }
    if let others, let headGradient {
      others.add("\(prefix)wpe.weight") {
        Embedding.backward(batch.positions, outputGradient: dx.view, tableGradient: $0)
      }
      others.add("\(prefix)wte.weight") {
        add(headGradient.view, to: $0)
        Embedding.backward(batch.tokens.lazy.map(Int.init), outputGradient: dx.view, tableGradient: $0)
      }
    }
    return losses
  }

  /// Takes dx from a block's output to its middle, in place; `normed` is memory it may write.
  private func backwardFeedForward(
    _ index: Int, _ saved: Saved, _ dx: Matrix, _ normed: Matrix, _ arena: Arena,
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
    activateBackward(saved.up.view, outputGradient: dup.view, into: dup)

    block.feedForwardNorm.forward(saved.middle.view, into: normed, statistics: saved.middleStatistics)
    observe(.up, normed, dup)
    block[.up].inputGradient(dup.view, into: normed)
    block.feedForwardNorm.backward(
      saved.middle.view, statistics: saved.middleStatistics.view, outputGradient: normed.view, into: normed,
      name: "\(prefix)h.\(index).ln_2", to: others)
    add(normed.view, to: dx)
    arena.release(to: mark)
  }

  /// Takes dx from a block's middle to its input, in place. Below the first block nothing is watched but by a training, so
  /// else the last products are left out there.
  private func backwardAttention(
    _ index: Int, _ saved: Saved, _ dx: Matrix, _ normed: Matrix, _ batch: TokenBatch, _ arena: Arena,
    _ others: (any ParameterGradients)?, _ observe: (Part, Matrix, Matrix) -> Void
  ) {
    let block = blocks[index]
    let mark = arena.mark
    observe(.output, saved.attended, dx)
    // Attended values are not needed past here: their memory takes their gradient.
    let dattended = saved.attended
    block[.output].inputGradient(dx.view, into: dattended)
    let (qkv, dqkv) = (saved.queryKeyValue.view, arena.matrix(dx.rows, 3 * configuration.hiddenSize))
    attentionBackward(
      query: qkv.columns(third(0)), key: qkv.columns(third(1)), value: qkv.columns(third(2)),
      outputGradient: dattended.view, offsets: batch.offsets, shape: configuration.attention,
      queryGradient: dqkv.columns(third(0)), keyGradient: dqkv.columns(third(1)),
      valueGradient: dqkv.columns(third(2)), arena: arena)

    block.attentionNorm.forward(saved.input.view, into: normed, statistics: saved.inputStatistics)
    observe(.queryKeyValue, normed, dqkv)
    if index > 0 || others != nil {
      block[.queryKeyValue].inputGradient(dqkv.view, into: normed)
      block.attentionNorm.backward(
        saved.input.view, statistics: saved.inputStatistics.view, outputGradient: normed.view, into: normed,
        name: "\(prefix)h.\(index).ln_1", to: others)
      add(normed.view, to: dx)
    }
    arena.release(to: mark)
  }

  private func activateBackward(_ x: MatrixView, outputGradient dy: MatrixView, into dx: Matrix) {
    switch configuration.activation {
    case .geluTanh: geluTanhBackward(x, outputGradient: dy, into: dx)
    case .gelu: geluBackward(x, outputGradient: dy, into: dx)
    }
  }
}
