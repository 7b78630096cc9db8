import RankStatistics
import Testing

@Suite("Correlations")
struct CorrelationTests {
  @Test("ranks, Pearson, Spearman and Gaussianised ranks equal SciPy's, with and without ties")
  func equalSciPy() throws {
    for fixture in try SciPyFixture.read().cases {
      #expect(ranks(fixture.x) == fixture.ranks, "\(fixture.name)")
      let r = try #require(pearson(fixture.x, fixture.y))
      #expect(abs(r - fixture.pearson) < 1e-7, "\(fixture.name)")
      let rho = try #require(spearman(fixture.x, fixture.y))
      #expect(abs(rho - fixture.spearman) < 1e-12, "\(fixture.name)")
      #expect(worstDifference(rankGaussianize(fixture.x), fixture.gaussianized) < 1e-9, "\(fixture.name)")
    }
  }

  @Test("equal values share the average rank")
  func ties() {
    #expect(ranks([3, 1, 3, 2, 3]) == [4, 1, 4, 2, 4])
    #expect(ranks([]) == [])
    #expect(ranks([7, 7]) == [1.5, 1.5])
  }

  @Test("nothing is defined for a constant, one row, no rows or a NaN: nil, never NaN")
  func degenerate() {
    let constant = [Double](repeating: 0.1, count: 13)
    let rising = (0..<13).map(Double.init)
    #expect(pearson(constant, rising) == nil)
    #expect(spearman(rising, constant) == nil)
    #expect(spearman([1], [2]) == nil)
    #expect(spearman([], []) == nil)
    #expect(spearman([1, .nan, 3], [1, 2, 3]) == nil)
    #expect(pearson([1, .infinity, 3], [1, 2, 3]) == nil)
  }

  @Test("the order is all that Spearman sees, infinities included")
  func monotone() {
    #expect(spearman([1, 2, 3, .infinity], [-8, 0, 27, 64]) == 1)
    #expect(spearman([1, 2, 3, 4], [4, 3, 2, 1]) == -1)
  }

  @Test("a ranking that only sorts the groups is high overall and nothing within")
  func withinGroups() {
    var groups: [String] = []
    var truth: [Double] = []
    var sorter: [Double] = []
    for row in 0..<40 {
      let isHigh = row >= 20
      groups.append(isHigh ? "a" : "b")
      truth.append(Double((row * 7) % 20) + (isHigh ? 100 : 0))
      sorter.append(isHigh ? 1 : 0)
    }
    groups += ["small", "small"]
    truth += [0, 1]
    sorter += [0, 0]
    #expect(spearman(sorter, truth)! > 0.8)
    let none = spearmanWithin(sorter, truth, groups: groups)
    #expect(none.groups.map { $0.name } == ["a", "b"])
    #expect(none.groups.map { $0.count } == [20, 20])
    #expect(none.groups.allSatisfy { $0.value == nil })
    #expect(none.mean == nil)
    #expect(none.leftOut == ["small"])

    let flipped = zip(truth, groups).map { $1 == "a" ? -$0 : $0 }
    let mixed = spearmanWithin(flipped, truth, groups: groups)
    #expect(mixed.groups.map { $0.value } == [-1, 1])
    #expect(mixed.mean == 0)
    #expect(spearmanWithin(truth, truth, groups: groups, minimumCount: 2).groups.count == 3)

    let numbers = groups.map { ["b": 0, "a": 1, "small": 2][$0]! }
    #expect(meanSpearmanWithin(flipped, truth, groups: numbers) == 0)
    #expect(meanSpearmanWithin(sorter, truth, groups: numbers) == nil)
    #expect(meanSpearmanWithin([], [], groups: []) == nil)
  }
}
