import LanguageModels
import Records
import Synchronization
import TensorKernels

/// Rows grouped into packed batches in input order. The grouping depends on the rows alone, never on the workers, so
/// that the results' bits do not either.
package struct BatchPlan: Sendable {
  package let ranges: [Range<Int>]
  private let rows: [TokenizedSample]

  package init(_ rows: [TokenizedSample], batchTokens: Int) {
    self.rows = rows
    ranges = TokenBatch.plan(lengths: rows.map(\.tokens.count), tokenBudget: batchTokens)
  }

  package func batch(_ index: Int) -> TokenBatch {
    TokenBatch(rows[ranges[index]].map { ($0.tokens, $0.scored) })
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

  /// One value a row, in row order, from one array a batch. What `progress` throws ends the pass.
  package func map<Value: Sendable>(
    workers: Int, progress: @escaping @Sendable (_ rowsDone: Int) throws -> Void = { _ in },
    _ body: @escaping @Sendable (_ index: Int, _ batch: TokenBatch, _ workspace: Workspace) throws -> [Value]
  ) throws -> [Value] {
    let done = Atomic<Int>(0)
    let workspaces = WorkerWorkspaces(count: workers)
    let values = try parallelMap(count: ranges.count, workers: workers) { worker, index in
      let values = try body(index, batch(index), workspaces[worker])
      precondition(
        values.count == ranges[index].count, "BatchPlan: \(values.count) values for \(ranges[index])")
      try progress(done.add(values.count, ordering: .relaxed).newValue)
      return values
    }
    return values.flatMap { $0 }
  }
}

/// One workspace a worker; a worker only ever touches its own.
private struct WorkerWorkspaces: @unchecked Sendable {
  private let workspaces: [Workspace]
  init(count: Int) { workspaces = (0..<count).map { _ in Workspace() } }
  subscript(worker: Int) -> Workspace { workspaces[worker] }
}
