import TensorKernels

/// How a valuator's network multiplies. It belongs to the valuator, so that a text has one score on every machine.
package enum ValuatorPrecision: String, Sendable, CaseIterable {
  case f32
  /// Factors of products are rounded to bf16.
  case bf16
  /// Weights of linear layers and what they are multiplied with are rounded to int8, attention's products to bf16.
  case int8

  /// Of products between activations, and of all that is no linear layer of a text encoder.
  package var products: Precision { self == .f32 ? .f32 : .bf16 }

  /// Of a text encoder's linear layers.
  var packedNumbers: PackedWeight.Numbers {
    switch self {
    case .f32: .f32
    case .bf16: .bf16
    case .int8: .int8
    }
  }

  /// How it is computed on this machine, for people.
  package var path: String {
    switch self {
    case .f32, .bf16: products.path
    case .int8 where multipliesInt8: "int8 with exact sums, \(vectorInstructionSet) kernels"
    case .int8: "int8 by plain loops (\(vectorInstructionSet) kernels): the same scores, slower than f32"
    }
  }

  /// What to know where this machine has no instructions for it; nil where it has.
  package var slowness: String? {
    guard self == .int8, !multipliesInt8 else { return nil }
    return """
      this processor has no instructions for int8 (\(vectorInstructionSet) kernels): the scores are those of every other \
      machine but for rounding, and come some three times as slowly as in f32. Score on one with AVX-512 VNNI or AMX, or give \
      the valuator another precision (`alinfik quantize --precision f32`), whose scores differ a little
      """
  }

  package static var names: String { allCases.map(\.rawValue).joined(separator: ", ") }
}
