import LanguageModels
import Records
import Synchronization
import TensorKernels

/// Rows grouped into packed batches of about the same number of tokens. The grouping depends on the rows and the token
/// budget alone, never on the workers, so that the results' bits do not either.
package struct BatchPlan: Sendable {
  /// The rows of each batch, by their place in the input.
  package let batches: [[Int]]
  private let rows: [TokenizedSample]

  /// Rows looked at together when batches are filled: enough to fill them well, few enough that rows are done about
  /// in their order.
  private static let window = 64

  /// Batches of at most `batchTokens` tokens; a longer row has one of its own. Within each window of rows, the longest
  /// row goes first, into the first batch with room for it (first-fit decreasing).
  package init(_ rows: [TokenizedSample], batchTokens: Int) {
    self.rows = rows
    batches = stride(from: 0, to: rows.count, by: Self.window).flatMap { start in
      let window = start..<min(start + Self.window, rows.count)
      var batches: [(rows: [Int], tokens: Int)] = []
      for row in window.sorted(by: { (rows[$1].tokens.count, $0) < (rows[$0].tokens.count, $1) }) {
        let tokens = rows[row].tokens.count
        if let place = batches.firstIndex(where: { $0.tokens + tokens <= batchTokens }) {
          batches[place].rows.append(row)
          batches[place].tokens += tokens
        } else {
          batches.append(([row], tokens))
        }
      }
      return batches.map(\.rows)
    }
  }

  package func batch(_ index: Int) -> TokenBatch {
    TokenBatch(batches[index].map { (rows[$0].tokens, rows[$0].scored) })
  }

  /// Calls `body` for each batch index in `indices` on `workers` threads, each with a workspace of its own.
  package func forEach(
    _ indices: [Int], workers: Int,
    _ body: @escaping @Sendable (_ index: Int, _ batch: TokenBatch, _ workspace: Workspace) throws -> Void
  ) throws {
    let workspaces = WorkerWorkspaces(count: workers)
    try parallelForEach(count: indices.count, workers: workers) { worker, position in
      try body(indices[position], batch(indices[position]), workspaces[worker])
    }
  }

  /// One value a row, in row order, from one array a batch of its rows' values. What `progress` throws ends the pass.
  package func map<Value: Sendable>(
    workers: Int, progress: @escaping @Sendable (_ rowsDone: Int) throws -> Void = { _ in },
    _ body: @escaping @Sendable (_ index: Int, _ batch: TokenBatch, _ workspace: Workspace) throws -> [Value]
  ) throws -> [Value] {
    let done = Atomic<Int>(0)
    let workspaces = WorkerWorkspaces(count: workers)
    let values = try parallelMap(count: batches.count, workers: workers) { worker, index in
      let values = try body(index, batch(index), workspaces[worker])
      precondition(
        values.count == batches[index].count, "BatchPlan: \(values.count) values for \(batches[index])")
      try progress(done.add(values.count, ordering: .relaxed).newValue)
      return values
    }
    var inOrder = [Value?](repeating: nil, count: rows.count)
    for (rows, values) in zip(batches, values) {
      for (row, value) in zip(rows, values) { inOrder[row] = value }
    }
    return inOrder.map { $0! }
  }
}

/// One workspace a worker; a worker only ever touches its own.
private struct WorkerWorkspaces: @unchecked Sendable {
  private let workspaces: [Workspace]
  init(count: Int) { workspaces = (0..<count).map { _ in Workspace() } }
  subscript(worker: Int) -> Workspace { workspaces[worker] }
}
