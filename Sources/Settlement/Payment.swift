import Foundation
import Reporting

/// How money follows value.
package enum PaymentPolicy: Sendable, Equatable {
  /// The whole budget, by each provider's share of the value; who has none, or less, gets nothing.
  case share
  /// A price list: so much for a thousand counted tokens, and so much for a unit of value; the budget is what is spent at most.
  case floorSlope(floor: Double, slope: Double)

  /// A price as it is typed; throws `SettlementError.options` where it is no price.
  package static func price(_ text: String, option: String) throws(SettlementError) -> Double {
    guard let price = Double(text), price.isFinite else {
      throw .options("\(option) '\(text)': a number, as 0.25")
    }
    guard price >= 0 else { throw .options("\(option) \(text): a price is not below 0") }
    guard price <= 1e9 else { throw .options("\(option) \(text): more than 1e9 is no price") }
    return price
  }

  /// Throws `SettlementError.options` where nothing would ever be paid.
  package static func priceList(floor: Double, slope: Double) throws(SettlementError) -> PaymentPolicy {
    guard floor > 0 || slope > 0 else {
      throw .options("--policy floor-slope: with --floor 0 and --slope 0 nothing is paid; give one of them")
    }
    return .floorSlope(floor: floor, slope: slope)
  }

  package var name: String {
    switch self {
    case .share: "share"
    case .floorSlope: "floor-slope"
    }
  }

  /// The policy as a sentence.
  package var words: String {
    switch self {
    case .share:
      "The whole budget is divided in proportion to each provider’s total value of counted rows. A provider whose total"
        + " is zero or below gets nothing; its negative total takes nothing from others."
    case .floorSlope(let floor, let slope):
      "Every thousand counted tokens earn \(NumberText.tick(floor)) whatever they are worth, and every unit of a"
        + " provider’s total value \(NumberText.tick(slope)) more, where that total is above zero. The budget is the most"
        + " that is spent: where the prices come to more, all are lowered by one factor; where they come to less, the rest"
        + " stays with the buyer."
    }
  }

  /// The policy as a formula: B the budget, V a provider's total value, K its thousands of counted tokens.
  package var formula: String {
    switch self {
    case .share: "amount(p) = B · max(0, V(p)) / Σ max(0, V(q)), the sum over all providers q"
    case .floorSlope(let floor, let slope):
      "amount(p) = c · (\(NumberText.tick(floor)) · K(p) + \(NumberText.tick(slope)) · max(0, V(p))), c = min(1, B / Σ"
        + " prices)"
    }
  }
}

/// What each provider gets of a budget.
package struct Payment: Sendable, Equatable {
  package let budget: Money
  package let policy: PaymentPolicy
  /// In the order of the providers, in the currency's smallest unit; with `unspent` they add up to the budget.
  package let amounts: [Int]
  package let unspent: Int
  /// By how much the prices of a list were lowered so that they fit into the budget: c of its formula; 1 where they do.
  package let factor: Double

  /// - Parameters:
  ///   - values: total value of each provider's counted rows.
  ///   - tokens: how many tokens they have.
  package init(budget: Money, policy: PaymentPolicy, values: [Double], tokens: [Int]) {
    precondition(values.count == tokens.count, "Payment: \(values.count) values, \(tokens.count) tokens")
    (self.budget, self.policy) = (budget, policy)
    var parts: [Double]
    var rest = 0.0
    var factor = 1.0
    switch policy {
    case .share:
      parts = values.map { max(0, $0) }
    case .floorSlope(let floor, let slope):
      let prices = zip(values, tokens).map { floor * Double($1) / 1000 + slope * max(0, $0) }
      let units = Double(budget.units) / pow(10, Double(budget.currency.decimals))
      let sum = prices.reduce(0, +)
      parts = prices
      rest = max(0, units - sum)
      factor = sum > units ? units / sum : 1
    }
    // Nobody has earned anything: it stays with the buyer.
    if !(parts.reduce(0, +) > 0) { rest = 1 }
    let divided = apportion(budget.units, by: parts + [rest])
    (amounts, unspent, self.factor) = (Array(divided.dropLast()), divided.last!, factor)
  }
}
