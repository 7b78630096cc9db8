import CKernels

/// A bf16 matrix in memory that someone else owns (a mapped file), rows following each other without a gap.
package struct BFloat16View: @unchecked Sendable {
  package let pointer: UnsafePointer<UInt16>
  package let rows: Int
  package let columns: Int
  private let owner: AnyObject

  package init(_ numbers: UnsafeBufferPointer<UInt16>, rows: Int, columns: Int, owner: AnyObject) {
    precondition(numbers.count == rows * columns, "BFloat16View: \(numbers.count) for \(rows) x \(columns)")
    self.init(pointer: numbers.baseAddress!, rows: rows, columns: columns, owner: owner)
  }

  private init(pointer: UnsafePointer<UInt16>, rows: Int, columns: Int, owner: AnyObject) {
    self.pointer = pointer
    self.rows = rows
    self.columns = columns
    self.owner = owner
  }

  /// The rows in `range`, sharing memory.
  package func rows(_ range: Range<Int>) -> BFloat16View {
    precondition(range.lowerBound >= 0 && range.upperBound <= rows, "rows \(range) of \(rows) x \(columns)")
    return BFloat16View(
      pointer: pointer + range.lowerBound * columns, rows: range.count, columns: columns, owner: owner)
  }
}

/// A weight as its file holds it, so that a model in bf16 takes two bytes a weight: only read, shared by all workers.
package enum WeightMatrix: Sendable {
  case f32(MatrixView)
  case bf16(BFloat16View)

  package var rows: Int {
    switch self {
    case .f32(let matrix): matrix.rows
    case .bf16(let matrix): matrix.rows
    }
  }

  package var columns: Int {
    switch self {
    case .f32(let matrix): matrix.columns
    case .bf16(let matrix): matrix.columns
    }
  }

  /// The rows in `range`, sharing memory.
  package func rows(_ range: Range<Int>) -> WeightMatrix {
    switch self {
    case .f32(let matrix): .f32(matrix.rows(range))
    case .bf16(let matrix): .bf16(matrix.rows(range))
    }
  }

  /// One row, in f32.
  package func copyRow(_ row: Int, into destination: Matrix) {
    precondition(
      row >= 0 && row < rows && destination.rows == 1 && destination.columns == columns,
      "row \(row) of \(rows) x \(columns) into \(destination.rows) x \(destination.columns)")
    switch self {
    case .f32(let matrix): destination.copy(matrix.rows(row..<row + 1))
    case .bf16(let matrix):
      let source = matrix.pointer + row * columns
      for i in 0..<columns { destination.pointer[i] = Float(bitPattern: UInt32(source[i]) << 16) }
    }
  }

  /// Writes the sum of some rows, in their order, to the first row of `sum` (1 x columns).
  package func sumRows(_ rows: ArraySlice<Int>, into sum: Matrix) {
    precondition(
      sum.rows == 1 && sum.columns == columns && rows.allSatisfy { $0 >= 0 && $0 < self.rows },
      "sumRows: of \(self.rows) x \(columns) into \(sum.rows) x \(sum.columns)")
    rows.withUnsafeBufferPointer { rows in
      rows.withMemoryRebound(to: Int64.self) { rows in
        switch self {
        case .f32(let matrix):
          ck_sum_rows(sum.pointer, matrix.pointer, matrix.stride, 0, rows.baseAddress, rows.count, columns)
        case .bf16(let matrix):
          ck_sum_rows(sum.pointer, matrix.pointer, columns, 1, rows.baseAddress, rows.count, columns)
        }
      }
    }
  }

  /// The whole weight in f32; a copy where it is not so already.
  package var f32: MatrixView {
    if case .f32(let matrix) = self { return matrix }
    let copy = Matrix(rows: rows, columns: columns)
    for row in 0..<rows { copyRow(row, into: copy.rows(row..<row + 1)) }
    return copy.view
  }
}
