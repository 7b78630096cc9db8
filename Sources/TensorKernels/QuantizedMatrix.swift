import CKernels

/// A weight (outputs x inputs) in int8, each row with a scale of its own: `w = scale q`, q rounded to nearest from
/// `127 w / largest |w| of the row`. Immutable, shared by all workers.
package final class QuantizedMatrix: @unchecked Sendable {
  package let rows: Int
  package let columns: Int
  private let stride: Int
  private let numbers: UnsafeMutablePointer<Int8>
  private let scales: UnsafeMutablePointer<Float>

  package init(_ matrix: MatrixView) {
    (rows, columns) = (matrix.rows, matrix.columns)
    precondition(columns <= 131_072, "QuantizedMatrix: \(columns) columns, at most 131072")
    stride = (columns + 63) / 64 * 64
    numbers = .allocate(capacity: max(1, rows * stride))
    numbers.initialize(repeating: 0, count: rows * stride)
    scales = .allocate(capacity: max(1, rows))
    for row in 0..<rows {
      let values = matrix.pointer + row * matrix.stride
      let largest = (0..<columns).reduce(Float(0)) { max($0, abs(values[$1])) }
      scales[row] = largest / 127
      // So small a row that it has no factor, or a broken one, counts as zeros; a broken one's scale says so.
      guard largest > 0, (127 / largest).isFinite, largest.isFinite else { continue }
      for column in 0..<columns {
        numbers[row * stride + column] = Int8((values[column] * (127 / largest)).rounded(.toNearestOrEven))
      }
    }
  }

  deinit {
    numbers.deallocate()
    scales.deallocate()
  }

  /// The weight that the numbers stand for.
  package var f32: Matrix {
    let result = Matrix(rows: rows, columns: columns)
    for row in 0..<rows {
      for column in 0..<columns { result[row, column] = scales[row] * Float(numbers[row * stride + column]) }
    }
    return result
  }

  /// What the kernel takes: numbers, bytes from row to row, and scales.
  package func withKernelArguments<Value>(
    _ body: (UnsafePointer<Int8>, Int, UnsafePointer<Float>) -> Value
  ) -> Value {
    defer { withExtendedLifetime(self) {} }
    return body(numbers, stride, scales)
  }

  /// `y = x W^T + beta y`, x rounded to int8 row by row as the weight was. Sums are exact, so every instruction set gives the
  /// same bits.
  package func product(_ x: MatrixView, into y: Matrix, beta: Float) {
    precondition(
      x.columns == columns && y.columns == rows && x.rows == y.rows,
      "QuantizedMatrix: \(x.rows) x \(x.columns) times \(columns) x \(rows) into \(y.rows) x \(y.columns)")
    withKernelArguments { numbers, stride, scales in
      ck_gemm_int8(
        x.rows, rows, columns, x.pointer, x.stride, numbers, stride, scales, beta, y.pointer, y.stride)
    }
  }
}

/// Whether this machine has instructions for int8 products; elsewhere they are as exact, and slow.
package var multipliesInt8: Bool { ck_multiplies_int8() == 1 }
