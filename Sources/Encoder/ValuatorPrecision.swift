import TensorKernels

/// How a valuator's network multiplies. It belongs to the valuator, so that a text has one score on every machine.
package enum ValuatorPrecision: String, Sendable, CaseIterable {
  case f32
  /// Factors of products are rounded to bf16.
  case bf16
  /// Weights of linear layers and what they are multiplied with are rounded to int8, attention's products to bf16.
  case int8

  /// Of products between activations, and of all that is no linear layer of a text encoder.
  var products: Precision { self == .f32 ? .f32 : .bf16 }

  /// How it is computed on this machine, for people.
  package var path: String {
    switch self {
    case .f32, .bf16: products.path
    case .int8 where multipliesInt8: "int8 with exact sums, \(vectorInstructionSet) kernels"
    case .int8: "int8 by plain loops (\(vectorInstructionSet) kernels): the same scores, many times slower"
    }
  }

  package static var names: String { allCases.map(\.rawValue).joined(separator: ", ") }
}
