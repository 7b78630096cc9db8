import Formats
import TensorKernels

/// The first blocks of a model as an encoder of text: what they make of each position, and how they are kept.
extension Llama {
  /// The model without its later blocks, with none its embeddings alone. Its head and final norm stay, so that it is a
  /// model of the family still.
  package func first(_ count: Int) -> Llama {
    precondition((0...blocks.count).contains(count), "first \(count) of \(blocks.count) blocks")
    var shorter = self
    shorter.blocks = Array(blocks.prefix(count))
    shorter.linearLayers = Array(linearLayers.prefix(count * Part.allCases.count))
    shorter.configuration.layers = count
    return shorter
  }

  /// The states after the last block, before the final norm: T x d, valid until the workspace's next pass.
  package func hiddenStates(of batch: TokenBatch, workspace: Workspace) -> MatrixView {
    workspace.arena.reset(capacity: arenaSize(batch, keepsActivations: false))
    return runBlocks(batch, arena: workspace.arena, keepsActivations: false).x.view
  }

  /// Writes config.json and model.safetensors (BF16: rounded, where weights were f32) as transformers reads them, the
  /// head tied to the embeddings, which is all a model needs that is asked for its hidden states alone.
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
    tensors.append(("model.norm.weight", [finalNorm.columns], finalNorm.values))
    try SafetensorsWriter.write(
      to: folder + "/model.safetensors", tensors: tensors, metadata: [(key: "format", value: "pt")],
      asBF16: true)
    try OutputFile.write(
      configuration.json.serialized(pretty: true) + [UInt8(ascii: "\n")], to: folder + "/config.json")
  }
}

extension LlamaConfiguration {
  /// config.json of a model whose head is tied to its embeddings.
  fileprivate var json: JSONValue {
    [
      "architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": JSONValue(vocabularySize),
      "hidden_size": JSONValue(hiddenSize), "intermediate_size": JSONValue(intermediateSize),
      "num_hidden_layers": JSONValue(layers), "num_attention_heads": JSONValue(heads),
      "num_key_value_heads": JSONValue(keyValueHeads), "head_dim": JSONValue(headWidth),
      "max_position_embeddings": JSONValue(contextLength), "rms_norm_eps": JSONValue(Double(normEpsilon)),
      "rope_theta": JSONValue(ropeTheta), "hidden_act": "silu", "attention_bias": false, "mlp_bias": false,
      "tie_word_embeddings": true, "torch_dtype": "bfloat16",
    ]
  }
}
