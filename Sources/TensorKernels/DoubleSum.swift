/// A sum in f64 of f32 matrices, for totals over many rows: rows x columns, or a symmetric one's lower triangle alone.
///
/// Not synchronised: whoever adds must be alone with it.
package final class DoubleSum: @unchecked Sendable {
  package let rows: Int
  package let columns: Int
  package let isSymmetric: Bool
  /// Row after row; of a symmetric sum row i has its first i + 1 numbers.
  package private(set) var values: [Double]

  package init(rows: Int, columns: Int) {
    (self.rows, self.columns, isSymmetric) = (rows, columns, false)
    values = [Double](repeating: 0, count: rows * columns)
  }

  package init(symmetric order: Int) {
    (rows, columns, isSymmetric) = (order, order, true)
    values = [Double](repeating: 0, count: order * (order + 1) / 2)
  }

  /// `S += X`; of a symmetric sum X's lower triangle is read.
  package func add(_ x: MatrixView) {
    forEachRow(of: x) { sum, row, count in
      for i in 0..<count { sum[i] += Double(row[i]) }
    }
  }

  /// `S_ij += a X_ij^2`
  package func addSquares(of x: MatrixView, times a: Double) {
    forEachRow(of: x) { sum, row, count in
      for i in 0..<count { sum[i] += a * Double(row[i]) * Double(row[i]) }
    }
  }

  /// `S += S'`, a sum of the same shape.
  package func add(_ other: DoubleSum) { add(other.values) }

  /// `S += S'`, from the values of a sum of the same shape.
  package func add(_ other: [Double]) {
    precondition(other.count == values.count, "DoubleSum: \(other.count) values onto \(values.count)")
    for i in values.indices { values[i] += other[i] }
  }

  /// The whole matrix, row-major; of a symmetric sum with zeros above the diagonal.
  package var matrix: [Double] {
    guard isSymmetric else { return values }
    var whole = [Double](repeating: 0, count: rows * rows)
    var start = 0
    for row in 0..<rows {
      for column in 0...row { whole[row * rows + column] = values[start + column] }
      start += row + 1
    }
    return whole
  }

  private func forEachRow(
    of x: MatrixView, _ body: (UnsafeMutablePointer<Double>, UnsafePointer<Float>, Int) -> Void
  ) {
    precondition(
      x.rows == rows && x.columns == columns, "DoubleSum: \(x.rows) x \(x.columns) onto \(rows) x \(columns)")
    values.withUnsafeMutableBufferPointer { sum in
      var start = 0
      for row in 0..<rows {
        let count = isSymmetric ? row + 1 : columns
        if count > 0 { body(sum.baseAddress! + start, x.pointer + row * x.stride, count) }
        start += count
      }
    }
  }
}
