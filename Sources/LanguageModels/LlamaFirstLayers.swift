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
    shorter.linearLayers = Array(linearLayers.prefix(count * Part.allCases.count))
    shorter.configuration.layers = count
    if count < blocks.count {
      shorter.head = embedding
      shorter.configuration.tiesEmbeddings = true
    }
    return shorter
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
      hiddenGradient: errors, arena: arena, precision: precision)
    return PredictedStates(
      states: states.view, lastStates: normed.view.selecting(predictions.map(\.row)),
      errors: errors.view.selecting(predictions.map(\.row)), losses: losses,
      counts: (0..<batch.count).map { sample in batch.rows(of: sample).count { batch.isScored[$0] } })
  }

  /// Writes config.json and model.safetensors (BF16: rounded, where weights were f32) as transformers reads them.
  package func saveAsEncoder(to folder: String) throws {
    var tensors = [("model.embed_tokens.weight", [embedding.rows, embedding.columns], embedding.f32.values)]
    for (index, block) in blocks.enumerated() {
      let prefix = "model.layers.\(index)."
      tensors.append((prefix + "input_layernorm.weight", [block.inputNorm.columns], block.inputNorm.values))
      tensors.append(
        (
          prefix + "post_attention_layernorm.weight", [block.postAttentionNorm.columns],
          block.postAttentionNorm.values
        ))
      for part in Part.allCases {
        let weight = block[part].weight
        tensors.append(("\(prefix)\(part.name).weight", [weight.rows, weight.columns], weight.f32.values))
      }
    }
    if !configuration.tiesEmbeddings {
      tensors.append(("lm_head.weight", [head.rows, head.columns], head.f32.values))
    }
    tensors.append(("model.norm.weight", [finalNorm.columns], finalNorm.values))
    try SafetensorsWriter.write(
      to: folder + "/model.safetensors", tensors: tensors, metadata: [(key: "format", value: "pt")],
      asBF16: true)
    try OutputFile.write(
      configuration.json.serialized(pretty: true) + [UInt8(ascii: "\n")], to: folder + "/config.json")
  }
}

extension LlamaConfiguration {
  /// config.json.
  fileprivate var json: JSONValue {
    [
      "architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": JSONValue(vocabularySize),
      "hidden_size": JSONValue(hiddenSize), "intermediate_size": JSONValue(intermediateSize),
      "num_hidden_layers": JSONValue(layers), "num_attention_heads": JSONValue(heads),
      "num_key_value_heads": JSONValue(keyValueHeads), "head_dim": JSONValue(headWidth),
      "max_position_embeddings": JSONValue(contextLength), "rms_norm_eps": JSONValue(Double(normEpsilon)),
      "rope_theta": JSONValue(ropeTheta), "hidden_act": "silu", "attention_bias": false, "mlp_bias": false,
      "tie_word_embeddings": JSONValue(tiesEmbeddings), "torch_dtype": "bfloat16",
    ]
  }
}
