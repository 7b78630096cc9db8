import Dispatch
import Synchronization

/// Runs `body(worker, index)` once for every index in `0..<count` on `workers` threads.
///
/// Indices are handed out in order from one atomic counter, so no worker waits while another has work left.
/// After the first error no new index is handed out; that error is thrown once every worker has stopped.
/// `worker` is in `0..<workers`: a place for what a worker keeps to itself.
package func parallelForEach(
  count: Int, workers: Int, _ body: @escaping @Sendable (_ worker: Int, _ index: Int) throws -> Void
) throws {
  let next = Atomic<Int>(0)
  let failure = Mutex<(any Error)?>(nil)
  DispatchQueue.concurrentPerform(iterations: max(1, min(workers, count))) { worker in
    while true {
      let index = next.add(1, ordering: .relaxed).oldValue
      guard index < count else { return }
      do {
        try body(worker, index)
      } catch {
        failure.withLock { $0 = $0 ?? error }
        next.store(count, ordering: .relaxed)
        return
      }
    }
  }
  if let error = failure.withLock({ $0 }) { throw error }
}

/// The values of `body(worker, index)` for every index in `0..<count`, in index order, from `workers` threads.
package func parallelMap<Value: Sendable>(
  count: Int, workers: Int, _ body: @escaping @Sendable (_ worker: Int, _ index: Int) throws -> Value
) throws -> [Value] {
  let values = Mutex([Value?](repeating: nil, count: count))
  try parallelForEach(count: count, workers: workers) { worker, index in
    let value = try body(worker, index)
    values.withLock { $0[index] = value }
  }
  return values.withLock { $0.map { $0! } }
}
