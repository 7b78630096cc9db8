import Foundation
import Settlement
import Testing

@Suite("Money and its division")
struct MoneyTests {
  @Test(
    "a budget as people write it",
    arguments: [
      ("1500", 150_000, ""), ("1500.5", 150_050, ""), ("0.01", 1, ""), ("1500.50 EUR", 150_050, "EUR"),
      ("EUR 1500", 150_000, "EUR"), ("250000JPY", 250_000, "JPY"), ("1.234 KWD", 1234, "KWD"),
      ("7 usd", 700, "USD"),
    ])
  func reads(text: String, units: Int, code: String) throws {
    let money = try Money(budget: text)
    #expect(money.units == units && money.currency.code == code)
  }

  @Test(
    "what is no budget is refused",
    arguments: [
      "", "EUR", "-5", "−5 EUR", "0", "0.00 EUR", "1.005", "12.5 JPY", "1e6", "nan", "inf", "1,500", "1.2.3",
      ".5",
      "5 EURO", "E5UR", "99999999999999999999", "10000000000001", "five",
    ])
  func refuses(text: String) {
    #expect(throws: SettlementError.self) { try Money(budget: text) }
  }

  @Test("prices below zero, without end or beyond reason are refused")
  func prices() throws {
    for text in ["-0.1", "nan", "inf", "1e10", "1e-13", "x", ""] {
      #expect(throws: SettlementError.self, "\(text)") { try PaymentPolicy.price(text, option: "--floor") }
    }
    #expect(try PaymentPolicy.price("0.0005", option: "--floor") == 0.0005)
    #expect(throws: SettlementError.self) { try PaymentPolicy.priceList(floor: 0, slope: 0) }
  }

  @Test("amounts are written with their currency's decimals")
  func writes() throws {
    let euro = try #require(Currency(code: "EUR"))
    #expect(euro.text(123_450_7) == "12\u{202F}345.07\u{A0}EUR")
    #expect(euro.text(-5) == "−0.05\u{A0}EUR" && euro.text(100) == "1.00\u{A0}EUR")
    #expect(try #require(Currency(code: "JPY")).text(1_000_000) == "1\u{202F}000\u{202F}000\u{A0}JPY")
    #expect(try #require(Currency(code: "")).text(1) == "0.01")
    #expect(Currency(code: "eur") == nil && Currency(code: "EU") == nil)
  }

  private func shares(of units: Int, _ values: [Double]) -> Payment {
    Payment(
      budget: Money(units: units, currency: Currency(code: "")!), policy: .share, values: values,
      tokens: values.map { _ in 1 })
  }

  @Test("the largest remainders get what rounding leaves over")
  func remainders() {
    // Quotas 4.7, 3.2, 2.1.
    #expect(shares(of: 10, [47, 32, 21]).amounts == [5, 3, 2])
    #expect(shares(of: 1, [1, 1, 1]).amounts == [1, 0, 0])
    #expect(shares(of: 2, [0, 1, 1, 1]).amounts == [0, 1, 1, 0])
    #expect(shares(of: 7, [0, 5, 0]).amounts == [0, 7, 0])
    // Equal remainders: of thirds, and of numbers that are no sums of powers of two.
    #expect(shares(of: 100, [1, 1, 1]).amounts == [34, 33, 33])
    #expect(shares(of: 2, [0.3, 0.1, 0.1, 0.3, 0.2]).amounts == [1, 0, 0, 1, 0])
  }

  @Test("parts always add up, whatever the shares, and none is more than a unit off its quota")
  func exact() {
    var state: UInt64 = 42
    func next() -> UInt64 {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return state >> 20
    }
    for round in 0..<300 {
      let count = 1 + Int(next() % 40)
      let values = (0..<count).map { _ in
        next() % 5 == 0 ? 0 : Double(next() % 1_000_000) * (next() % 3 == 0 ? 1e-9 : 1)
      }
      let shares = values.map { Decimal(string: "\($0)")! }
      let sum = shares.reduce(0, +)
      guard sum > 0 else { continue }
      let total = round % 4 == 0 ? Money.limit - Int(next() % 1000) : 1 + Int(next() % 100_000)
      let parts = self.shares(of: total, values).amounts
      #expect(parts.reduce(0, +) == total)
      for (part, share) in zip(parts, shares) {
        #expect(part >= 0 && (share > 0 || part == 0))
        #expect(abs(Decimal(part) - Decimal(total) * share / sum) < 1)
      }
    }
  }
}

@Suite("Policies")
struct PaymentTests {
  private func budget(_ text: String) throws -> Money { try Money(budget: text) }

  @Test("share: by value above zero, all of it")
  func share() throws {
    let payment = Payment(
      budget: try budget("100"), policy: .share, values: [6, -3, 3, 0], tokens: [1, 1, 1, 1])
    #expect(payment.amounts == [6667, 0, 3333, 0] && payment.unspent == 0)
  }

