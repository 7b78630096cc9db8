import RankStatistics
import Testing

@Suite("The top of a ranking")
struct TopRankedTests {
  @Test("NDCG and recall equal the NumPy definition, with and without ties")
  func equalNumPy() throws {
    let fixture = try SciPyFixture.read()
    for (rows, tops) in [(fixture.cases[0], fixture.top), (fixture.cases[1], fixture.topTies)] {
      // The fixture scores the normal case's x by its y, the tied case's y by its x.
      let (scores, truth) = rows.name == "normal" ? (rows.y, rows.x) : (rows.x, rows.y)
      for top in tops {
        let gain = try #require(ndcg(scores, truth: truth, fraction: top.fraction))
        #expect(abs(gain - top.ndcg) < 1e-12, "\(rows.name) \(top.fraction)")
        #expect(recall(scores, truth: truth, fraction: top.fraction) == top.recall, "\(rows.name)")
      }
    }
  }

  @Test("the right order is worth one, the wrong one less, and ties stand in row order")
  func bounds() {
    let truth = (0..<50).map(Double.init)
    #expect(ndcg(truth, truth: truth, fraction: 0.1) == 1)
    #expect(ndcg(truth.map { -$0 }, truth: truth, fraction: 0.1)! < 0.1)
    #expect(recall(truth.map { -$0 }, truth: truth, fraction: 0.1) == 0)
    #expect(topIndices([1, 5, 5, 2], count: 3) == [1, 2, 3])
    #expect(topIndices([1, 2], count: 9) == [1, 0])
    #expect(recall([0, 0, 0, 0], truth: [4, 3, 2, 1], fraction: 0.5) == 1)
  }

  @Test("at least one row is the top, and no rows or a NaN have none")
  func degenerate() {
    #expect(topCount(3, fraction: 0.1) == 1)
    #expect(topCount(15, fraction: 0.1) == 2)
    #expect(ndcg([], truth: [], fraction: 0.1) == nil)
    #expect(recall([], truth: [], fraction: 0.1) == nil)
    #expect(ndcg([.nan, 1], truth: [1, 2], fraction: 0.5) == nil)
    #expect(recall([1, 2], truth: [.nan, 2], fraction: 0.5) == nil)
  }
}
