import Formats
import Layers
import TensorKernels

/// What a model makes of a batch: T positions, P predictions, sequence after sequence.
package struct PredictedStates {
  /// T x d, after two thirds of the blocks.
  package let states: MatrixView
  /// P x d: the normed last state that each prediction is made from.
  package let lastStates: MatrixView
  /// P x d: the loss's gradient at it, `W^T (softmax(W h) - onehot)`.
  package let errors: MatrixView
  package let losses: [Double]
  /// Of each sequence.
  let counts: [Int]

  /// The predictions of a sequence.
  package func rows(of sequence: Int) -> Range<Int> {
    let start = counts[..<sequence].reduce(0, +)
    return start..<start + counts[sequence]
  }
}

/// The first blocks of a model as an encoder of text: what they make of each position, and how they are kept.
extension Llama {
  /// The model without its later blocks, with none its embeddings alone; it is a model of the family still. What is cut has
  /// no use for a head of its own: it is tied to the embeddings.
  package func first(_ count: Int) -> Llama {
    precondition((0...blocks.count).contains(count), "first \(count) of \(blocks.count) blocks")
    var shorter = self
    shorter.blocks = Array(blocks.prefix(count))
    shorter.linearLayers = Array(linearLayers.prefix(count * layout.layers.count))
    shorter.configuration.keepFirst(count)
    if count < blocks.count {
      shorter.head = embedding
      shorter.configuration.tiesEmbeddings = true
    }
    return shorter
  }

  /// The sum of some tokens' embeddings, as the first block would get them, in their order: 1 x d.
  package func sumEmbeddings(_ tokens: ArraySlice<Int>, into sum: Matrix) {
    embedding.sumRows(tokens, into: sum)
    if let factor = configuration.embeddingScale { scale(sum, by: factor) }
  }

  /// The states after the last block, before the final norm: T x d, valid until the workspace's next pass.
  package func hiddenStates(of batch: TokenBatch, workspace: Workspace) -> MatrixView {
    workspace.arena.reset(capacity: arenaSize(batch, keepsActivations: false))
    return runBlocks(batch, arena: workspace.arena, keepsActivations: false).x.view
  }

  /// What the whole model makes of a batch and of the tokens it is to predict, without a gradient of any weight. Valid until
  /// the workspace's next pass.
  package func predictions(of batch: TokenBatch, workspace: Workspace) -> PredictedStates {
    let arena = workspace.arena
    let (tokens, d) = (batch.tokenCount, configuration.hiddenSize)
    arena.reset(capacity: arenaSize(batch, keepsActivations: false) + 4 * (tokens * d + 16))
    let states = arena.matrix(tokens, d)
    let tapped = max(0, 2 * configuration.layers / 3 - 1)
    let (x, _) = runBlocks(batch, arena: arena, keepsActivations: false) { block, x in
      if block == tapped { states.copy(x.view) }
    }
    let normed = arena.matrix(tokens, d)
    norm(x, finalNorm, into: normed, inverseRMS: arena.matrix(1, tokens))
    // Each by itself: a sample of one prediction.
    let predictions = batch.predictions.enumerated().map { index, prediction in
      PredictedToken(row: prediction.row, token: prediction.token, sample: index, weight: 1)
    }
    let errors = arena.matrix(tokens, d)
    let losses = headCrossEntropy(
      hidden: normed.view, head: head, predictions: predictions, samples: predictions.count,
      hiddenGradient: errors, softCap: configuration.logitSoftCap, arena: arena, precision: precision)
    return PredictedStates(
      states: states.view, lastStates: normed.view.selecting(predictions.map(\.row)),
      errors: errors.view.selecting(predictions.map(\.row)), losses: losses,
      counts: (0..<batch.count).map { sample in batch.rows(of: sample).count { batch.isScored[$0] } })
  }

  /// Writes config.json and model.safetensors (BF16: rounded, where weights were f32) as transformers reads them.
  package func saveAsEncoder(to folder: String) throws {
    var tensors: [(name: String, shape: [Int], values: [Float])] = []
    func add(_ name: String, _ weight: WeightMatrix) {
      tensors.append((name + ".weight", [weight.rows, weight.columns], weight.f32.values))
    }
    func add(_ name: String, _ norm: RMSNormWeight?) {
      if let norm { tensors.append((name + ".weight", [norm.stored.columns], norm.stored.values)) }
    }
    add("model.embed_tokens", embedding)
    for (index, block) in blocks.enumerated() {
      let (prefix, names) = ("model.layers.\(index).", configuration.family.normNames)
      add(prefix + "input_layernorm", block.inputNorm)
      add(prefix + "self_attn.q_norm", block.queryNorm)
      add(prefix + "self_attn.k_norm", block.keyNorm)
      add(prefix + (names.attended ?? ""), block.attendedNorm)
      add(prefix + names.feedForward, block.feedForwardNorm)
      add(prefix + (names.fedForward ?? ""), block.fedForwardNorm)
      for (layer, linear) in zip(layout.layers, block.linears) {
        add(prefix + layer.name, linear.weight)
        if let bias = linear.bias {
          tensors.append((prefix + layer.name + ".bias", [bias.columns], bias.values))
        }
      }
    }
    if !configuration.tiesEmbeddings { add("lm_head", head) }
    add("model.norm", finalNorm)
    try SafetensorsWriter.write(
      to: folder + "/model.safetensors", tensors: tensors, metadata: [(key: "format", value: "pt")],
      asBF16: true)
    try OutputFile.write(
      configuration.json.serialized(pretty: true) + [UInt8(ascii: "\n")], to: folder + "/config.json")
  }
}
