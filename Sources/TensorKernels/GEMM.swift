import CKernels

/// How a factor of a product is read.
package enum Transpose {
  case no
  case yes
}

/// What the factors of a product are rounded to before they are multiplied; sums are always f32.
package enum Precision: String, Sendable, CaseIterable {
  case f32
  case bf16

  /// Whether this machine multiplies whole tiles of such factors, several times as fast as f32.
  package var multipliesTiles: Bool { self == .bf16 && ck_multiplies_tiles() == 1 }

  /// How products of this precision are computed on this machine, for people.
  package var path: String {
    switch self {
    case .f32: "f32, \(vectorInstructionSet) kernels"
    case .bf16 where ck_multiplies_bf16() == 1: "bf16 with f32 sums, \(vectorInstructionSet) kernels"
    case .bf16:
      "factors rounded to bf16 and multiplied in f32 (\(vectorInstructionSet) kernels): the labels of bf16 at the speed of f32"
    }
  }
}

/// General matrix product: `C = alpha op(A) op(B) + beta C`, with `op(A)`: m x k, `op(B)`: k x n, C: m x n.
///
/// Runs on the calling thread. An element's bits depend on k, its row of A and its column of B alone, so a row comes
/// out the same whatever stands above and below it. The kernel is ours (bodies/product.h in CKernels).
package func gemm(
  _ a: MatrixView, _ transposeA: Transpose, _ b: MatrixView, _ transposeB: Transpose = .no,
  into c: Matrix, alpha: Float = 1, beta: Float = 0, precision: Precision = .f32
) {
  gemm(a, transposeA, .f32(b), transposeB, into: c, alpha: alpha, beta: beta, precision: precision)
}

/// The same product with a weight as second factor, then `finish`; bf16 weights are widened as they are read.
package func gemm(
  _ a: MatrixView, _ transposeA: Transpose, _ b: WeightMatrix, _ transposeB: Transpose = .no,
  into c: Matrix, alpha: Float = 1, beta: Float = 0, precision: Precision = .f32,
  finish: ProductFinish = .init()
) {
  let (m, k) = transposeA == .no ? (a.rows, a.columns) : (a.columns, a.rows)
  let (kb, n) = transposeB == .no ? (b.rows, b.columns) : (b.columns, b.rows)
  precondition(
    k == kb && c.rows == m && c.columns == n,
    "gemm: \(m) x \(k) times \(kb) x \(n) into \(c.rows) x \(c.columns)")
  guard k > 0 else { return beta == 0 ? c.fill(0) : scale(c, by: beta) }
  finish.withKernelArgument(for: c) {
    ck_gemm(
      m, n, k, alpha, WeightMatrix.f32(a).factor(transposeA), b.factor(transposeB), beta, c.pointer, c.stride,
      precision == .bf16 ? 1 : 0, $0)
  }
}

extension WeightMatrix {
  /// As the kernel takes it; valid while the weight lives.
  func factor(_ transpose: Transpose) -> ck_factor {
    let isTransposed: Int32 = transpose == .yes ? 1 : 0
    return switch self {
    case .f32(let matrix):
      ck_factor(values: matrix.pointer, stride: matrix.stride, is_transposed: isTransposed, is_bf16: 0)
    case .bf16(let matrix):
      ck_factor(values: matrix.pointer, stride: matrix.columns, is_transposed: isTransposed, is_bf16: 1)
    }
  }
}
