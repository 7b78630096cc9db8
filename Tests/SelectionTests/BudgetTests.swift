import Selection
import Testing

@Suite struct BudgetTests {
  @Test func amountsHaveSuffixes() {
    #expect(Budget.amount("1500") == 1500)
    #expect(Budget.amount("20K") == 20_000 && Budget.amount("20k") == 20_000)
    #expect(Budget.amount("1.5M") == 1_500_000 && Budget.amount("2G") == 2_000_000_000)
    for wrong in ["", "0", "-3", "1.5", "M", "3T", "1e3", "NaN", "inf", "1 K", "99999999999999G"] {
      #expect(Budget.amount(wrong) == nil, "\(wrong)")
    }
  }

  @Test func limitsNameTheirSources() {
    #expect(SourceLimit("10M") == SourceLimit(source: nil, amount: .absolute(10_000_000)))
    #expect(SourceLimit("20%") == SourceLimit(source: nil, amount: .share(0.2)))
    #expect(SourceLimit("a=b=5") == SourceLimit(source: "a=b", amount: .absolute(5)))
    #expect(SourceLimit("web=0.5%")?.amount.resolved(1001) == 5)
    for wrong in ["", "web=", "=", "0%", "101%", "web=x"] { #expect(SourceLimit(wrong) == nil, "\(wrong)") }
  }
}
