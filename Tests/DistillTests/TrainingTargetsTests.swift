import Distill
import Foundation
import TensorKernels
import Testing

@Suite struct TrainingTargetsTests {
  /// Two sources: the longer one is worth more, but within each the shorter text is. Labels as given, without noise.
  private let rootLengths = (0..<60).map { (row: Int) -> Double in
    row < 30 ? Double(2 + row % 7) : Double(12 + row % 5)
  }
  private let sources = (0..<60).map { $0 < 30 ? "a" : "b" }
  private func label(_ row: Int) -> Double { (row < 30 ? 0 : 30) - rootLengths[row] }

  private func targets(_ labels: [Double], _ sources: [String], share: Double? = nil) -> TrainingTargets {
    TrainingTargets(labels: labels, sources: sources, rootLengths: rootLengths, share: share)
  }

  @Test func slopeIsTheOneWithinGroups() {
    let labels = (0..<60).map(label)
    #expect(abs(slopeWithin(sources, rootLengths, labels) + 1) < 1e-12)
    #expect(slopeWithin(sources.map { _ in nil }, rootLengths, labels) > 0)
    #expect(slopeWithin(["a", "b"], [4, 9], [1, 2]) == 0, "one row a group says nothing")
  }

  @Test func deviationsFromSourceAndLengthAreShrunk() {
    let labels = (0..<60).map { label($0) + Double($0 * 37 % 11) }
    let (none, half, whole) = (
      targets(labels, sources, share: 0), targets(labels, sources, share: 0.5),
      targets(labels, sources, share: 1)
    )
    for row in 0..<60 {
      #expect(abs(half.values[row] - (none.values[row] + whole.values[row]) / 2) < 1e-12)
      let expected = none.expected(source: sources[row], rootLength: rootLengths[row])
      #expect(abs(none.values[row] - expected) < 1e-12)
    }
    #expect(whole.values.max() == whole.values[labels.indices.max { labels[$0] < labels[$1] }!])
    for rows in [0..<30, 30..<60] {
      let means = [none, whole].map { $0.values[rows].reduce(0, +) / 30 }
      #expect(abs(means[0] - means[1]) < 1e-9, "a source's mean stays")
    }
  }

  @Test func shareFollowsWhatThereIsToLearn() {
    let structured = (0..<60).map { label($0) + Double($0 * 37 % 11) }
    let unrelated = (0..<60).map { Double($0 * 37 % 61) }
    let (low, high) = (targets(structured, sources).share, targets(unrelated, sources).share)
    #expect(low > 0 && low < 0.1, "\(low)")
    #expect(high > 0.3 && high <= 1, "\(high)")
    #expect(low < high)
    // Sources of one row each explain nothing by themselves.
    let single = targets(structured, (0..<60).map { "\($0)" })
    #expect(
      single.expected(source: "3", rootLength: 5) == single.expected(source: "never seen", rootLength: 5))
  }

  @Test func cropsAreRunsOfTheTextBetweenItsEnds() {
    let row = TrainingRow(ids: [101] + Array(1000..<1100) + [102], target: 1)
    var generator = SeededGenerator(seed: 1)
    var lengths = Set<Int>()
    for _ in 0..<200 {
      let part = row.cropped(slope: -0.1, using: &generator)
      #expect(part.ids.first == 101 && part.ids.last == 102)
      let inner = part.ids.dropFirst().dropLast()
      #expect(Array(inner) == Array(inner.first!...inner.last!))
      #expect((40...100).contains(inner.count) && inner.first! >= 1000 && inner.last! < 1100)
      let expected = 1 - 0.1 * (Double(part.ids.count).squareRoot() - Double(102).squareRoot())
      #expect(abs(part.target - expected) < 1e-12)
      lengths.insert(inner.count)
    }
    #expect(lengths.count > 30)
    let short = TrainingRow(ids: Array(0..<12), target: 2)
    #expect(short.cropped(slope: 1, using: &generator).ids == short.ids)
  }
}
