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
    guard price == 0 || price >= 1e-12 else {
      throw .options("\(option) \(text): less than 1e-12 is no price")
    }
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
        + " is zero or below gets nothing; its negative total takes nothing from others. Where nobody’s is above zero nothing is"
        + " paid, and the budget stays with the buyer."
    case .floorSlope(let floor, let slope):
      "Every thousand counted tokens earn \(NumberText.exact(floor)) whatever they are worth, and every unit of a"
        + " provider’s total value \(NumberText.exact(slope)) more, where that total is above zero. The budget is the most"
        + " that is spent: where the prices come to more, all are lowered by one factor; where they come to less, the rest"
        + " stays with the buyer."
    }
  }

  /// The policy as a formula: B the budget, V a provider's total value, K its thousands of counted tokens.
  package var formula: String {
    switch self {
    case .share: "amount(p) = B · max(0, V(p)) / Σ max(0, V(q)), the sum over all providers q"
    case .floorSlope(let floor, let slope):
      "amount(p) = c · (\(NumberText.exact(floor)) · K(p) + \(NumberText.exact(slope)) · max(0, V(p))), c = min(1, B / Σ"
        + " prices)"
    }
  }
}

/// What each provider gets of a budget.
///
/// It is computed in decimal numbers from the values as report.json holds them, so that whoever does it again by hand gets the same.
package struct Payment: Sendable, Equatable {
  package let budget: Money
  package let policy: PaymentPolicy
  /// In the order of the providers, in the currency's smallest unit; with `unspent` they add up to the budget.
  package let amounts: [Int]
  package let unspent: Int
  /// By how much the prices of a list were lowered so that they fit into the budget: c of its formula; 1 where they do.
  package let factor: Double
  /// The fewest digits behind the point with which the same amounts follow from the rounded values; and from them and the rounded factor,
  /// 0 where that is 1. Nil where no number of digits that is tried will do, as of values many powers of ten apart.
  package let valueDecimals: Int?
  package let factorDecimals: Int?
  /// Σ max(0, V) of the values that are rounded so, or of all their digits.
  package let valueSum: Double

  /// - Parameters:
  ///   - values: total value of each provider's counted rows.
  ///   - tokens: how many tokens they have.
  package init(budget: Money, policy: PaymentPolicy, values: [Double], tokens: [Int]) {
    precondition(values.count == tokens.count, "Payment: \(values.count) values, \(tokens.count) tokens")
    (self.budget, self.policy) = (budget, policy)
    func division(by values: [Decimal]) -> Division {
      Division(of: budget, policy, values: values, tokens: tokens)
    }
    let exact = values.map { Decimal(shortest: $0) }
    let whole = division(by: exact)
    guard let parts = whole.parts() else { preconditionFailure("Payment: shares that add up to no budget") }
    (amounts, unspent) = (Array(parts.dropLast()), parts[values.count])
    let factor = whole.factor
    func rounded(_ digits: Int) -> [Decimal] { values.map { Decimal($0, decimals: digits) } }
    let largest = exact.map(\.magnitude).max()?.double ?? 0
    let valueDecimals = Self.fewest(from: Self.readable(largest, atLeast: 3)) {
      division(by: rounded($0)).parts() == parts
    }
    let shown = valueDecimals.map(rounded) ?? exact
    let last = division(by: shown)
    factorDecimals =
      factor < 1
      ? Self.fewest(from: Self.readable(factor, atLeast: 6)) {
        last.parts(factor: Decimal(factor, decimals: $0)) == parts
      } : 0
    valueSum = shown.reduce(0) { $0 + max(0, $1) }.double
    (self.factor, self.valueDecimals) = (factor, valueDecimals)
  }

  /// So many digits behind the point that of a small number three can be read.
  private static func readable(_ number: Double, atLeast fewest: Int) -> Int {
    number > 0 ? max(fewest, 2 - Int(log10(number).rounded(.down))) : fewest
  }

  /// The first number of digits that will do; nil where none of those will with which a number gets all digits that it can have.
  private static func fewest(from first: Int, _ willDo: (Int) -> Bool) -> Int? {
    (first..<first + 25).first(where: willDo)
  }
}

/// A budget's division, which is exact until its parts are rounded.
private struct Division {
  let budget: Money
  let policy: PaymentPolicy
  /// Values above zero, or prices.
  let claims: [Decimal]
  let sum: Decimal

  init(of budget: Money, _ policy: PaymentPolicy, values: [Decimal], tokens: [Int]) {
    (self.budget, self.policy) = (budget, policy)
    let all = zip(values, tokens).map { value, tokens in
      switch policy {
      case .share: max(0, value)
      case .floorSlope(let floor, let slope):
        Decimal(shortest: floor) * Decimal(tokens) / 1000 + Decimal(shortest: slope) * max(0, value)
      }
    }
    let sum = all.reduce(0, +)
    // Of the greatest budget so small a part is nothing to twenty digits, and Decimal may have no room for it.
    claims = all.map { $0 < sum * Decimal(string: "1e-36")! ? 0 : $0 }
    self.sum = sum
  }

  private var scale: Decimal { pow(10, budget.currency.decimals) }

  private var money: Decimal { Decimal(budget.units) / scale }

  /// Whether a price list comes to more than the budget.
  private var isOverBudget: Bool { policy != .share && sum > money }

  /// Of a price list, 1 at most. A Double, for the quotient of a small and an enormous Decimal loses its digits.
  var factor: Double { isOverBudget ? money.double / sum.double : 1 }

  /// Each one's part, and behind them what nobody gets; nil where a rounded factor's do not add up to the budget.
  ///
  /// - Parameter rounded: the factor as it is written down; nil for the exact one.
  func parts(factor rounded: Decimal? = nil) -> [Int]? {
    let total = Decimal(budget.units)
    let isSpent = sum > 0 && (policy == .share || isOverBudget)
    let quotas = claims.map { claim in
      if let rounded { return rounded * claim * scale }
      // In one division, which rounds nothing before.
      return isSpent ? total * claim / sum : claim * scale
    }
    let rest = isSpent ? 0 : max(0, total - quotas.reduce(0, +))
    return wholeParts(of: quotas + [rest], total: budget.units)
  }
}
