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
