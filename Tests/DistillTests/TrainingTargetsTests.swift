import Distill
import Foundation
import TensorKernels
import Testing

@Suite struct TrainingTargetsTests {
  /// Two sources: the longer one is worth more, but within each the shorter text is.
  private let rootLengths: [Double] = [2, 3, 4, 8, 9, 10]
  private let sources = [0, 0, 0, 1, 1, 1]
  private let labels: [Double] = [3, 2, 1, 6, 5, 4]

  @Test func slopeIsTheOneWithinGroups() {
    #expect(abs(slopeWithin(sources, rootLengths, labels) + 1) < 1e-12)
    #expect(slopeWithin([0, 0, 0, 0, 0, 0], rootLengths, labels) > 0)
    #expect(slopeWithin([0, 1], [4, 9], [1, 2]) == 0, "one row a group says nothing")
  }

  @Test func deviationsFromSourceAndLengthAreShrunk() {
    let noisy: [Double] = [3, 1, 2, 6, 5, 4]
    func targets(_ share: Double) -> [Double] {
      TrainingTargets(labels: noisy, sources: sources, rootLengths: rootLengths, withinSourceShare: share)
        .values
    }
    let (none, half, whole) = (targets(0), targets(0.5), targets(1))
    for row in 0..<6 { #expect(abs(half[row] - (none[row] + whole[row]) / 2) < 1e-12) }
    #expect(Set(whole).count == 6 && whole.max() == whole[3] && whole.min() == whole[1])
    // Without deviations, targets within a source lie on a line over sqrt(n).
    #expect(abs((none[0] - none[1]) - (none[1] - none[2])) < 1e-12)
    #expect(abs((none[0] - none[1]) - (none[3] - none[4])) < 1e-12)
    let sourceMean = (whole[0] + whole[1] + whole[2]) / 3
    #expect(abs((none[0] + none[1] + none[2]) / 3 - sourceMean) < 1e-12)
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
