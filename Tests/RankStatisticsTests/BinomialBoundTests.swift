import Foundation
import RankStatistics
import Testing

@Suite struct BinomialBoundTests {
  /// `1 - 0.05^(1/n)`, the rule of three's exact form.
  @Test(arguments: [1, 10, 200, 500]) func noneWrongIsTheRuleOfThree(_ count: Int) {
    #expect(abs(binomialUpperBound(wrong: 0, of: count) - (1 - pow(0.05, 1 / Double(count)))) < 1e-9)
  }

  /// scipy.stats.beta.ppf(0.95, k + 1, n - k)
  @Test func isClopperPearsons() {
    #expect(abs(binomialUpperBound(wrong: 3, of: 200) - 0.03830971) < 1e-6)
    #expect(abs(binomialUpperBound(wrong: 5, of: 10) - 0.77755890) < 1e-6)
    #expect(binomialUpperBound(wrong: 4, of: 4) == 1 && binomialUpperBound(wrong: 0, of: 0) == 1)
  }
}
