import LinFiK
import Records
import Testing

@Suite struct BatchPlanTests {
  private func rows(_ lengths: [Int]) -> [TokenizedSample] {
    lengths.map { length in
      TokenizedSample(
        tokens: Array(repeating: 1, count: length),
        scored: [false] + Array(repeating: true, count: length - 1),
        truncated: false)
    }
  }

  @Test func everyRowIsInOneBatchAndBatchesKeepToTheirBudget() {
    let lengths = (0..<300).map { 2 + ($0 * 37) % 90 } + [500]
    let plan = BatchPlan(rows(lengths), batchTokens: 100)
    #expect(plan.batches.joined().sorted() == Array(0..<301))
    for batch in plan.batches {
      let tokens = batch.reduce(0) { $0 + lengths[$1] }
      #expect(tokens <= 100 || batch == [300], "a longer row has a batch of its own")
    }
    let whole = Double(lengths.dropLast().reduce(0, +)) / 100
    #expect(Double(plan.batches.count) < 1.15 * whole + 1, "\(plan.batches.count) batches for \(whole)")
  }

  @Test func valuesComeBackInRowOrder() throws {
    let lengths = [5, 9, 3, 9, 2, 7]
    let plan = BatchPlan(rows(lengths), batchTokens: 12)
    let found = try plan.map(workers: 2) { _, batch, _ in
      (0..<batch.count).map { batch.rows(of: $0).count }
    }
    #expect(found == lengths)
  }
}
