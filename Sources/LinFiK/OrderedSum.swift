import Foundation
import TensorKernels

/// Sums that batches are added to in batch order, layer by layer.
///
/// Batches start in order and every batch visits the layers in the same order, so a worker waits at most for the one
/// a layer ahead of it, and the earliest batch under way never waits.
package final class OrderedSum<Sum>: @unchecked Sendable {
  private let sums: [Sum]
  private var turns: [Int]
  private let condition = NSCondition()

  package init(sums: [Sum]) {
    self.sums = sums
    turns = [Int](repeating: 0, count: sums.count)
  }

  package func add(place: Int, turn: Int, _ body: (Sum) -> Void) {
    condition.lock()
    while turns[place] != turn { condition.wait() }
    condition.unlock()
    body(sums[place])
    condition.lock()
    turns[place] += 1
    condition.broadcast()
    condition.unlock()
  }
}
