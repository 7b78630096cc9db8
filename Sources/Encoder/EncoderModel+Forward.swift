import Layers
import TensorKernels

extension EncoderModel {
  /// The head's output for each text of a batch.
  package func scores(_ batch: EncoderBatch, workspace: EncoderWorkspace) -> [Float] {
    headOutputs(pooledFeatures(batch, workspace: workspace))
  }

  /// The pooled features (n x 2H) of a batch, valid until the workspace's next pass.
  package func pooledFeatures(_ batch: EncoderBatch, workspace: EncoderWorkspace) -> MatrixView {
    run(batch, workspace: workspace, keeping: false)
    return workspace.kept!.pooled.view
  }

  /// The hidden states (T x H) of a batch, valid until the workspace's next pass.
  package func hiddenStates(_ batch: EncoderBatch, workspace: EncoderWorkspace) -> MatrixView {
    run(batch, workspace: workspace, keeping: false)
    return workspace.kept!.hidden.view
  }

  /// A pass whose activations stay in the workspace for `backward`. Returns the head's outputs.
  package func forward(_ batch: EncoderBatch, workspace: EncoderWorkspace) -> [Float] {
    run(batch, workspace: workspace, keeping: true)
    return headOutputs(workspace.kept!.pooled.view)
  }

  /// The head's output for each row of pooled features.
  func headOutputs(_ pooled: MatrixView) -> [Float] {
    let outputs = Matrix(rows: pooled.rows, columns: 1)
    head.forward(pooled, into: outputs)
    return outputs.view.values
  }

  private func run(_ batch: EncoderBatch, workspace: EncoderWorkspace, keeping: Bool) {
    precondition(batch.count > 0, "EncoderModel: an empty batch")
    precondition(
      batch.longest <= configuration.maxPositions,
      "EncoderModel: \(batch.longest) tokens, at most \(configuration.maxPositions)")
    let arena = workspace.arena
    workspace.kept = nil
    arena.reset(capacity: scratch(batch, keeping: keeping))
    let (t, h) = (batch.tokens, configuration.hiddenSize)
    let positions = batch.positions
    let pooled = arena.matrix(batch.count, 2 * h)
    var kept = EncoderActivations(
      batch: batch, positions: positions, embedded: arena.matrix(t, h), statistics: arena.matrix(2, t),
      hidden: arena.matrix(t, h), pooled: pooled)
    embed(kept)
    var spare = keeping ? kept.hidden : arena.matrix(t, h)
    for layer in layout.layers {
      let mark = arena.mark
      let next = keeping ? arena.matrix(t, h) : spare
      let activations = forward(
        layer, kept.hidden, offsets: batch.offsets, into: next, arena, keeping: keeping)
      if keeping { kept.layers.append(activations) } else { arena.release(to: mark) }
      (kept.hidden, spare) = (next, kept.hidden)
    }
    pool(kept.hidden.view, offsets: batch.offsets, into: pooled)
    workspace.kept = kept
  }

  /// Token, position and type (always 0) embeddings, added and normalised.
  private func embed(_ kept: EncoderActivations) {
    Embedding(table: parameters.view(layout.wordEmbeddings)).forward(kept.batch.ids, into: kept.embedded)
    Embedding(table: parameters.view(layout.positionEmbeddings))
      .forward(kept.positions, into: kept.embedded, adding: true)
    addBias(parameters.view(layout.typeEmbeddings).rows(0..<1), to: kept.embedded)
    norm(layout.embeddingNormWeight, layout.embeddingNormBias)
      .forward(kept.embedded.view, into: kept.hidden, statistics: kept.statistics)
  }

  /// `a = norm(x + attention(x))`, `y = norm(a + W2 gelu(W1 a))`.
  private func forward(
    _ layer: EncoderLayerLayout, _ x: Matrix, offsets: [Int], into y: Matrix, _ arena: Arena, keeping: Bool
  ) -> LayerActivations {
    let (t, h) = (x.rows, x.columns)
    let intermediate = arena.matrix(t, configuration.intermediateSize)
    let kept = LayerActivations(
      input: x, queryKeyValue: arena.matrix(t, 3 * h), context: arena.matrix(t, h),
      attended: arena.matrix(t, h), attendedStatistics: arena.matrix(2, t), normed: arena.matrix(t, h),
      intermediate: intermediate,
      activated: keeping ? arena.matrix(t, configuration.intermediateSize) : intermediate,
      output: arena.matrix(t, h), outputStatistics: arena.matrix(2, t))
    linear(layer.queryKeyValueWeight, layer.queryKeyValueBias).forward(x.view, into: kept.queryKeyValue)
    let qkv = kept.queryKeyValue.view
    attention(
      query: qkv.columns(0..<h), key: qkv.columns(h..<2 * h), value: qkv.columns(2 * h..<3 * h),
      offsets: offsets, shape: attentionShape, into: kept.context, arena: arena)
    linear(layer.attentionOutputWeight, layer.attentionOutputBias)
      .forward(kept.context.view, into: kept.attended, residual: x.view)
    norm(layer.attentionNormWeight, layer.attentionNormBias)
      .forward(kept.attended.view, into: kept.normed, statistics: kept.attendedStatistics)
    if !keeping, let feedForward = feedForward(layer) {
      feedForward(kept.normed.view, residual: kept.normed.view, into: kept.output)
    } else {
      linear(layer.intermediateWeight, layer.intermediateBias).forward(kept.normed.view, into: intermediate)
      gelu(intermediate.view, into: kept.activated)
      linear(layer.outputWeight, layer.outputBias)
        .forward(kept.activated.view, into: kept.output, residual: kept.normed.view)
    }
    norm(layer.outputNormWeight, layer.outputNormBias)
      .forward(kept.output.view, into: y, statistics: kept.outputStatistics)
    return kept
  }

  /// `[sum x / n, sum x / sqrt(n)]` of each text.
  private func pool(_ hidden: MatrixView, offsets: [Int], into pooled: Matrix) {
    let h = configuration.hiddenSize
    pooled.fill(0)
    for (index, range) in zip(offsets, offsets.dropFirst()).enumerated() {
      let row = pooled.rows(index..<index + 1)
      let (mean, root) = (row.columns(0..<h), row.columns(h..<2 * h))
      let n = Float(range.1 - range.0)
      addColumnSums(of: hidden.rows(range.0..<range.1), to: mean)
      add(mean.view, times: 1 / n.squareRoot(), to: root)
      scale(mean, by: 1 / n)
    }
  }

  /// Floats of arena that a pass needs, and with `keeping` its backward.
  private func scratch(_ batch: EncoderBatch, keeping: Bool) -> Int {
    let (t, h, f) = (batch.tokens, configuration.hiddenSize, configuration.intermediateSize)
    // A matrix takes up to 15 floats more than it holds.
    let base = 2 * t * h + 2 * t + batch.count * (2 * h + 16) + 8 * 16
    let layer = 8 * t * h + t * f + 4 * t + 16 * 16
    guard keeping else {
      return base + t * h + layer + attentionShape.forwardScratch(length: batch.longest)
    }
    let backward = 5 * t * h + t * f + batch.count * (2 * h + 16) + 16 * 16
    return base + configuration.layers * (layer + t * h + t * f) + backward
      + attentionShape.backwardScratch(length: batch.longest)
  }
}
