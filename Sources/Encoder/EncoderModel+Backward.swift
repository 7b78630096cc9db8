import Layers
import TensorKernels

extension EncoderModel {
  /// Adds to `gradients` the gradient of `sum_s outputGradient_s output_s` for the batch that `forward` ran last in
  /// this workspace; the embedding tables are left out where `gradients` does not hold them.
  package func backward(
    outputGradient: [Float], into gradients: ParameterBuffer, workspace: EncoderWorkspace
  ) {
    guard let kept = workspace.kept, kept.layers.count == configuration.layers else {
      preconditionFailure("EncoderModel: backward without forward")
    }
    precondition(
      outputGradient.count == kept.batch.count,
      "EncoderModel: \(outputGradient.count) gradients for \(kept.batch.count) texts")
    let arena = workspace.arena
    let (t, h) = (kept.batch.tokens, configuration.hiddenSize)
    let gradient = arena.matrix(t, h)
    poolBackward(kept, outputGradient, into: gradient, gradients: gradients, arena: arena)
    let spare = (
      attended: arena.matrix(t, h), queryKeyValue: arena.matrix(t, 3 * h),
      intermediate: arena.matrix(t, configuration.intermediateSize)
    )
    for (layer, activations) in zip(layout.layers, kept.layers).reversed() {
      backward(
        layer, activations, offsets: kept.batch.offsets, gradient: gradient, spare: spare,
        gradients: gradients, arena: arena)
    }
    norm(layout.embeddingNormWeight, layout.embeddingNormBias).backward(
      kept.embedded.view, statistics: kept.statistics.view, outputGradient: gradient.view, into: gradient,
      weightGradient: gradients.matrix(layout.embeddingNormWeight),
      biasGradient: gradients.matrix(layout.embeddingNormBias))
    if gradients.hasTables { embeddingsBackward(kept, gradient.view, gradients: gradients) }
    workspace.kept = nil
  }

  /// Backward of head and pooling: `dx_t = (w_mean / n + w_root / sqrt(n)) dy` for every token of a text.
  private func poolBackward(
    _ kept: EncoderActivations, _ outputGradient: [Float], into gradient: Matrix, gradients: ParameterBuffer,
    arena: Arena
  ) {
    let h = configuration.hiddenSize
    let upstream = arena.matrix(kept.batch.count, 1)
    upstream.pointer.update(from: outputGradient, count: outputGradient.count)
    LinearGradient(weight: gradients.matrix(layout.headWeight), bias: gradients.matrix(layout.headBias))
      .add(input: kept.pooled.view, outputGradient: upstream.view)
    let pooled = arena.matrix(kept.batch.count, 2 * h)
    head.inputGradient(upstream.view, into: pooled)
    for (index, range) in zip(kept.batch.offsets, kept.batch.offsets.dropFirst()).enumerated() {
      let n = Float(range.1 - range.0)
      let row = pooled.rows(index..<index + 1)
      let mean = row.columns(0..<h)
      scale(mean, by: 1 / n)
      add(row.columns(h..<2 * h).view, times: 1 / n.squareRoot(), to: mean)
      for token in range.0..<range.1 { gradient.rows(token..<token + 1).copy(mean.view) }
    }
  }

  /// Backward of one layer: `gradient` holds dy on entry and dx on return; `spare` is memory it may write.
  private func backward(
    _ layer: EncoderLayerLayout, _ kept: LayerActivations, offsets: [Int], gradient: Matrix,
    spare: (attended: Matrix, queryKeyValue: Matrix, intermediate: Matrix), gradients: ParameterBuffer,
    arena: Arena
  ) {
    let h = configuration.hiddenSize
    // Through the last norm: gradient = d(output), which reaches `normed` directly and through the feed-forward.
    norm(layer.outputNormWeight, layer.outputNormBias).backward(
      kept.output.view, statistics: kept.outputStatistics.view, outputGradient: gradient.view, into: gradient,
      weightGradient: gradients.matrix(layer.outputNormWeight),
      biasGradient: gradients.matrix(layer.outputNormBias))
    LinearGradient(weight: gradients.matrix(layer.outputWeight), bias: gradients.matrix(layer.outputBias))
      .add(input: kept.activated.view, outputGradient: gradient.view)
    linear(layer.outputWeight, layer.outputBias).inputGradient(gradient.view, into: spare.intermediate)
    geluBackward(kept.intermediate.view, outputGradient: spare.intermediate.view, into: spare.intermediate)
    LinearGradient(
      weight: gradients.matrix(layer.intermediateWeight), bias: gradients.matrix(layer.intermediateBias)
    ).add(input: kept.normed.view, outputGradient: spare.intermediate.view)
    linear(layer.intermediateWeight, layer.intermediateBias)
      .inputGradient(spare.intermediate.view, into: gradient, adding: true)

    norm(layer.attentionNormWeight, layer.attentionNormBias).backward(
      kept.attended.view, statistics: kept.attendedStatistics.view, outputGradient: gradient.view,
      into: gradient, weightGradient: gradients.matrix(layer.attentionNormWeight),
      biasGradient: gradients.matrix(layer.attentionNormBias))
    LinearGradient(
      weight: gradients.matrix(layer.attentionOutputWeight), bias: gradients.matrix(layer.attentionOutputBias)
    ).add(input: kept.context.view, outputGradient: gradient.view)
    linear(layer.attentionOutputWeight, layer.attentionOutputBias)
      .inputGradient(gradient.view, into: spare.attended)
    let (qkv, dqkv) = (kept.queryKeyValue.view, spare.queryKeyValue)
    attentionBackward(
      query: qkv.columns(0..<h), key: qkv.columns(h..<2 * h), value: qkv.columns(2 * h..<3 * h),
      outputGradient: spare.attended.view, offsets: offsets, shape: attentionShape,
      queryGradient: dqkv.columns(0..<h), keyGradient: dqkv.columns(h..<2 * h),
      valueGradient: dqkv.columns(2 * h..<3 * h), arena: arena)
    LinearGradient(
      weight: gradients.matrix(layer.queryKeyValueWeight), bias: gradients.matrix(layer.queryKeyValueBias)
    ).add(input: kept.input.view, outputGradient: dqkv.view)
    linear(layer.queryKeyValueWeight, layer.queryKeyValueBias)
      .inputGradient(dqkv.view, into: gradient, adding: true)
  }

  private func embeddingsBackward(
    _ kept: EncoderActivations, _ gradient: MatrixView, gradients: ParameterBuffer
  ) {
    Embedding.backward(
      kept.batch.ids, outputGradient: gradient, tableGradient: gradients.matrix(layout.wordEmbeddings))
    Embedding.backward(
      kept.positions, outputGradient: gradient, tableGradient: gradients.matrix(layout.positionEmbeddings))
    addColumnSums(of: gradient, to: gradients.matrix(layout.typeEmbeddings).rows(0..<1))
  }
}
