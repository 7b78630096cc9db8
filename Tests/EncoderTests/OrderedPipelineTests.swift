import Encoder
import Synchronization
import Testing

@Suite struct OrderedPipelineTests {
  private struct Broken: Error, Equatable { let place: Int }

  private func run(
    _ count: Int, workers: Int, breaksMaking: Int? = nil, breaksWorking: Int? = nil, breaksTaking: Int? = nil
  ) -> (taken: [Int], error: Broken?) {
    var (made, taken) = (0, [Int]())
    do {
      try OrderedPipeline<Int, Int>(workers: workers).run(
        make: {
          if made == breaksMaking { throw Broken(place: made) }
          guard made < count else { return nil }
          made += 1
          return made - 1
        }, mayWait: { made % 7 == 3 },
        work: { _, part in
          if part == breaksWorking { throw Broken(place: part) }
          // Later parts are done before earlier ones.
          if part % 5 == 0 { for _ in 0..<20_000 { _ = Atomic<Int>(0).load(ordering: .relaxed) } }
          return part * part
        },
        take: {
          if $0 == breaksTaking { throw Broken(place: $0) }
          taken.append($0)
        })
    } catch { return (taken, error as? Broken) }
    return (taken, nil)
  }

  @Test(arguments: [1, 3], [0, 1, 200]) func resultsKeepTheirOrder(_ workers: Int, _ count: Int) {
    let (taken, error) = run(count, workers: workers)
    #expect(taken == (0..<count).map { $0 * $0 } && error == nil)
  }

  /// What came before an error has been taken, and nothing after it.
  @Test func errorsComeInTheirPlace() {
    let working = run(100, workers: 3, breaksWorking: 40)
    #expect(working.taken == (0..<40).map { $0 * $0 } && working.error == Broken(place: 40))
    let making = run(100, workers: 3, breaksMaking: 40)
    #expect(making.taken == (0..<40).map { $0 * $0 } && making.error == Broken(place: 40))
    let taking = run(100, workers: 3, breaksTaking: 49)
    #expect(taking.taken == (0..<7).map { $0 * $0 } && taking.error == Broken(place: 49))
  }

  @Test func noMorePartsThanAskedForAreThere() throws {
    let there = Atomic<Int>(0)
    let most = Mutex(0)
    var made = 0
    try OrderedPipeline<Int, Int>(workers: 2).run(
      make: {
        guard made < 500 else { return nil }
        made += 1
        let now = there.add(1, ordering: .relaxed).newValue
        most.withLock { $0 = max($0, now) }
        return made
      }, mayWait: { false }, work: { _, part in part }, take: { _ in there.subtract(1, ordering: .relaxed) })
    #expect(most.withLock { $0 } == 6)
  }
}
