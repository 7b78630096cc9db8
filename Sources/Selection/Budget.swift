/// How much may be chosen.
package struct Budget: Sendable, Equatable {
  package enum Unit: String, Sendable, CaseIterable {
    case tokens, rows
    /// Of the text as a valuator reads it, in UTF-8.
    case bytes

    /// `1 row`, `5 rows`.
    package func words(_ amount: Int) -> String {
      amount == 1 ? "1 \(rawValue.dropLast())" : "\(amount) \(rawValue)"
    }
  }

  package var amount: Int
  package var unit: Unit

  package init(_ amount: Int, _ unit: Unit) { (self.amount, self.unit) = (amount, unit) }

  /// `1500`, `20K`, `1.5M` or `2G`: thousands, millions, thousand millions. Nil where it is none of these, or not positive.
  package static func amount(_ text: String) -> Int? {
    let factors: [Character: Double] = ["K": 1e3, "M": 1e6, "G": 1e9]
    let factor = text.last.flatMap { factors[Character($0.uppercased())] }
    let digits = factor == nil ? text : String(text.dropLast())
    guard !digits.isEmpty, digits.allSatisfy({ $0.isASCII && ($0.isNumber || $0 == ".") }),
      let number = Double(digits)
    else { return nil }
    let amount = (number * (factor ?? 1)).rounded()
    guard amount >= 1, amount < 0x1p53, factor != nil || number == amount else { return nil }
    return Int(amount)
  }
}

/// What one source may or must give, in the budget's unit.
package struct SourceLimit: Sendable, Equatable {
  package enum Amount: Sendable, Equatable {
    case absolute(Int)
    /// Of the budget.
    case share(Double)

    package func resolved(_ budget: Int) -> Int {
      switch self {
      case .absolute(let amount): amount
      case .share(let share): Int((share * Double(budget)).rounded(.down))
      }
    }
  }

  /// Nil: every source that has none of its own.
  package var source: String?
  package var amount: Amount

  package init(source: String?, amount: Amount) { (self.source, self.amount) = (source, amount) }

  /// `AMOUNT`, `PERCENT%`, or the same behind `SOURCE=`; nil where it is none of these.
  package init?(_ text: String) {
    let cut = text.lastIndex(of: "=")
    source = cut.map { String(text[..<$0]) }
    let amount = cut.map { String(text[text.index(after: $0)...]) } ?? text
    if amount.hasSuffix("%"), let percent = Double(amount.dropLast()), percent > 0, percent <= 100 {
      self.amount = .share(percent / 100)
    } else if let number = Budget.amount(amount) {
      self.amount = .absolute(number)
    } else {
      return nil
    }
  }
}
