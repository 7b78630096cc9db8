import RankStatistics
import Testing

@Suite struct ConformalResidualsTests {
  @Test func quantileIsTheRankThatTheCoverageNeeds() throws {
    let residuals = try #require(ConformalResiduals((1...19).shuffled().map(Double.init)))
    // ceil(20 x 0.9) = 18, ceil(20 x 0.5) = 10, ceil(20 x 0.95) = 19; 0.96 would want a 20th.
    #expect(residuals.quantile(coverage: 0.9) == 18)
    #expect(residuals.quantile(coverage: 0.5) == 10)
    #expect(residuals.quantile(coverage: 0.95) == 19)
    #expect(residuals.quantile(coverage: 0.96) == nil)
    #expect(ConformalResiduals.fewest(coverage: 0.95) == 19 && ConformalResiduals.fewest(coverage: 0.9) == 9)
    let nine = try #require(ConformalResiduals((1...9).map(Double.init)))
    #expect(nine.quantile(coverage: 0.9) == 9)
    #expect(try #require(ConformalResiduals((1...8).map(Double.init))).quantile(coverage: 0.9) == nil)
  }

  @Test func whatIsNoResidualIsRefused() {
    #expect(ConformalResiduals([1, -1]) == nil)
    #expect(ConformalResiduals([1, .infinity]) == nil)
    #expect(ConformalResiduals([1, .nan]) == nil)
  }
}
