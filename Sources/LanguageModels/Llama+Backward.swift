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
    let losses = headCrossEntropy(
      hidden: normed.view, head: head, predictions: batch.predictions, samples: batch.count,
      hiddenGradient: dnormed, softCap: configuration.logitSoftCap, arena: arena, precision: precision)
    let dx = arena.matrix(x.rows, x.columns)
    dx.fill(0)
    rmsNormBackward(
      x.view, weight: finalNorm.weight, inverseRMS: inverseRMS.view, outputGradient: dnormed.view,
      addingTo: dx)
    let angles = rotary.map { $0.angles(positions: batch.longest) }
    for index in blocks.indices.reversed() {
      let mark = arena.mark
      let normed = arena.matrix(dx.rows, dx.columns)
      let observe = { (place: Int, input: Matrix, gradient: Matrix) in
        observer.observe(
          layer: index * layout.layers.count + place, input: input.view, outputGradient: gradient.view,
          batch: batch)
      }
      backwardFeedForward(blocks[index], saved[index], dx, normed, arena, observe)
      backwardAttention(index, saved[index], dx, normed, batch, angles, arena, observe)
      arena.release(to: mark)
    }
    return losses
  }

  /// Takes dx from a block's output to its middle, in place; `normed` is memory it may write.
  private func backwardFeedForward(
    _ block: Block, _ saved: Saved, _ dx: Matrix, _ normed: Matrix, _ arena: Arena,
    _ observe: (Int, Matrix, Matrix) -> Void
  ) {
    let mark = arena.mark
    let (gate, up) = (saved.gateUp.parts[0], saved.gateUp.parts[1])
    let product = arena.matrix(dx.rows, configuration.intermediateSize)
    configuration.activation.multiply(gate: gate.view, up: up.view, into: product)
    let doutput = outputGradient(dx, block.fedForwardNorm, saved.fedForward, arena)
    observe(layout.down, product, doutput)
    block.linears[layout.down].inputGradient(doutput.view, into: product)
    configuration.activation.multiplyBackward(gate: gate, up: up, outputGradient: product.view)

    norm(saved.middle, block.feedForwardNorm, into: normed)
    backward(block, layout.gateUp, saved.gateUp, normed, isLast: false, observe)
    addNormBackward(saved.middle, block.feedForwardNorm, normed, to: dx)
    arena.release(to: mark)
  }

  /// Takes dx from a block's middle to its input, in place. Below the first block nothing is watched, so there the
  /// last products are left out.
  private func backwardAttention(
    _ index: Int, _ saved: Saved, _ dx: Matrix, _ normed: Matrix, _ batch: TokenBatch,
    _ angles: [RotaryAngles], _ arena: Arena, _ observe: (Int, Matrix, Matrix) -> Void
  ) {
    let (c, block) = (configuration, blocks[index])
    let mark = arena.mark
    let doutput = outputGradient(dx, block.attendedNorm, saved.attendedOutput, arena)
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
    normHeadsBackward(block, saved, gradients, arena)

    norm(saved.input, block.inputNorm, into: normed)
    backward(block, layout.queryKeyValue, gradients, normed, isLast: index == 0, observe)
    if index > 0 { addNormBackward(saved.input, block.inputNorm, normed, to: dx) }
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
    _ dx: Matrix, _ weight: RMSNormWeight?, _ output: NormInput?, _ arena: Arena
  ) -> Matrix {
    guard let weight, let output else { return dx }
    let result = arena.matrix(dx.rows, dx.columns)
    result.fill(0)
    addNormBackward(output, weight, dx, to: result)
    return result
  }

  /// Takes the gradients of normed queries and keys to those of the layers' outputs, in place.
  private func normHeadsBackward(_ block: Block, _ saved: Saved, _ gradients: Outputs, _ arena: Arena) {
    guard let heads = saved.normedHeads, let queryNorm = block.queryNorm, let keyNorm = block.keyNorm else {
      return
    }
    for (part, weight, normed) in [(0, queryNorm, heads.query), (1, keyNorm, heads.key)] {
      let mark = arena.mark
      let width = configuration.headWidth
      let gradient = gradients.parts[part].reshaped(columns: width)
      let upstream = arena.matrix(gradient.rows, width)
      upstream.copy(gradient.view)
      gradient.fill(0)
      rmsNormBackward(
        saved.queryKeyValue.parts[part].reshaped(columns: width).view, weight: weight.weight,
        inverseRMS: normed.inverseRMS.view, outputGradient: upstream.view, addingTo: gradient)
      arena.release(to: mark)
    }
  }

  /// `dx +=` the input gradient of the norm whose output gradient is dy.
  private func addNormBackward(_ x: NormInput, _ weight: RMSNormWeight, _ dy: Matrix, to dx: Matrix) {
    rmsNormBackward(
      x.value.view, weight: weight.weight, inverseRMS: x.inverseRMS.view, outputGradient: dy.view,
      addingTo: dx)
  }
}
