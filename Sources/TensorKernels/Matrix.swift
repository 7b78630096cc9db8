import Glibc

/// Memory that matrices are views of: 64-byte aligned floats, or bytes owned by someone else (a mapped file).
///
/// Not synchronised. The rule that makes sharing safe: what several workers see through a `MatrixView` is not
/// written while they do; what is written through a `Matrix` belongs to one worker.
package final class FloatStorage: @unchecked Sendable {
  package let base: UnsafeMutablePointer<Float>
  package let count: Int
  private let owner: AnyObject?

  /// Memory for `count` floats, zeroed unless all of it will be written before it is read.
  package init(count: Int, isZeroed: Bool = true) {
    let bytes = max(count, 1) * MemoryLayout<Float>.stride
    let raw = allocateAligned(bytes)
    if isZeroed { raw.initializeMemory(as: UInt8.self, repeating: 0, count: bytes) }
    base = raw.bindMemory(to: Float.self, capacity: max(count, 1))
    self.count = count
    owner = nil
  }

  /// Memory that lives as long as `owner` does and is only read.
  package init(readOnly floats: UnsafeBufferPointer<Float>, owner: AnyObject) {
    base = UnsafeMutablePointer(mutating: floats.baseAddress!)
    count = floats.count
    self.owner = owner
  }

  deinit {
    if owner == nil { UnsafeMutableRawPointer(base).deallocate() }
  }
}

/// Memory on a cache line's boundary; much of it in huge pages, whose addresses cost few entries of the translation buffer.
func allocateAligned(_ bytes: Int) -> UnsafeMutableRawPointer {
  let page = 2 << 20
  guard bytes >= page else { return .allocate(byteCount: bytes, alignment: 64) }
  let memory = UnsafeMutableRawPointer.allocate(byteCount: bytes, alignment: page)
  madvise(memory, bytes, MADV_HUGEPAGE)
  return memory
}

/// A row-major f32 matrix that may be written: `rows` x `columns`, rows `stride` floats apart.
///
/// It is a view: copies share memory, and keep it alive.
package struct Matrix {
  package let storage: FloatStorage
  package let pointer: UnsafeMutablePointer<Float>
  package let rows: Int
  package let columns: Int
  package let stride: Int

  /// A matrix of zeros with memory of its own.
  package init(rows: Int, columns: Int) {
    self.init(storage: FloatStorage(count: rows * columns), offset: 0, rows: rows, columns: columns)
  }

  /// A matrix with memory of its own whose content is undefined: whoever takes it writes it.
  package init(undefinedRows rows: Int, columns: Int) {
    self.init(
      storage: FloatStorage(count: rows * columns, isZeroed: false), offset: 0, rows: rows, columns: columns)
  }

  /// A matrix of its own holding `values`, row after row.
  package init(rows: Int, columns: Int, values: [Float]) {
    precondition(values.count == rows * columns, "Matrix: \(values.count) values for \(rows) x \(columns)")
    self.init(rows: rows, columns: columns)
    pointer.update(from: values, count: values.count)
  }

  package init(storage: FloatStorage, offset: Int, rows: Int, columns: Int, stride: Int? = nil) {
    let stride = stride ?? columns
    precondition(
      rows >= 0 && columns >= 0 && stride >= columns, "Matrix: \(rows) x \(columns), stride \(stride)")
    precondition(
      rows == 0 || offset + (rows - 1) * stride + columns <= storage.count,
      "Matrix: \(rows) x \(columns) at \(offset) lies outside \(storage.count) floats")
    self.storage = storage
    self.pointer = storage.base + offset
    self.rows = rows
    self.columns = columns
    self.stride = stride
  }

  /// The same memory, read only.
  package var view: MatrixView { MatrixView(self) }

  /// Whether the rows follow each other without a gap.
  package var isContiguous: Bool { stride == columns || rows <= 1 }

  /// The rows in `range`, sharing memory.
  package func rows(_ range: Range<Int>) -> Matrix {
    precondition(range.lowerBound >= 0 && range.upperBound <= rows, "rows \(range) of \(rows) x \(columns)")
    return Matrix(
      storage: storage, offset: pointer - storage.base + range.lowerBound * stride, rows: range.count,
      columns: columns, stride: stride)
  }

  /// The columns in `range`, sharing memory.
  package func columns(_ range: Range<Int>) -> Matrix {
    precondition(
      range.lowerBound >= 0 && range.upperBound <= columns, "columns \(range) of \(rows) x \(columns)")
    return Matrix(
      storage: storage, offset: pointer - storage.base + range.lowerBound, rows: rows, columns: range.count,
      stride: stride)
  }

  package subscript(row: Int, column: Int) -> Float {
    get { view[row, column] }
    nonmutating set {
      precondition(
        row >= 0 && row < rows && column >= 0 && column < columns,
        "(\(row), \(column)) of \(rows) x \(columns)")
      pointer[row * stride + column] = newValue
    }
  }

  /// The same numbers as rows of another width, sharing memory: a row's heads one below the other.
  package func reshaped(columns width: Int) -> Matrix {
    precondition(
      isContiguous && rows * columns % width == 0, "reshaped: \(rows) x \(columns) to rows of \(width)")
    return Matrix(
      storage: storage, offset: pointer - storage.base, rows: rows * columns / width, columns: width)
  }

  /// Every element set to `value`.
  package func fill(_ value: Float) {
    for row in 0..<rows { (pointer + row * stride).update(repeating: value, count: columns) }
  }

  /// Copies a matrix of the same shape.
  package func copy(_ source: MatrixView) {
    precondition(
      rows == source.rows && columns == source.columns,
      "copy: \(source.rows) x \(source.columns) into \(rows) x \(columns)")
    for row in 0..<rows {
      (pointer + row * stride).update(from: source.pointer + row * source.stride, count: columns)
    }
  }
}

