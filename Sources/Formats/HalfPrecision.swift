/// IEEE half precision and bfloat16 by bit arithmetic, branch-free so that loops over arrays vectorise on any
/// x86-64.
package enum HalfPrecision {
  /// The float of the same value as an f16; exact, NaN payloads kept.
  @inlinable
  package static func float(f16 half: UInt16) -> Float {
    let exponentMask: UInt32 = 0x7C00 << 13
    let magnitude = UInt32(half & 0x7FFF) << 13
    let exponent = magnitude & exponentMask
    // The exponent's bias goes from 15 to 127; for infinity and NaN all ones must stay all ones.
    let normal = magnitude &+ (112 << 23) &+ (exponent == exponentMask ? 112 << 23 : 0)
    // A subnormal is normalised by the subtraction: 2^-14 (1 + m) - 2^-14.
    let subnormal = (Float(bitPattern: magnitude &+ (113 << 23)) - Float(bitPattern: 113 << 23)).bitPattern
    return Float(bitPattern: (exponent == 0 ? subnormal : normal) | UInt32(half & 0x8000) << 16)
  }

  /// The nearest f16, ties to even; what is too large becomes infinity, NaN a quiet NaN.
  @inlinable
  package static func f16(_ value: Float) -> UInt16 {
    let bits = value.bitPattern
    let magnitude = bits & 0x7FFF_FFFF
    // Adding 0.5 puts the unit of a subnormal f16 (2^-24) at the last bit, and the addition rounds to even.
    let subnormal = (Float(bitPattern: magnitude) + 0.5).bitPattern &- 0x3F00_0000
    let odd = magnitude >> 13 & 1
    let normal = (magnitude &- (112 << 23) &+ 0xFFF &+ odd) >> 13
    let special: UInt32 = magnitude > 0x7F80_0000 ? 0x7E00 : 0x7C00
    let finite = magnitude < 113 << 23 ? subnormal : normal
    let result = magnitude >= 143 << 23 ? special : finite
    return UInt16(truncatingIfNeeded: result) | UInt16(truncatingIfNeeded: bits >> 16) & 0x8000
  }

  /// The float of the same value as a bfloat16; exact.
  @inlinable
  package static func float(bf16: UInt16) -> Float { Float(bitPattern: UInt32(bf16) << 16) }

  /// The nearest bfloat16, ties to even; NaN stays NaN.
  @inlinable
  package static func bf16(_ value: Float) -> UInt16 {
    let bits = value.bitPattern
    let rounded = (bits &+ 0x7FFF &+ (bits >> 16 & 1)) >> 16
    return UInt16(truncatingIfNeeded: value.isNaN ? bits >> 16 | 0x40 : rounded)
  }

  /// Rounds an array to f16.
  package static func f16(_ values: [Float]) -> [UInt16] {
    values.withUnsafeBufferPointer { source in
      [UInt16](unsafeUninitializedCapacity: source.count) { result, count in
        for index in 0..<source.count { result[index] = f16(source[index]) }
        count = source.count
      }
    }
  }

  /// Widens an array of f16.
  package static func floats(f16 values: [UInt16]) -> [Float] {
    values.withUnsafeBufferPointer { source in
      [Float](unsafeUninitializedCapacity: source.count) { result, count in
        for index in 0..<source.count { result[index] = float(f16: source[index]) }
        count = source.count
      }
    }
  }
}
