extension TensorFile {
  /// Writes the numbers of a tensor of this file as floats, in row-major order.
  ///
  /// F32, F16, BF16, Q8_0, Q4_0 and Q4_1 are known, another type is an error; `output` must have room for
  /// exactly the tensor's elements.
  package func decodeFloats(
    of tensor: TensorInfo, into output: UnsafeMutableBufferPointer<Float>
  ) throws(FormatError) {
    try supported(tensor)
    decode(tensor, into: output)
  }

  /// Throws where `decode` does not know the type.
  func supported(_ tensor: TensorInfo) throws(FormatError) {
    switch tensor.type {
    case .f32, .f16, .bf16, .q80, .q40, .q41: return
    default:
      throw .malformed(
        place: path,
        reason: "the tensor '\(tensor.name)' is \(tensor.type.rawValue), floating-point numbers are expected")
    }
  }

  func decode(_ tensor: TensorInfo, into output: UnsafeMutableBufferPointer<Float>) {
    precondition(
      output.count == tensor.elementCount,
      "decode '\(tensor.name)': shape \(tensor.shape), room for \(output.count)")
    guard output.count > 0, let base = output.baseAddress else { return }
    let source = bytes(of: tensor)
    switch tensor.type {
    case .f32: UnsafeMutableRawBufferPointer(output).copyMemory(from: source)
    case .f16: Dequantization.widen(source, base, output.count) { HalfPrecision.float(f16: $0) }
    case .bf16: Dequantization.widen(source, base, output.count) { HalfPrecision.float(bf16: $0) }
    case .q80: Dequantization.q80(source, base)
    case .q40: Dequantization.q4(source, base, hasMinimum: false)
    case .q41: Dequantization.q4(source, base, hasMinimum: true)
    default: preconditionFailure("decode '\(tensor.name)': \(tensor.type.rawValue) is no float type")
    }
  }
}

/// Loops from stored blocks to floats. Numbers in the file are little-endian and may lie at any address.
enum Dequantization {
  private static func load<Number: FixedWidthInteger & BitwiseCopyable>(
    _ source: UnsafeRawPointer, _ offset: Int, _: Number.Type
  ) -> Number {
    Number(littleEndian: source.loadUnaligned(fromByteOffset: offset, as: Number.self))
  }

  @inline(__always)
  static func widen(
    _ source: UnsafeRawBufferPointer, _ output: UnsafeMutablePointer<Float>, _ count: Int,
    _ convert: (UInt16) -> Float
  ) {
    guard let base = source.baseAddress else { return }
    for index in 0..<count { output[index] = convert(load(base, 2 * index, UInt16.self)) }
  }

  /// 34 bytes a block: d (f16), 32 signed bytes q. x = d q.
  static func q80(_ source: UnsafeRawBufferPointer, _ output: UnsafeMutablePointer<Float>) {
    guard var block = source.baseAddress else { return }
    var target = output
    for _ in 0..<source.count / 34 {
      let scale = HalfPrecision.float(f16: load(block, 0, UInt16.self))
      for index in 0..<32 { target[index] = scale * Float(load(block, 2 + index, Int8.self)) }
      block += 34
      target += 32
    }
  }

  /// 18 or 20 bytes a block: d (f16), with a minimum m (f16), 16 bytes q; the low nibbles are the first 16
  /// numbers, the high ones the others. x = d q + m, or without a minimum x = d (q - 8).
  static func q4(
    _ source: UnsafeRawBufferPointer, _ output: UnsafeMutablePointer<Float>, hasMinimum: Bool
  ) {
    guard var block = source.baseAddress else { return }
    let header = hasMinimum ? 4 : 2
    var target = output
    for _ in 0..<source.count / (header + 16) {
      let scale = HalfPrecision.float(f16: load(block, 0, UInt16.self))
      let minimum = hasMinimum ? HalfPrecision.float(f16: load(block, 2, UInt16.self)) : 0
      let zero: Int32 = hasMinimum ? 0 : 8
      for index in 0..<16 {
        let byte = Int32(load(block, header + index, UInt8.self))
        target[index] = scale * Float((byte & 15) - zero) + minimum
        target[16 + index] = scale * Float((byte >> 4) - zero) + minimum
      }
      block += header + 16
      target += 32
    }
  }
}
