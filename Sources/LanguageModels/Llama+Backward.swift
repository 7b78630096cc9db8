import Layers
import TensorKernels

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
    let others = observer.otherGradients
    let headGradient = others.map { _ in Matrix(rows: head.rows, columns: head.columns) }
    let losses = headCrossEntropy(
      hidden: normed.view, head: head, predictions: batch.predictions, samples: batch.count,
      hiddenGradient: dnormed, headGradient: headGradient, softCap: configuration.logitSoftCap, arena: arena,
      precision: precision)
    let dx = arena.matrix(x.rows, x.columns)
    dx.fill(0)
    rmsNormBackward(
      x.view, weight: finalNorm.weight, inverseRMS: inverseRMS.view, outputGradient: dnormed.view,
      addingTo: dx)
    others?.add("model.norm.weight") { sum in
      rmsNormWeightGradient(
        x.view, inverseRMS: inverseRMS.view, outputGradient: dnormed.view, addingTo: sum)
    }
    let angles = rotary.map { $0.angles(positions: batch.longest) }
    for index in blocks.indices.reversed() {
      let mark = arena.mark
      let normed = arena.matrix(dx.rows, dx.columns)
      let observe = { (place: Int, input: Matrix, gradient: Matrix) in
        observer.observe(
          layer: index * layout.layers.count + place, input: input.view, outputGradient: gradient.view,
          batch: batch)
      }
      backwardFeedForward(index, saved[index], dx, normed, arena, others, observe)
      backwardAttention(index, saved[index], dx, normed, batch, angles, arena, others, observe)
      arena.release(to: mark)
    }
    if let others, let headGradient { addEmbeddingGradients(batch, dx, headGradient, to: others) }
    return losses
  }

  /// dx, now the gradient of the embedded tokens, and the head's.
  private func addEmbeddingGradients(
    _ batch: TokenBatch, _ dx: Matrix, _ headGradient: Matrix, to others: any ParameterGradients
  ) {
    if let factor = configuration.embeddingScale { scale(dx, by: factor) }
    if !configuration.tiesEmbeddings {
      others.add("lm_head.weight") { TensorKernels.add(headGradient.view, to: $0) }
    }
    others.add("model.embed_tokens.weight") { sum in
      if configuration.tiesEmbeddings { TensorKernels.add(headGradient.view, to: sum) }
      Embedding.backward(batch.tokens.lazy.map(Int.init), outputGradient: dx.view, tableGradient: sum)
    }
  }

  /// Takes dx from a block's output to its middle, in place; `normed` is memory it may write.
  private func backwardFeedForward(
    _ index: Int, _ saved: Saved, _ dx: Matrix, _ normed: Matrix, _ arena: Arena,
    _ others: (any ParameterGradients)?, _ observe: (Int, Matrix, Matrix) -> Void
  ) {
    let block = blocks[index]
    let mark = arena.mark
    let (gate, up) = (saved.gateUp.parts[0], saved.gateUp.parts[1])
    let product = arena.matrix(dx.rows, configuration.intermediateSize)
    configuration.activation.multiply(gate: gate.view, up: up.view, into: product)
    let doutput = outputGradient(dx, block.fedForwardNorm, saved.fedForward, arena, others)
    observe(layout.down, product, doutput)
    block.linears[layout.down].inputGradient(doutput.view, into: product)
    configuration.activation.multiplyBackward(gate: gate, up: up, outputGradient: product.view)

    norm(saved.middle, block.feedForwardNorm, into: normed)
    backward(block, layout.gateUp, saved.gateUp, normed, isLast: false, observe)
    addNormBackward(saved.middle, block.feedForwardNorm, normed, to: dx, others)
    arena.release(to: mark)
  }

  /// Takes dx from a block's middle to its input, in place. Below the first block nothing is watched but by a training, so
  /// else the last products are left out there.
  private func backwardAttention(
    _ index: Int, _ saved: Saved, _ dx: Matrix, _ normed: Matrix, _ batch: TokenBatch,
    _ angles: [RotaryAngles], _ arena: Arena, _ others: (any ParameterGradients)?,
    _ observe: (Int, Matrix, Matrix) -> Void
  ) {
    let (c, block) = (configuration, blocks[index])
    let mark = arena.mark
    let doutput = outputGradient(dx, block.attendedNorm, saved.attendedOutput, arena, others)
    observe(layout.output, saved.attended, doutput)
    // Attended values are not needed past here: their memory takes their gradient.
    let dattended = saved.attended
    block.linears[layout.output].inputGradient(doutput.view, into: dattended)
    let gradients = Outputs(dx.rows, layout.layers[layout.queryKeyValue], c, arena)
    let (dquery, dkey) = (gradients.parts[0], gradients.parts[1])
    attentionBackward(
      query: saved.query.view, key: saved.key.view, value: saved.value.view, outputGradient: dattended.view,
      offsets: batch.offsets, shape: c.attention(block: index), queryGradient: dquery, keyGradient: dkey,
      valueGradient: gradients.parts[2], arena: arena)
    if let rotary = c.blockAttention[index].rotary {
      angles[rotary].rotateBack(dquery, offsets: batch.offsets)
      angles[rotary].rotateBack(dkey, offsets: batch.offsets)
    }
    normHeadsBackward(block, saved, gradients, arena, others)

    norm(saved.input, block.inputNorm, into: normed)
    let isLast = index == 0 && others == nil
    backward(block, layout.queryKeyValue, gradients, normed, isLast: isLast, observe)
    if !isLast { addNormBackward(saved.input, block.inputNorm, normed, to: dx, others) }
    arena.release(to: mark)
  }

  /// Layers that read the same `input` (T x d): shows each to the observer, then writes their input's gradient over
  /// it, unless nobody wants that any more.
  private func backward(
    _ block: Block, _ places: Range<Int>, _ gradients: Outputs, _ input: Matrix, isLast: Bool,
    _ observe: (Int, Matrix, Matrix) -> Void
  ) {
    for (place, gradient) in zip(places, gradients.layers).reversed() { observe(place, input, gradient) }
    if isLast { return }
    for (place, gradient) in zip(places, gradients.layers) {
      block.linears[place].inputGradient(gradient.view, into: input, adding: place != places.lowerBound)
    }
  }

  /// The gradient of what a layer puts out into the residual: dx itself, or what a norm between makes of it.
  private func outputGradient(
    _ dx: Matrix, _ weight: RMSNormWeight?, _ output: NormInput?, _ arena: Arena,
    _ others: (any ParameterGradients)?
  ) -> Matrix {
    guard let weight, let output else { return dx }
    let result = arena.matrix(dx.rows, dx.columns)
    result.fill(0)
    addNormBackward(output, weight, dx, to: result, others)
    return result
  }

  /// Takes the gradients of normed queries and keys to those of the layers' outputs, in place.
  private func normHeadsBackward(
    _ block: Block, _ saved: Saved, _ gradients: Outputs, _ arena: Arena, _ others: (any ParameterGradients)?
  ) {
    guard let heads = saved.normedHeads, let queryNorm = block.queryNorm, let keyNorm = block.keyNorm else {
      return
    }
    for (part, weight, normed) in [(0, queryNorm, heads.query), (1, keyNorm, heads.key)] {
      let mark = arena.mark
      let width = configuration.headWidth
      let gradient = gradients.parts[part].reshaped(columns: width)
      let upstream = arena.matrix(gradient.rows, width)
      let input = saved.queryKeyValue.parts[part].reshaped(columns: width).view
      upstream.copy(gradient.view)
      gradient.fill(0)
      rmsNormBackward(
        input, weight: weight.weight, inverseRMS: normed.inverseRMS.view, outputGradient: upstream.view,
        addingTo: gradient)
      others?.add(weight.name) {
        rmsNormWeightGradient(
          input, inverseRMS: normed.inverseRMS.view, outputGradient: upstream.view, addingTo: $0)
      }
      arena.release(to: mark)
    }
  }

  /// `dx +=` the input gradient of the norm whose output gradient is dy.
  private func addNormBackward(
    _ x: NormInput, _ weight: RMSNormWeight, _ dy: Matrix, to dx: Matrix, _ others: (any ParameterGradients)?
  ) {
    rmsNormBackward(
      x.value.view, weight: weight.weight, inverseRMS: x.inverseRMS.view, outputGradient: dy.view,
      addingTo: dx)
    others?.add(weight.name) {
      rmsNormWeightGradient(
        x.value.view, inverseRMS: x.inverseRMS.view, outputGradient: dy.view, addingTo: $0)
    }
  }
}
