import Foundation
import Settlement
import Testing

/// Does again by hand, from what stands on the page, what the page says is paid.
@Suite("The payment table can be recomputed")
struct PaymentTableTests {
  private let rows: ScoredRows

  init() throws { rows = try ScoredRows() }

  private static let budgets = ["0.07 EUR", "1000 EUR", "123456.78 EUR", "1000000 JPY", "9999999999.99 USD"]
  private static let policies: [PaymentPolicy] = [
    .share, .floorSlope(floor: 0.25, slope: 0.125), .floorSlope(floor: 0.00005, slope: 3),
    .floorSlope(floor: 0, slope: 0.1), .floorSlope(floor: 1234.5, slope: 0),
  ]

  /// Rows of so many providers, some of whose scores are below zero, and as small as `unit`.
  private func lines(_ providers: Int, seed: UInt64, unit: Double) -> [String] {
    var state = seed
    func next(_ bound: UInt64) -> UInt64 {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return (state >> 24) % bound
    }
    return (0..<providers * 6).map { place in
      let score = unit * (Double(next(1_000_000)) / 300_000 - 1)
      return ScoredRows.line("r\(place)", "p\(place % providers)", score, tokens: 1 + Int(next(3000)))
    }
  }

  @Test("every amount, by the formula that is printed", arguments: budgets, 0..<policies.count)
  func amounts(budget: String, policy: Int) throws {
    for (seed, unit) in [(1, 1.0), (2, 1e-7), (3, 1e5)] {
      let settlement = try rows.settle(lines(4 + seed * 3, seed: UInt64(seed), unit: unit)) {
        $0.payment = (try! Money(budget: budget), Self.policies[policy])
      }
      let table = try PrintedPayment(settlement.html())
      #expect(table.amounts.count == settlement.providers.count)
      #expect(table.amounts == settlement.payment?.amounts.map(\.units))
      #expect(table.recomputed() == table.amounts, "\(seed)")
      let decimals = try #require(settlement.payment?.valueDecimals)
      #expect(unit < 1 || decimals < 16, "more digits than anybody wants: \(decimals)")
    }
  }

  @Test("one provider's, and those of more than are shown, but for what is left over")
  func partly() throws {
    for (place, policy) in Self.policies.enumerated() {
      for (providers, name) in [(5, "p3"), (40, nil)] as [(Int, String?)] {
        let settlement = try rows.settle(lines(providers, seed: 7, unit: 1)) {
          $0.payment = (try! Money(budget: "1000 EUR"), policy)
          $0.provider = name
        }
        let html = settlement.html()
        #expect(html.contains("not shown"))
        let table = try PrintedPayment(html)
        #expect(table.amounts.count == (name == nil ? 24 : 1))
        for (amount, quota) in zip(table.amounts, table.quotas()) {
          #expect(abs(Decimal(amount) - quota) < 1, "\(place)")
        }
      }
    }
  }
}

/// The payment section's numbers as a reader sees them.
private struct PrintedPayment {
  /// In the currency's smallest unit.
  let budget: Int
  let scale: Decimal
  let values: [Decimal]
  let thousands: [Decimal]
  let amounts: [Int]
  /// Floor, slope and c of a price list; or Σ max(0, V).
  let prices: (floor: Decimal, slope: Decimal, factor: Decimal)?
  let sum: Decimal?

  init(_ html: String) throws {
    let section = try #require(
      html.components(separatedBy: "<h2 id=\"payment\">").last?.components(separatedBy: "</section>").first)
    func captured(_ pattern: String) throws -> [String] {
      let found = try #require(section.firstMatch(of: try Regex(pattern)), "\(pattern)")
      return found.output.dropFirst().map { String($0.substring ?? "") }
    }
    let number = "([0-9\u{202F}.−]+)"
    let total = try captured("a budget of \(number)")[0]
    scale = pow(10, total.contains(".") ? total.split(separator: ".")[1].count : 0)
    func units(_ text: String, _ scale: Decimal) throws -> Int {
      try #require(Int("\(try Self.decimal(text) * scale)"))
    }
    budget = try units(total, scale)
    if section.contains("c = min(1, B / Σ") {
      let found = try captured("c · \\(\(number) · K\\(p\\) \\+ \(number) · max")
      let factor = try captured("Here c is ([0-9\u{202F}]+(?:\\.[0-9]+)?)")[0]
      prices = (try Self.decimal(found[0]), try Self.decimal(found[1]), try Self.decimal(factor))
      sum = nil
    } else {
      prices = nil
      sum = try Self.decimal(try captured("Here Σ max\\(0, V\\(q\\)\\) is ([0-9\u{202F}]+(?:\\.[0-9]+)?)")[0])
    }
    let table = try #require(section.components(separatedBy: "<tbody>").dropFirst().first)
    let cells = table.components(separatedBy: "<tr>").dropFirst().map { row in
      row.components(separatedBy: "<td class=\"n\">").dropFirst().map {
        $0.components(separatedBy: "</td>")[0]
      }
    }
    values = try cells.map { try Self.decimal($0[0]) }
    thousands = try cells.map { try Self.decimal($0[1]) }
    let scale = scale
    amounts = try cells.map { try units($0[2].components(separatedBy: "\u{A0}")[0], scale) }
  }

  private static func decimal(_ text: String) throws -> Decimal {
    let plain = text.replacing("\u{202F}", with: "").replacing("−", with: "-")
    return try #require(Decimal(string: plain.hasSuffix(".") ? String(plain.dropLast()) : plain), "\(text)")
  }

  /// The formula, in the smallest unit.
  func quotas() -> [Decimal] {
    zip(values, thousands).map { value, thousand in
      if let sum { return Decimal(budget) * max(0, value) / sum }
      let (floor, slope, factor) = prices!
      return factor * (floor * thousand + slope * max(0, value)) * scale
    }
  }

  /// Rounded down, and what is left over to the largest remainders, the unspent among them.
  func recomputed() -> [Int] {
    var quotas = quotas()
    let spent = quotas.reduce(0, +)
    quotas.append(sum == nil && prices!.factor == 1 ? Decimal(budget) - spent : 0)
    func whole(_ quota: Decimal) -> Int { Int("\(quota)".split(separator: ".")[0])! }
    var parts = quotas.map(whole)
    let remainders = quotas.indices.map { Double("\(quotas[$0] - Decimal(parts[$0]))")! }
    let order = quotas.indices.sorted {
      abs(remainders[$0] - remainders[$1]) > 1e-12 ? remainders[$0] > remainders[$1] : $0 < $1
    }
    for place in order.prefix(max(0, budget - parts.reduce(0, +))) { parts[place] += 1 }
    return Array(parts.dropLast())
  }
}
