import Selection
import TensorKernels
import Testing

@Suite struct MarginalRelevanceTests {
  /// Every choice by looking at all candidates.
  private func naive(_ values: [Double], _ diversity: Double, _ vectors: UnitVectors, count: Int) -> [Int] {
    var chosen: [Int] = []
    while chosen.count < count {
      let worth = values.indices.map { candidate -> Double in
        if chosen.contains(candidate) { return -.infinity }
        let greatest = chosen.map { vectors.cosine(candidate, $0) }.max() ?? 0
        return values[candidate] - diversity * Double(max(0, greatest))
      }
      chosen.append(worth.indices.max { (worth[$0], $1) < (worth[$1], $0) }!)
    }
    return chosen
  }

  @Test(arguments: [0.0, 0.3, 1.0, 10.0]) func lazyIsExact(_ diversity: Double) {
    var generator = SeededGenerator(seed: 5)
    let (count, width) = (120, 19)
    var vectors = UnitVectors(count: count, width: width)
    for vector in 0..<count {
      // Some are copies, and some are like others.
      let own = (0..<width).map { _ in Float(generator.normal()) }
      vectors.set(vector, vector % 4 == 3 ? own.map { _ in Float(1) } : own)
    }
    vectors.normalize()
    // Sorted, with equal ones, as ranked rows are.
    let values = (0..<count).map { Double(40 - $0 / 3) / 20 }
    var relevance = MarginalRelevance(values: values, diversity: diversity, vectors: vectors)
    var chosen: [Int] = []
    while chosen.count < 60, let next = relevance.next() {
      chosen.append(next)
      relevance.choose(next)
    }
    #expect(chosen == naive(values, diversity, vectors, count: 60))
    if diversity == 0 { #expect(chosen == Array(0..<60)) } else { #expect(chosen != Array(0..<60)) }
  }

  @Test func whatIsNotChosenCountsForNothing() {
    var vectors = UnitVectors(count: 3, width: 2)
    vectors.set(0, [1, 0])
    vectors.set(1, [1, 0])
    vectors.set(2, [0, 1])
    vectors.normalize()
    var relevance = MarginalRelevance(values: [3, 2.5, 2], diversity: 1, vectors: vectors)
    // The first is refused, so the second is like nothing that was chosen.
    #expect(relevance.next() == 0)
    #expect(relevance.next() == 1)
    relevance.choose(1)
    #expect(relevance.next() == 2 && relevance.next() == nil)
    #expect(relevance.likest(to: 0) == nil && relevance.meanRedundancy == 0)
  }

  @Test func meansAreTakenAway() {
    var vectors = UnitVectors(count: 2, width: 3)
    vectors.set(0, [10, 1, 0])
    vectors.set(1, [10, -1, 0])
    vectors.centre()
    vectors.normalize()
    #expect(abs(vectors.cosine(0, 1) + 1) < 1e-6 && abs(vectors.cosine(0, 0) - 1) < 1e-6)
  }
}
