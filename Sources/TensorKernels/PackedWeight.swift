import CKernels

/// A weight W (outputs x inputs) laid out once as products read it, so that a batch need not. Immutable, shared by all workers; for
/// the instruction set that was chosen when the program started.
package final class PackedWeight: @unchecked Sendable {
  /// What its numbers, and those that it is multiplied with, are rounded to.
  package enum Numbers: Sendable {
    case f32
    case bf16
    /// Row by row, of x and of W, with a scale each: `w = scale q`, q rounded to nearest from `127 w / largest |w| of the row`. A row
    /// whose largest number is too small to have a scale counts as zeros. Sums are exact, so every instruction set gives the same
    /// product.
    case int8

    fileprivate var code: Int32 {
      switch self {
      case .f32: Int32(CK_F32)
      case .bf16: Int32(CK_BF16)
      case .int8: Int32(CK_INT8)
      }
    }
  }

  package let outputs: Int
  package let inputs: Int
  package let numbers: Numbers
  private let packed: UnsafeMutableRawPointer

  package init(_ weight: WeightMatrix, as numbers: Numbers) {
    (outputs, inputs, self.numbers) = (weight.rows, weight.columns, numbers)
    precondition(
      outputs > 0 && inputs > 0 && (numbers != .int8 || inputs <= 131_072),
      "PackedWeight: \(outputs) x \(inputs)")
    let bytes = ck_packed_bytes(numbers.code, outputs, inputs)
    packed = allocateAligned(bytes)
    ck_pack_weight(numbers.code, outputs, inputs, weight.factor(.yes), packed)
  }

  deinit { packed.deallocate() }

  /// What kernels take: the code of the numbers, and the packed weight.
  package func withKernelArguments(_ body: (Int32, UnsafeRawPointer) -> Void) {
    withExtendedLifetime(self) { body(numbers.code, packed) }
  }

  /// `y = x W^T + beta y`, then `finish`; x: m x inputs, y: m x outputs. In f32 and bf16 the bits of `gemm`.
  package func product(_ x: MatrixView, into y: Matrix, beta: Float = 0, finish: ProductFinish = .init()) {
    precondition(
      x.columns == inputs && y.columns == outputs && x.rows == y.rows,
      "PackedWeight: \(x.rows) x \(x.columns) times \(inputs) x \(outputs) into \(y.rows) x \(y.columns)")
    finish.withKernelArgument(for: y) {
      ck_linear(
        numbers.code, x.rows, outputs, inputs, x.pointer, x.stride, packed, beta, $0, y.pointer, y.stride)
    }
  }
}

/// Whether this machine has instructions for int8 products; elsewhere they are as exact, and slow.
package var multipliesInt8: Bool { ck_multiplies_int8() == 1 }

/// What is done to a product y while it is in the cache: `y = residual + act(y + bias)`.
package struct ProductFinish {
  /// 1 x columns of y.
  package var bias: MatrixView?
  /// Whether act is GELU, as `gelu`; else it is the identity.
  package var isGELU: Bool
  /// As large as y, and other memory.
  package var residual: MatrixView?

  package init(bias: MatrixView? = nil, isGELU: Bool = false, residual: MatrixView? = nil) {
    (self.bias, self.isGELU, self.residual) = (bias, isGELU, residual)
  }

  func withKernelArgument(for y: Matrix, _ body: (UnsafePointer<ck_finish>?) -> Void) {
    guard bias != nil || isGELU || residual != nil else { return body(nil) }
    precondition(
      bias.map { $0.rows == 1 && $0.columns == y.columns } ?? true,
      "ProductFinish: a bias of \(bias?.columns ?? 0) for \(y.columns) columns")
    precondition(
      residual.map { $0.rows == y.rows && $0.columns == y.columns && $0.pointer != UnsafePointer(y.pointer) }
        ?? true, "ProductFinish: a residual for \(y.rows) x \(y.columns)")
    var finish = ck_finish(
      bias: bias?.pointer, residual: residual?.pointer, residual_stride: residual?.stride ?? 0,
      gelu: isGELU ? 1 : 0)
    withExtendedLifetime((bias, residual)) { body(&finish) }
  }
}
