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

  /// One forward and backward pass over some blocks' rows.
  ///
  /// - Parameters:
  ///   - makeSums: a block's sums, zero; one for each place of an `OrderedSum`.
  ///   - observer: what adds a batch to the sums; gets its place among the block's batches and its rows.
  ///   - finish: takes each block's sums, in block order.
  func forEach(
    _ blocks: Range<Int>, model: any CausalLanguageModel, workers: Int,
    progress: @escaping @Sendable (_ done: Int) throws -> Void, makeSums: () -> [DoubleSum],
    observer:
      @escaping @Sendable (_ sums: OrderedSum<DoubleSum>, _ batch: Int, _ rows: [Int]) ->
      any GradientObserver,
    finish: (_ block: Int, _ sums: [DoubleSum]) throws -> Void
  ) throws {
    var before = 0
    for block in blocks {
      let range = range(block)
      let sums = makeSums()
      let ordered = OrderedSum(sums: sums)
      let plan = BatchPlan(Array(rows[range]), batchTokens: batchTokens)
      let done = before
      let losses = try plan.map(workers: workers, progress: { try progress(done + $0) }) {
        index, batch, workspace in
        let positions = plan.batches[index].map { $0 + range.lowerBound }
        return model.losses(of: batch, workspace: workspace, observer: observer(ordered, index, positions))
      }
      guard losses.allSatisfy(\.isFinite) else {
        throw LabelError.notFinite("the loss of a sample that curvature is made from")
      }
      before += range.count
      try finish(block, sums)
    }
  }
}
