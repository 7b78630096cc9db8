import Formats
import TensorKernels

/// Weights by their Hugging Face names.
package protocol WeightSource {
  /// The named tensor as a matrix (a vector is one row). Throws `ModelError` where it is missing, has another shape,
  /// or holds a value that is not finite.
  func matrix(_ name: String, rows: Int, columns: Int) throws -> MatrixView
  /// The same, left as the file holds it where that is bf16.
  func weight(_ name: String, rows: Int, columns: Int) throws -> WeightMatrix
  /// The file, for tensors that nobody asked for.
  var file: any TensorFile { get }
}

extension WeightSource {
  /// Throws where the file holds biases: a model that has them computes something else than is computed here.
  func refuseBiases() throws {
    if let bias = file.tensors.first(where: { $0.name.hasSuffix(".bias") }) {
      throw ModelError.tensor(file.path, bias.name, "is a bias, and models with biases are not supported")
    }
  }
}

extension WeightSource {
  /// Throws where the file has a further block: a configuration that claims fewer layers describes another model.
  ///
  /// `prefixes` is what the names of a block's tensors begin with, up to its index.
  func refuseBlock(_ index: Int, prefixes: [String] = ["model.layers.", "blk."]) throws {
    let names = prefixes.map { "\($0)\(index)." }
    if let tensor = file.tensors.first(where: { tensor in names.contains { tensor.name.hasPrefix($0) } }) {
      throw ModelError.tensor(
        file.path, tensor.name, "belongs to block \(index), but the configuration says \(index) layers")
    }
  }
}

/// The tensors of a safetensors file, used in place where they are F32 (weights: or BF16), else converted.
package struct SafetensorsWeights: WeightSource {
  package let file: any TensorFile

  package init(path: String) throws { file = try SafetensorsFile(path: path) }

  package func matrix(_ name: String, rows: Int, columns: Int) throws -> MatrixView {
    try file.matrix(name, rows: rows, columns: columns)
  }

  package func weight(_ name: String, rows: Int, columns: Int) throws -> WeightMatrix {
    try file.mappedWeight(name, rows: rows, columns: columns)
      ?? .f32(matrix(name, rows: rows, columns: columns))
  }
}

/// The tensors of a Llama GGUF file under their Hugging Face names.
package struct GGUFWeights: WeightSource {
  package let file: any TensorFile
  let configuration: LlamaConfiguration

  package func matrix(_ name: String, rows: Int, columns: Int) throws -> MatrixView {
    let matrix = try file.matrix(Self.tensorName(name), rows: rows, columns: columns)
    if name.hasSuffix("q_proj.weight") { return unpermuted(matrix, heads: configuration.heads) }
    if name.hasSuffix("k_proj.weight") { return unpermuted(matrix, heads: configuration.keyValueHeads) }
    return matrix
  }

  package func weight(_ name: String, rows: Int, columns: Int) throws -> WeightMatrix {
    .f32(try matrix(name, rows: rows, columns: columns))
  }

  /// `model.layers.3.mlp.up_proj.weight` -> `blk.3.ffn_up.weight`
  static func tensorName(_ name: String) -> String {
    switch name {
    case "model.embed_tokens.weight": return "token_embd.weight"
    case "model.norm.weight": return "output_norm.weight"
    case "lm_head.weight": return "output.weight"
    default: break
    }
    let parts = [
      "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm", "self_attn.q_proj": "attn_q",
      "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output",
      "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down",
    ]
    let pieces = name.split(separator: ".", maxSplits: 3)
    guard pieces.count == 4, let part = parts[String(pieces[3].dropLast(".weight".count))] else {
      return name
    }
    return "blk.\(pieces[2]).\(part).weight"
  }

  /// GGUF stores a head's query and key rows in rotary pairs (0, d/2, 1, d/2 + 1, ...); Hugging Face's rotary
  /// convention wants the first halves, then the second.
  private func unpermuted(_ stored: MatrixView, heads: Int) -> MatrixView {
    let width = stored.rows / heads
    let result = Matrix(rows: stored.rows, columns: stored.columns)
    for head in 0..<heads {
      for i in 0..<width {
        let source = head * width + 2 * (i % (width / 2)) + i / (width / 2)
        result.rows(head * width + i..<head * width + i + 1).copy(stored.rows(source..<source + 1))
      }
    }
    return result.view
  }
}

extension TensorFile {
  private func checked(_ name: String, rows: Int, columns: Int) throws -> TensorInfo {
    guard let tensor = tensor(named: name) else { throw ModelError.tensor(path, name, "is missing") }
    let expected = rows == 1 ? [[columns], [1, columns]] : [[rows, columns]]
    guard expected.contains(tensor.shape) else {
      throw ModelError.tensor(
        path, name, "has shape \(tensor.shape), the configuration asks for \(expected[0])")
    }
    return tensor
  }

  /// The mapped bytes themselves where they are BF16, else nil.
  fileprivate func mappedWeight(_ name: String, rows: Int, columns: Int) throws -> WeightMatrix? {
    let tensor = try checked(name, rows: rows, columns: columns)
    guard let numbers = mappedBFloat16(of: tensor) else { return nil }
    // All ones in the exponent: an infinity or NaN.
    guard numbers.allSatisfy({ $0 & 0x7f80 != 0x7f80 }) else {
      throw ModelError.tensor(path, name, "holds a NaN or an infinity")
    }
    return .bf16(BFloat16View(numbers, rows: rows, columns: columns, owner: self))
  }

  /// The mapped bytes themselves where they are F32, else the numbers converted to it.
  fileprivate func matrix(_ name: String, rows: Int, columns: Int) throws -> MatrixView {
    let tensor = try checked(name, rows: rows, columns: columns)
    let matrix: Matrix
    if let mapped = mappedFloats(of: tensor) {
      matrix = Matrix(
        storage: FloatStorage(readOnly: mapped, owner: self), offset: 0, rows: rows, columns: columns)
    } else {
      matrix = Matrix(rows: rows, columns: columns)
      try decodeFloats(
        of: tensor, into: UnsafeMutableBufferPointer(start: matrix.pointer, count: rows * columns))
    }
    guard allFinite(matrix.view) else { throw ModelError.tensor(path, name, "holds a NaN or an infinity") }
    return matrix.view
  }
}
