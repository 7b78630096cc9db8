import Foundation

/// A currency: its name as it is written behind an amount, and the digits behind its point.
package struct Currency: Sendable, Equatable {
  /// An ISO 4217 code; empty where none was given.
  package let code: String
  package let decimals: Int

  /// - Parameter code: three capital letters, or nothing. What ISO 4217 lists without or with three decimals has those, all else two.
  package init?(code: String) {
    guard code.isEmpty || code.count == 3 && code.allSatisfy({ $0.isASCII && $0.isUppercase }) else {
      return nil
    }
    self.code = code
    decimals = Self.withoutDecimals.contains(code) ? 0 : Self.withThree.contains(code) ? 3 : 2
  }

  private static let withoutDecimals: Set<String> = [
    "BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "UYI", "VND", "VUV", "XAF",
    "XOF",
    "XPF",
  ]
  private static let withThree: Set<String> = ["BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"]

  /// An amount in words: `1 234.50 EUR`.
  package func text(_ units: Int) -> String {
    digits(units) + (code.isEmpty ? "" : "\u{00A0}" + code)
  }

  /// The same without the currency's name.
  package func digits(_ units: Int) -> String {
    let scale = Int(pow(10, Double(decimals)))
    let magnitude = Int(units.magnitude)
    var whole = ""
    for (place, digit) in String(magnitude / scale).reversed().enumerated() {
      if place > 0, place % 3 == 0 { whole.append("\u{202F}") }
      whole.append(digit)
    }
    let fraction = decimals == 0 ? "" : "." + String(String(magnitude % scale + scale).dropFirst())
    return (units < 0 ? "−" : "") + String(whole.reversed()) + fraction
  }

  /// The smallest unit, in words.
  package var smallestUnit: String { text(1) }
}

/// A sum of money in its currency's smallest unit.
package struct Money: Sendable, Equatable {
  package var units: Int
  package var currency: Currency

  package init(units: Int, currency: Currency) { (self.units, self.currency) = (units, currency) }

  package var text: String { currency.text(units) }

  /// More than this is no budget but a slip.
  package static let limit = 1_000_000_000_000_000

  /// A budget as it is typed: `1500`, `1500.50`, `1500.50 EUR`, `EUR 1500`. Throws `SettlementError.options` where it is none, is not
  /// above 0, has more decimals than the currency or is absurdly large.
  package init(budget text: String) throws(SettlementError) {
    func refuse(_ reason: String) -> SettlementError { .options("--budget '\(text)': \(reason)") }
    let letters = text.filter(\.isLetter)
    let number = text.filter { !$0.isLetter && !$0.isWhitespace }
    guard let currency = Currency(code: letters.uppercased()), !number.isEmpty,
      letters.isEmpty || text.contains(letters)
    else { throw refuse("an amount and, where you like, a currency's three letters, as '1500.50 EUR'") }
    guard !number.hasPrefix("-"), !number.hasPrefix("−") else { throw refuse("it is below 0") }
    let parts = number.split(separator: ".", omittingEmptySubsequences: false)
    guard parts.count <= 2, !parts[0].isEmpty,
      parts.allSatisfy({ $0.allSatisfy { "0123456789".contains($0) } })
    else { throw refuse("digits and one point, as '1500.50'") }
    let decimals = parts.count == 2 ? String(parts[1]) : ""
    guard decimals.count <= currency.decimals else {
      throw refuse(
        "\(decimals.count) decimals, where \(currency.code.isEmpty ? "money" : currency.code) has \(currency.decimals)"
      )
    }
    let padding = String(repeating: "0", count: currency.decimals - decimals.count)
    guard let units = Int(parts[0] + decimals + padding), units <= Self.limit else {
      throw refuse("more than \(currency.text(Self.limit)) is no budget")
    }
    guard units > 0 else { throw refuse("there is nothing to divide; an amount above 0") }
    (self.units, self.currency) = (units, currency)
  }
}