/// A row-major f32 matrix that is only read, and so may be shared between workers.
package struct MatrixView: @unchecked Sendable {
  package let storage: FloatStorage
  package let pointer: UnsafePointer<Float>
  package let rows: Int
  package let columns: Int
  package let stride: Int

  package init(_ matrix: Matrix) {
    storage = matrix.storage
    pointer = UnsafePointer(matrix.pointer)
    rows = matrix.rows
    columns = matrix.columns
    stride = matrix.stride
  }

  /// Whether the rows follow each other without a gap.
  package var isContiguous: Bool { stride == columns || rows <= 1 }

  /// The rows in `range`, sharing memory.
  package func rows(_ range: Range<Int>) -> MatrixView {
    MatrixView(asMatrix.rows(range))
  }

  /// The columns in `range`, sharing memory.
  package func columns(_ range: Range<Int>) -> MatrixView {
    MatrixView(asMatrix.columns(range))
  }

  package subscript(row: Int, column: Int) -> Float {
    precondition(
      row >= 0 && row < rows && column >= 0 && column < columns, "(\(row), \(column)) of \(rows) x \(columns)"
    )
    return pointer[row * stride + column]
  }

  /// A copy with rows and columns exchanged, contiguous.
  package var transposed: MatrixView {
    let result = Matrix(rows: columns, columns: rows)
    // Squares of 32 x 32: a cache line of either side is used up before it is evicted.
    for top in Swift.stride(from: 0, to: rows, by: 32) {
      for left in Swift.stride(from: 0, to: columns, by: 32) {
        for row in top..<min(top + 32, rows) {
          for column in left..<min(left + 32, columns) {
            result.pointer[column * rows + row] = pointer[row * stride + column]
          }
        }
      }
    }
    return result.view
  }

  /// All values, row after row.
  package var values: [Float] {
    var result: [Float] = []
    result.reserveCapacity(rows * columns)
    for row in 0..<rows {
      result.append(contentsOf: UnsafeBufferPointer(start: pointer + row * stride, count: columns))
    }
    return result
  }

  private var asMatrix: Matrix {
    Matrix(
      storage: storage, offset: pointer - UnsafePointer(storage.base), rows: rows, columns: columns,
      stride: stride)
  }
}

extension MatrixView {
  /// A copy of some rows.
  package func selecting(_ rows: [Int]) -> MatrixView {
    let result = Matrix(rows: rows.count, columns: columns)
    for (place, row) in rows.enumerated() {
      result.rows(place..<place + 1).copy(self.rows(row..<row + 1))
    }
    return result.view
  }

  /// A copy with the other's rows below its own.
  package func above(_ other: MatrixView) -> MatrixView {
    let result = Matrix(rows: rows + other.rows, columns: columns)
    result.rows(0..<rows).copy(self)
    result.rows(rows..<result.rows).copy(other)
    return result.view
  }
}
