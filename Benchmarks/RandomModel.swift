import Formats
import Foundation
import TensorKernels

/// A model of random weights in Hugging Face layout: speed and memory depend on shapes alone, so a benchmark needs no
/// download, and peers read the same files.
struct RandomModel {
  let configuration: JSONValue
  /// Name, shape and scale of each tensor; scale 0 means ones.
  private let tensors: [(name: String, shape: [Int], scale: Float)]
  private let storesBF16: Bool

  static let shapes = [
    "llama-260k", "llama-288", "llama-512", "smollm2-135m", "tinyllama-1.1b", "gpt2-124m",
  ]

  init(shape: String) throws {
    switch shape {
    case "llama-260k": self.init(llama: 64, 5, (8, 4), 172, 512, tied: true)
    case "llama-288": self.init(llama: 288, 6, (6, 6), 768, 32000, tied: false)
    case "llama-512": self.init(llama: 512, 8, (8, 8), 1376, 32000, tied: false)
    case "smollm2-135m": self.init(llama: 576, 30, (9, 3), 1536, 49152, tied: true)
    case "tinyllama-1.1b": self.init(llama: 2048, 22, (32, 4), 5632, 32000, tied: false, bf16: true)
    case "gpt2-124m": self.init(gpt2: 768, 12, 12, 50257)
    default: throw Refusal("--shape '\(shape)': choose one of \(Self.shapes.joined(separator: ", "))")
    }
  }

  private init(
    llama width: Int, _ layers: Int, _ heads: (query: Int, keyValue: Int), _ feedForward: Int,
    _ vocabulary: Int, tied: Bool, bf16: Bool = false
  ) {
    configuration = [
      "model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_size": JSONValue(width),
      "intermediate_size": JSONValue(feedForward), "num_hidden_layers": JSONValue(layers),
      "num_attention_heads": JSONValue(heads.query), "num_key_value_heads": JSONValue(heads.keyValue),
      "vocab_size": JSONValue(vocabulary), "max_position_embeddings": 8192, "rms_norm_eps": 1e-5,
      "rope_theta": 10000, "hidden_act": "silu", "tie_word_embeddings": .bool(tied),
      "torch_dtype": bf16 ? "bfloat16" : "float32",
    ]
    let shared = width / heads.query * heads.keyValue
    var tensors = [("model.embed_tokens.weight", [vocabulary, width], Float(0.02))]
    for layer in 0..<layers {
      let shapes = [
        ("self_attn.q_proj", [width, width]), ("self_attn.k_proj", [shared, width]),
        ("self_attn.v_proj", [shared, width]), ("self_attn.o_proj", [width, width]),
        ("mlp.gate_proj", [feedForward, width]), ("mlp.up_proj", [feedForward, width]),
        ("mlp.down_proj", [width, feedForward]), ("input_layernorm", [width]),
        ("post_attention_layernorm", [width]),
      ]
      tensors += shapes.map { ("model.layers.\(layer).\($0.0).weight", $0.1, $0.1.count == 1 ? 0 : 0.04) }
    }
    tensors.append(("model.norm.weight", [width], 0))
    if !tied { tensors.append(("lm_head.weight", [vocabulary, width], 0.02)) }
    self.tensors = tensors
    storesBF16 = bf16
  }

  private init(gpt2 width: Int, _ layers: Int, _ heads: Int, _ vocabulary: Int) {
    configuration = [
      "model_type": "gpt2", "architectures": ["GPT2LMHeadModel"], "n_embd": JSONValue(width),
      "n_layer": JSONValue(layers), "n_head": JSONValue(heads), "n_positions": 1024, "n_ctx": 1024,
      "vocab_size": JSONValue(vocabulary), "layer_norm_epsilon": 1e-5, "activation_function": "gelu_new",
      "torch_dtype": "float32",
    ]
    var tensors = [
      ("transformer.wte.weight", [vocabulary, width], Float(0.02)),
      ("transformer.wpe.weight", [1024, width], 0.02),
    ]
    for layer in 0..<layers {
      let shapes = [
        ("ln_1.weight", [width]), ("ln_1.bias", [width]), ("attn.c_attn.weight", [width, 3 * width]),
        ("attn.c_attn.bias", [3 * width]), ("attn.c_proj.weight", [width, width]),
        ("attn.c_proj.bias", [width]), ("ln_2.weight", [width]), ("ln_2.bias", [width]),
        ("mlp.c_fc.weight", [width, 4 * width]), ("mlp.c_fc.bias", [4 * width]),
        ("mlp.c_proj.weight", [4 * width, width]), ("mlp.c_proj.bias", [width]),
      ]
      tensors += shapes.map {
        ("transformer.h.\(layer).\($0.0)", $0.1, $0.0.hasPrefix("ln_") && $0.0.hasSuffix("weight") ? 0 : 0.03)
      }
    }
    tensors += [("transformer.ln_f.weight", [width], 0), ("transformer.ln_f.bias", [width], 0.03)]
    self.tensors = tensors
    storesBF16 = false
  }

  /// Writes config.json, model.safetensors and, where given, a copy of a tokenizer.json.
  func write(to directory: String, tokenizer: String?) throws {
    try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
    try Data(configuration.serialized()).write(to: URL(filePath: "\(directory)/config.json"))
    if let tokenizer {
      try Data(contentsOf: URL(filePath: tokenizer)).write(to: URL(filePath: "\(directory)/tokenizer.json"))
    }
    let path = "\(directory)/model.safetensors"
    try header.write(to: URL(filePath: path))
    let file = try FileHandle(forWritingTo: URL(filePath: path))
    try file.seekToEnd()
    var generator = SeededGenerator(seed: 1)
    for tensor in tensors {
      var left = tensor.shape.reduce(1, *)
      while left > 0 {
        let count = min(left, 1 << 22)
        try file.write(contentsOf: numbers(count, scale: tensor.scale, &generator))
        left -= count
      }
    }
    try file.close()
  }

  private var header: Data {
    let size = storesBF16 ? 2 : 4
    var start = 0
    let entries = tensors.map { tensor in
      let end = start + size * tensor.shape.reduce(1, *)
      defer { start = end }
      let shape = tensor.shape.map(String.init).joined(separator: ",")
      return
        "\"\(tensor.name)\":{\"dtype\":\"\(storesBF16 ? "BF16" : "F32")\",\"shape\":[\(shape)],\"data_offsets\":[\(start),\(end)]}"
    }
    var text = "{" + entries.joined(separator: ",") + "}"
    text += String(repeating: " ", count: (8 - text.utf8.count % 8) % 8)
    return withUnsafeBytes(of: UInt64(text.utf8.count).littleEndian) { Data($0) } + Data(text.utf8)
  }

  /// Uniform numbers of the given standard deviation.
  private func numbers(_ count: Int, scale: Float, _ generator: inout SeededGenerator) -> Data {
    let values = (0..<count).map { _ -> Float in
      scale == 0 ? 1 : (Float(generator.next() >> 40) / Float(1 << 24) - 0.5) * 3.4641 * scale
    }
    return storesBF16
      ? values.map(HalfPrecision.bf16).withUnsafeBytes { Data($0) } : values.withUnsafeBytes { Data($0) }
  }
}
