import Foundation

/// Divides a whole number by shares so that the parts add up to it exactly: each gets its share rounded down, and what is left over
/// goes, one by one, to those that lost the largest remainder (Hamilton's method); of equal remainders the first gets it.
///
/// - Parameter shares: none negative; their sum is above 0.
package func apportion(_ total: Int, by shares: [Decimal]) -> [Int] {
  let sum = shares.reduce(0, +)
  precondition(
    total >= 0 && sum > 0 && shares.allSatisfy { $0 >= 0 }, "apportion: \(total) by \(sum)")
  return wholeParts(of: shares.map { Decimal(total) * $0 / sum }, total: total)
}

/// The same of quotas, which are what the shares come to before they are rounded.
func wholeParts(of quotas: [Decimal], total: Int) -> [Int] {
  // The last of a Decimal's 38 digits may be rounded: equal remainders must stay equal.
  let quotas = quotas.map { $0.rounded(digits: 20) }
  var parts = quotas.map(\.wholePart)
  let order = quotas.indices.sorted {
    let (left, right) = (quotas[$0] - Decimal(parts[$0]), quotas[$1] - Decimal(parts[$1]))
    return left != right ? left > right : $0 < $1
  }.filter { quotas[$0] > 0 }
  guard !order.isEmpty else { return parts }
  // By quotas of rounded numbers what is left may be more than there are parts, or below zero.
  var (left, place) = (total - parts.reduce(0, +), 0)
  while left > 0 {
    parts[order[place % order.count]] += 1
    (left, place) = (left - 1, place + 1)
  }
  while left < 0, let last = order.last(where: { parts[$0] > 0 }) {
    parts[last] -= 1
    left += 1
  }
  return parts
}

extension Decimal {
  /// The shortest decimal number that reads back as this one, which is what JSON files hold. Zero where it is too small for a Decimal.
  init(shortest value: Double) { self = Decimal(string: "\(value)") ?? 0 }

  /// As `NumberText.fixed` writes a number.
  init(_ value: Double, decimals: Int) {
    self = Decimal(string: String(format: "%.*f", decimals, value)) ?? Decimal(shortest: value)
  }

  func rounded(digits: Int, _ mode: NSDecimalNumber.RoundingMode = .plain) -> Decimal {
    var (value, result) = (self, Decimal())
    NSDecimalRound(&result, &value, digits, mode)
    return result
  }

  /// Rounded down. Not by NSDecimalNumber, which goes wrong where there are many digits.
  fileprivate var wholePart: Int { Int("\(rounded(digits: 0, .down))") ?? 0 }

  var double: Double { Double("\(self)") ?? 0 }
}
