import CKernels
import TensorKernels

/// A table of vectors looked up by id: `y_t = E[id_t]`; E: entries x width, y: T x width.
package struct Embedding: Sendable {
  package let table: MatrixView

  package init(table: MatrixView) { self.table = table }

  /// Writes the row of each id, or with `adding` adds it to what is there.
  package func forward(_ ids: some Collection<Int>, into y: Matrix, adding: Bool = false) {
    precondition(
      y.rows == ids.count && y.columns == table.columns,
      "Embedding: \(ids.count) ids of width \(table.columns) into \(y.rows) x \(y.columns)")
    for (row, id) in ids.enumerated() {
      precondition(id >= 0 && id < table.rows, "Embedding: id \(id) of \(table.rows)")
      let source = table.pointer + id * table.stride
      let place = y.pointer + row * y.stride
      if adding { ck_add(place, source, y.columns) } else { place.update(from: source, count: y.columns) }
    }
  }

  /// `dE[id_t] += dy_t`, in the order of the positions.
  package static func backward(
    _ ids: some Collection<Int>, outputGradient dy: MatrixView, tableGradient: Matrix
  ) {
    precondition(
      dy.rows == ids.count && dy.columns == tableGradient.columns,
      "Embedding: \(ids.count) ids, gradient \(dy.rows) x \(dy.columns), width \(tableGradient.columns)")
    for (row, id) in ids.enumerated() {
      precondition(id >= 0 && id < tableGradient.rows, "Embedding: id \(id) of \(tableGradient.rows)")
      ck_add(tableGradient.pointer + id * tableGradient.stride, dy.pointer + row * dy.stride, dy.columns)
    }
  }
}
