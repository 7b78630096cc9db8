import Layers
import TensorKernels

extension Llama {
  /// What layers that read the same input put out: a matrix a layer, of which a part is some columns.
  struct Outputs {
    let layers: [Matrix]
    let parts: [Matrix]

    init(_ tokens: Int, _ layout: ArraySlice<LinearLayout.Layer>, _ c: LlamaConfiguration, _ arena: Arena) {
      layers = layout.map { arena.matrix(tokens, $0.shape(c).rows) }
      parts = zip(layout, layers).flatMap { layer, matrix in
        var first = 0
        return layer.parts.map { part in
          defer { first += part.shape(c).rows }
          return matrix.columns(first..<first + part.shape(c).rows)
        }
      }
    }

    /// Floats of arena that a batch's outputs take.
    static func size(_ tokens: Int, _ layout: ArraySlice<LinearLayout.Layer>, _ c: LlamaConfiguration) -> Int
    {
      layout.reduce(0) { $0 + tokens * $1.shape(c).rows + 16 }
    }
  }

  /// What a norm's backward needs.
  struct NormInput {
    let value: Matrix
    let inverseRMS: Matrix

    init(_ rows: Int, _ width: Int, _ arena: Arena) {
      value = arena.matrix(rows, width)
      inverseRMS = arena.matrix(1, rows)
    }

    static func size(_ rows: Int, _ width: Int) -> Int { rows * (width + 1) + 2 * 16 }
  }

  /// What backward needs of a block. The norms' outputs and the gated product are computed again there: element-wise
  /// work is cheaper than the memory.
  struct Saved {
    let input: NormInput
    /// Queries and keys are turned in place, but where heads are normed these are the norms' inputs.
    let queryKeyValue: Outputs
    /// Normed queries and keys, a head a row, with the norms' inverse roots; where heads are normed.
    let normedHeads: (query: NormInput, key: NormInput)?
    /// Queries and keys as attention reads them.
    let query, key: Matrix
    let attended: Matrix
    let attendedOutput: NormInput?
    let middle: NormInput
    let gateUp: Outputs
    let fedForward: NormInput?

    init(_ tokens: Int, _ c: LlamaConfiguration, _ arena: Arena) {
      let layout = c.family.layout
      input = NormInput(tokens, c.hiddenSize, arena)
      queryKeyValue = Outputs(tokens, layout.layers[layout.queryKeyValue], c, arena)
      normedHeads =
        c.family.normalizesHeads
        ? (
          NormInput(tokens * c.heads, c.headWidth, arena),
          NormInput(tokens * c.keyValueHeads, c.headWidth, arena)
        ) : nil
      query = normedHeads?.query.value.reshaped(columns: c.queryWidth) ?? queryKeyValue.parts[0]
      key = normedHeads?.key.value.reshaped(columns: c.keyValueWidth) ?? queryKeyValue.parts[1]
      attended = arena.matrix(tokens, c.queryWidth)
      attendedOutput = c.family.normsOutputs ? NormInput(tokens, c.hiddenSize, arena) : nil
      middle = NormInput(tokens, c.hiddenSize, arena)
      gateUp = Outputs(tokens, layout.layers[layout.gateUp], c, arena)
      fedForward = c.family.normsOutputs ? NormInput(tokens, c.hiddenSize, arena) : nil
    }

    var value: Matrix { queryKeyValue.parts[2] }

    static func size(_ tokens: Int, _ c: LlamaConfiguration) -> Int {
      let layout = c.family.layout
      let norms = (c.family.normsOutputs ? 4 : 2) * NormInput.size(tokens, c.hiddenSize)
      let heads =
        c.family.normalizesHeads
        ? NormInput.size(tokens * (c.heads + c.keyValueHeads), c.headWidth) + 2 * 16 : 0
      return norms + heads + Outputs.size(tokens, layout.layers[layout.queryKeyValue], c)
        + Outputs.size(tokens, layout.layers[layout.gateUp], c) + tokens * c.queryWidth + 16
    }
  }

  /// Floats of arena a batch needs, its activations kept for backward or not.
  func arenaSize(_ batch: TokenBatch, keepsActivations: Bool) -> Int {
    arenaSize(tokens: batch.tokenCount, longest: batch.longest, keepsActivations: keepsActivations)
  }

  func arenaSize(tokens: Int, longest: Int, keepsActivations: Bool) -> Int {
    let c = configuration
    let saved = Saved.size(tokens, c) * (keepsActivations ? c.layers : 1)
    // The residual, both norms' outputs and gradients; inside a block one feed-forward product and d[q k v], and what
    // the norms of heads and outputs hand back.
    let scratch =
      tokens * (5 * c.hiddenSize + c.queryWidth + 2 * c.keyValueWidth + c.intermediateSize)
      + tokens * ((c.family.normsOutputs ? c.hiddenSize : 0) + (c.family.normalizesHeads ? c.queryWidth : 0))
    let attention = (0..<c.layers).map { c.attention(block: $0).backwardScratch(length: longest) }.max() ?? 0
    return saved + scratch + attention
      + headCrossEntropyScratch(
        width: c.hiddenSize, vocabulary: c.vocabularySize, positions: tokens, softCaps: c.logitSoftCap != nil)
      + 32 * 16
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
    if let factor = c.embeddingScale { scale(x, by: factor) }
    let angles = blocks.isEmpty ? [] : rotary.map { $0.angles(positions: batch.longest) }
    var saved: [Saved] = []
    for index in blocks.indices {
      if saved.isEmpty || keepsActivations { saved.append(Saved(batch.tokenCount, c, arena)) }
      forward(index, x, batch, angles, saved[saved.count - 1], arena)
      afterBlock(index, x)
    }
    return (x, saved)
  }

