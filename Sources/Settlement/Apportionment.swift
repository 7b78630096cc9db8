import Foundation

/// Rounds quotas so that they add up to a total exactly: each is rounded down, and what is left over goes, one by one, to those that lost
/// the largest remainder (Hamilton's method); of equal remainders the first gets it.
///
/// - Returns: nil where no such division is there, as the quotas do not add up to the total: more is left over than there are quotas above
///   zero, or less than nothing.
func wholeParts(of quotas: [Decimal], total: Int) -> [Int]? {
  // The last of a Decimal's 38 digits may be rounded: equal remainders must stay equal.
  let quotas = quotas.map { $0.rounded(digits: 20) }
  var parts = quotas.map(\.wholePart)
  let paid = quotas.indices.filter { quotas[$0] > 0 }
  let left = Decimal(total) - parts.reduce(0) { $0 + Decimal($1) }
  guard left >= 0, left <= Decimal(paid.count) else { return nil }
  let remainders = zip(quotas, parts).map { $0 - Decimal($1) }
  let order = paid.sorted {
    remainders[$0] != remainders[$1] ? remainders[$0] > remainders[$1] : $0 < $1
  }
  for place in order.prefix(Int("\(left)") ?? 0) { parts[place] += 1 }
  return parts
}

extension Decimal {
  /// The shortest decimal number that reads back as this one, which is what JSON files hold. Zero below 10⁻³⁰: a product of numbers
  /// so small ends the program, for Decimal has no room for it.
  init(shortest value: Double) { self = value.magnitude < 1e-30 ? 0 : Decimal(string: "\(value)") ?? 0 }

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
