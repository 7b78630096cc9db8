import LanguageModels
import Records
import Synchronization
import TensorKernels

/// The order in which sums over rows are taken, whoever takes them: a fixed number of blocks of consecutive rows, each
/// summed by itself batch after batch, and the blocks' sums added in their order. So the bits depend neither on the
/// workers nor on how many shards share the blocks.
package struct SummationBlocks: Sendable {
  /// Also the most shards that one sum can be spread over.
  package static let count = 16

  let rows: [TokenizedSample]
  let batchTokens: Int

  /// The rows of a block; empty for some where there are fewer rows than blocks.
  package func range(_ block: Int) -> Range<Int> { Self.range(block, of: Self.count, rows: rows.count) }

  /// Part `index` of `parts` nearly equal parts of `0..<rows`.
  package static func range(_ index: Int, of parts: Int, rows: Int) -> Range<Int> {
    index * rows / parts..<(index + 1) * rows / parts
  }

  /// The rows of consecutive blocks.
  func range(_ blocks: Range<Int>) -> Range<Int> {
    range(blocks.lowerBound).lowerBound..<range(blocks.upperBound - 1).upperBound
  }

  /// The blocks of a shard.
  package static func blocks(of shard: Shard) -> Range<Int> { shard.range(of: count) }

  /// The sums over all rows, by one forward and backward pass.
  func total(
    of summand: some BlockSummand, model: any CausalLanguageModel, workers: Int,
    progress: @escaping @Sendable (_ done: Int) throws -> Void
  ) throws -> [DoubleSum] {
    let total = summand.zeros()
    try forEach(0..<Self.count, summand, model: model, workers: workers, progress: progress) { _, sums in
      for (total, sum) in zip(total, sums) { total.add(sum) }
    }
    return total
  }

  /// One forward and backward pass over some blocks' rows; `finish` takes each block's sums, in block order.
  func forEach(
    _ blocks: Range<Int>, _ summand: some BlockSummand, model: any CausalLanguageModel, workers: Int,
    progress: @escaping @Sendable (_ done: Int) throws -> Void,
    finish: (_ block: Int, _ sums: [DoubleSum]) throws -> Void
  ) throws {
    var before = 0
    for block in blocks {
      let range = range(block)
      let sums = summand.zeros()
      let ordered = OrderedSum(sums: sums)
      let plan = BatchPlan(Array(rows[range]), batchTokens: batchTokens)
      let done = before
      let losses = try plan.map(workers: workers, progress: { try progress(done + $0) }) {
        index, batch, workspace in
        let positions = plan.batches[index].map { $0 + range.lowerBound }
        return model.losses(
          of: batch, workspace: workspace,
          observer: summand.observer(ordered, batch: index, rows: positions))
      }
      guard losses.allSatisfy(\.isFinite) else {
        throw LabelError.notFinite("the loss of a sample that curvature is made from")
      }
      before += range.count
      try finish(block, sums)
    }
  }
}

/// What is added up over rows: an observer a batch, and the sums it adds to.
protocol BlockSummand: Sendable {
  /// Sums of nothing, one for each place of an `OrderedSum`.
  func zeros() -> [DoubleSum]

  /// What adds a batch; gets its place among its block's batches, and the places of its rows in the input.
  func observer(_ sums: OrderedSum<DoubleSum>, batch: Int, rows: [Int]) -> any GradientObserver
}
