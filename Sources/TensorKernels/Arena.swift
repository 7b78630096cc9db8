/// One allocation that a worker carves its activations from, so that a batch allocates nothing.
///
/// Matrices taken since a `mark` are given back together by `release(to:)`; their memory is then reused.
package final class Arena {
  private var storage: FloatStorage
  private var used = 0

  /// An arena for `capacity` floats.
  package init(capacity: Int) { storage = FloatStorage(count: capacity) }

  package var capacity: Int { storage.count }

  /// A matrix whose content is undefined: whoever takes it writes it.
  package func matrix(_ rows: Int, _ columns: Int) -> Matrix {
    // Rows of 16 floats keep every matrix on a cache line.
    let size = (rows * columns + 15) & ~15
    precondition(
      used + size <= storage.count,
      "Arena: \(rows) x \(columns) does not fit in \(storage.count) floats, \(used) used")
    defer { used += size }
    return Matrix(storage: storage, offset: used, rows: rows, columns: columns)
  }

  /// Where the arena stands; hand it to `release(to:)`.
  package var mark: Int { used }

  /// Gives back everything taken since `mark`.
  package func release(to mark: Int) {
    precondition(mark <= used, "Arena: release to \(mark) of \(used)")
    used = mark
  }

  /// Empties the arena and makes sure `capacity` floats fit.
  package func reset(capacity: Int) {
    used = 0
    guard storage.count < capacity else { return }
    // The old memory goes first: both at once would be more than was planned.
    storage = FloatStorage(count: 0)
    storage = FloatStorage(count: capacity)
  }
}