  private func forward(
    _ index: Int, _ x: Matrix, _ batch: TokenBatch, _ angles: [RotaryAngles], _ saved: Saved, _ arena: Arena
  ) {
    let (c, block) = (configuration, blocks[index])
    let mark = arena.mark
    let normed = arena.matrix(x.rows, x.columns)
    saved.input.value.copy(x.view)
    norm(saved.input, block.inputNorm, into: normed)
    for (place, output) in zip(layout.queryKeyValue, saved.queryKeyValue.layers) {
      block.linears[place].forward(normed.view, into: output)
    }
    normHeads(block, saved)
    if let rotary = c.blockAttention[index].rotary {
      angles[rotary].rotate(saved.query, offsets: batch.offsets)
      angles[rotary].rotate(saved.key, offsets: batch.offsets)
    }
    attention(
      query: saved.query.view, key: saved.key.view, value: saved.value.view, offsets: batch.offsets,
      shape: c.attention(block: index), into: saved.attended, arena: arena)
    join(
      block.linears[layout.output], saved.attended, block.attendedNorm, saved.attendedOutput, to: x,
      scratch: normed)

    saved.middle.value.copy(x.view)
    norm(saved.middle, block.feedForwardNorm, into: normed)
    for (place, output) in zip(layout.gateUp, saved.gateUp.layers) {
      block.linears[place].forward(normed.view, into: output)
    }
    let product = arena.matrix(x.rows, c.intermediateSize)
    c.activation.multiply(
      gate: saved.gateUp.parts[0].view, up: saved.gateUp.parts[1].view, into: product)
    join(
      block.linears[layout.down], product, block.fedForwardNorm, saved.fedForward, to: x, scratch: normed)
    arena.release(to: mark)
  }

  private func normHeads(_ block: Block, _ saved: Saved) {
    guard let heads = saved.normedHeads, let queryNorm = block.queryNorm, let keyNorm = block.keyNorm else {
      return
    }
    for (part, weight, result) in [(0, queryNorm, heads.query), (1, keyNorm, heads.key)] {
      rmsNorm(
        saved.queryKeyValue.parts[part].reshaped(columns: configuration.headWidth).view,
        weight: weight.weight, epsilon: configuration.normEpsilon, into: result.value,
        inverseRMS: result.inverseRMS)
    }
  }

  /// `x += W input`, or `x += norm(W input)` where there is a norm; `scratch` (T x d) may then be written.
  private func join(
    _ linear: Linear, _ input: Matrix, _ weight: RMSNormWeight?, _ output: NormInput?, to x: Matrix,
    scratch: Matrix
  ) {
    guard let weight, let output else { return linear.forward(input.view, into: x, adding: true) }
    linear.forward(input.view, into: output.value)
    norm(output, weight, into: scratch)
    add(scratch.view, to: x)
  }

  func norm(_ x: NormInput, _ weight: RMSNormWeight, into y: Matrix) {
    norm(x.value, weight, into: y, inverseRMS: x.inverseRMS)
  }

  func norm(_ x: Matrix, _ weight: RMSNormWeight, into y: Matrix, inverseRMS: Matrix) {
    rmsNorm(
      x.view, weight: weight.weight, epsilon: configuration.normEpsilon, into: y, inverseRMS: inverseRMS)
  }

  /// Nothing is kept for backward.
  package func headStates(of batch: TokenBatch, workspace: Workspace) -> MatrixView {
    let arena = workspace.arena
    arena.reset(capacity: arenaSize(batch, keepsActivations: false))
    let (x, _) = runBlocks(batch, arena: arena, keepsActivations: false)
    let normed = arena.matrix(x.rows, x.columns)
    norm(x, finalNorm, into: normed, inverseRMS: arena.matrix(1, x.rows))
    return normed.view
  }

  package func losses(of batch: TokenBatch, workspace: Workspace) -> [Double] {
    let states = headStates(of: batch, workspace: workspace)
    return headCrossEntropy(
      hidden: states, head: head, predictions: batch.predictions, samples: batch.count,
      hiddenGradient: nil, softCap: configuration.logitSoftCap, arena: workspace.arena, precision: precision)
  }

  package func nextTokenLogits(_ tokens: [Int32], workspace: Workspace) -> [Float] {
    let batch = TokenBatch([(tokens, tokens.map { _ in false })])
    let states = headStates(of: batch, workspace: workspace)
    let logits = workspace.arena.matrix(1, configuration.vocabularySize)
    gemm(states.rows(states.rows - 1..<states.rows), .no, head, .yes, into: logits, precision: precision)
    if let cap = configuration.logitSoftCap { softCap(logits, cap: cap) }
    return logits.view.values
  }
}