  @Test("share: where nobody has value everything stays with the buyer")
  func nothing() throws {
    let payment = Payment(budget: try budget("100"), policy: .share, values: [-1, 0], tokens: [5, 5])
    #expect(payment.amounts == [0, 0] && payment.unspent == 10_000)
  }

  @Test("floor-slope: the prices while the budget lasts, the rest stays")
  func withinBudget() throws {
    let policy = try PaymentPolicy.priceList(floor: 2, slope: 0.5)
    let payment = Payment(
      budget: try budget("100 EUR"), policy: policy, values: [10, -4], tokens: [3000, 1500])
    // 2 · 3 + 0.5 · 10 = 11; 2 · 1.5 + 0 = 3.
    #expect(payment.amounts == [1100, 300] && payment.unspent == 8600 && payment.factor == 1)
  }

  @Test("floor-slope: beyond the budget all prices fall by one factor")
  func beyondBudget() throws {
    let policy = try PaymentPolicy.priceList(floor: 2, slope: 0.5)
    let payment = Payment(
      budget: try budget("7 EUR"), policy: policy, values: [10, -4], tokens: [3000, 1500])
    #expect(payment.amounts == [550, 150] && payment.unspent == 0 && payment.factor == 0.5)
  }

  @Test("equal remainders are equal: the first of them gets what is left over")
  func equalRemainders() throws {
    // 0.25 · 3.1 is 77.5 cents and 0.25 · 5.1 is 127.5, which doubles do not hold.
    let policy = try PaymentPolicy.priceList(floor: 0.25, slope: 0)
    let payment = Payment(
      budget: try budget("2.05"), policy: policy, values: [0, 0], tokens: [3100, 5100])
    #expect(payment.amounts == [78, 127] && payment.unspent == 0)
  }

  /// A row of an enormous score: c is then so small that six digits show nothing of it.
  @Test("floor-slope: whatever the values are, the digits that are said are enough, or none are said")
  func farApart() throws {
    let policy = try PaymentPolicy.priceList(floor: 0, slope: 1e8)
    let budget = try budget("1000000000 EUR")
    for values in [
      [1e30, 1.5], [1.33e36, 7e35, 3], [1e30, 1e29, 1e28], [1e30, 1e-20], [1e30, 1e-300], [3e12, 1e12],
    ] {
      let payment = Payment(budget: budget, policy: policy, values: values, tokens: values.map { _ in 1000 })
      #expect(payment.amounts.reduce(payment.unspent, +) == budget.units && payment.amounts[0] > 0)
      #expect(abs(payment.factor * values.reduce(0, +) / 10 - 1) < 1e-12, "\(values): \(payment.factor)")
      guard let decimals = payment.factorDecimals, payment.valueDecimals != nil else { continue }
      let said = Double(String(format: "%.*f", decimals, payment.factor))!
      #expect(abs(said / payment.factor - 1) < 1e-6, "\(values): \(said)")
    }
    let one = Payment(budget: budget, policy: policy, values: [3e12, 1e12], tokens: [1, 1])
    #expect(one.factorDecimals != nil && one.amounts == [75_000_000_000, 25_000_000_000])
  }

  @Test("numbers too small for any amount get nothing")
  func tooSmall() throws {
    let list = try PaymentPolicy.priceList(floor: 1e-12, slope: 1e-12)
    for policy in [.share, list] {
      let payment = Payment(
        budget: try budget("10"), policy: policy, values: [1e-29, 1e-127, Double.leastNonzeroMagnitude, 4],
        tokens: [1, 1, 1, 1])
      #expect(payment.amounts.dropLast() == [0, 0, 0] && payment.amounts.reduce(payment.unspent, +) == 1000)
      #expect(payment.amounts[3] == (policy == .share ? 1000 : 0))
    }
    let alone = Payment(budget: try budget("10"), policy: .share, values: [1e-127], tokens: [1])
    #expect(alone.amounts == [0] && alone.unspent == 1000 && alone.valueDecimals == 3)
  }

  @Test("both policies are there in words and as a formula with their prices")
  func words() throws {
    let list = try PaymentPolicy.priceList(floor: 0.25, slope: 0.5)
    #expect(list.words.contains("0.25") && list.words.contains("0.5") && list.formula.contains("0.25 · K(p)"))
    #expect(PaymentPolicy.share.formula.contains("max(0, V(p))") && !PaymentPolicy.share.words.isEmpty)
    // A price as it was typed, not rounded.
    let small = try PaymentPolicy.priceList(floor: 0.000025, slope: 12_345.678)
    #expect(small.formula.contains("0.000025 · K(p)") && small.formula.contains("12\u{202F}345.678 · max"))
  }
}
