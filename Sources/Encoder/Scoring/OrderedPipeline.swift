import Dispatch
import Foundation
import Synchronization

/// Workers between a reader and a writer: parts are made and taken in order on the calling thread, and worked on by others in
/// between. At most `2 workers + 2` parts exist at a time, so memory does not grow with the stream.
package struct OrderedPipeline<Part: Sendable, Result: Sendable> {
  private let workers: Int

  package init(workers: Int) { self.workers = workers }

  /// - Parameters:
  ///   - make: the next part, nil at the end. Its error is thrown once every earlier part has been taken.
  ///   - mayWait: whether `make` may have to wait for its part, before which what is done is taken.
  ///   - work: what a worker does with a part.
  ///   - take: gets the results in the order of their parts; its error ends all.
  package func run(
    make: () throws -> Part?, mayWait: () -> Bool,
    work: @escaping @Sendable (_ worker: Int, Part) throws -> Result, take: (Result) throws -> Void
  ) throws {
    let shop = Workshop<Part, Result>()
    let threads = (0..<workers).map { worker in
      let thread = Thread { shop.serve { try work(worker, $0) } }
      // As a main thread has: the layers of a large model nest deeply in nothing, but parsing does.
      thread.stackSize = 8 << 20
      thread.start()
      return thread
    }
    defer { shop.close(workers: threads.count) }
    var (given, taken) = (0, 0)
    var failure: (any Error)?
    var isAtEnd = false
    func takeNext() throws {
      try take(try shop.result(taken).get())
      taken += 1
    }
    while !isAtEnd {
      while given > taken, given - taken >= 2 * workers + 2 || mayWait() { try takeNext() }
      do {
        if let part = try make() {
          shop.give(part, place: given)
          given += 1
        } else {
          isAtEnd = true
        }
      } catch {
        (failure, isAtEnd) = (error, true)
      }
    }
    while taken < given { try takeNext() }
    if let failure { throw failure }
  }
}

/// Where parts wait for workers, and results for the writer.
private final class Workshop<Part: Sendable, Value: Sendable>: Sendable {
  private struct State {
    var parts: [(place: Int, part: Part)] = []
    var results: [Int: Result<Value, any Error>] = [:]
  }

  private let state = Mutex(State())
  private let waiting = DispatchSemaphore(value: 0)
  private let finished = DispatchSemaphore(value: 0)
  private let closed = DispatchSemaphore(value: 0)

  func give(_ part: Part, place: Int) {
    state.withLock { $0.parts.append((place, part)) }
    waiting.signal()
  }

  /// What one worker does until there is nothing left after `close`.
  func serve(_ work: (Part) throws -> Value) {
    while true {
      waiting.wait()
      let next = state.withLock { $0.parts.isEmpty ? nil : $0.parts.removeFirst() }
      guard let next else { break }
      let result = Result { try work(next.part) }
      state.withLock { $0.results[next.place] = result }
      finished.signal()
    }
    closed.signal()
  }

  func result(_ place: Int) -> Result<Value, any Error> {
    while true {
      if let result = state.withLock({ $0.results.removeValue(forKey: place) }) { return result }
      finished.wait()
    }
  }

  /// Waits until every worker has ended; what none has begun is dropped.
  func close(workers: Int) {
    state.withLock { $0.parts.removeAll() }
    for _ in 0..<workers { waiting.signal() }
    for _ in 0..<workers { closed.wait() }
  }
}
