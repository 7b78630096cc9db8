import Reporting

/// What is paid, and by which rule.
extension SettlementPage {
  mutating func payment() -> Markup {
    guard let payment = settlement.payment, let money else {
      return """
        <section aria-labelledby="payment">
        <h2 id="payment">What is paid?</h2>
        <p>No budget and no policy were given, so no price is named here. A value is not a price.</p>
        </section>
        """
    }
    return """
      <section aria-labelledby="payment">
      <h2 id="payment">What is paid?</h2>
      <p>The buyer set a budget of \(money.text(payment.budgetUnits)) and the policy “\(payment.policy)”. \
      \(payment.words)</p>
      <p><code>\(payment.formula)</code></p>
      <p>\(factor(payment))B is the budget; V(p) the total value of p’s rows that count, by \(facts.value); K(p) their thousands of tokens. \
      Amounts are rounded down to \(money.smallestUnit), and what is left over goes, one by one, to those that lost most by \
      it (the largest remainder), so that they add up to the budget exactly.</p>
      \(amountTable(payment, money))
      </section>
      """
  }

  private func factor(_ payment: PaymentStatement) -> String {
    payment.factor.map { "Here c is \(NumberText.significant($0, digits: 6)). " } ?? ""
  }

  private mutating func amountTable(_ payment: PaymentStatement, _ money: Currency) -> Markup {
    let statements = Dictionary(settlement.providers.map { ($0.name, $0) }) { first, _ in first }
    let rows = payment.amounts.prefix(Self.shownProviders).map { amount in
      let counted = statements[amount.provider]?.counted
      let thousands = counted.map { Double($0.tokens) / 1000 }
      return """
        <tr>\(name(amount.provider))\(cell(NumberText.significant(counted?.total)))\
        \(cell(NumberText.significant(thousands)))\(cell(amount.text))\
        \(cell(NumberText.finePercent(Double(amount.units) / Double(payment.budgetUnits))))</tr>
        """ as Markup
    }
    return table(
      "Amounts.", single == nil ? "With what is unspent they add up to the budget.\(cut)" : "",
      """
      \(heads("Provider", ["V", "K", "amount", "of the budget"]))
      <tbody>
      \(rows)
      </tbody>
      \(closing(payment, money))
      """)
  }

  private func closing(_ payment: PaymentStatement, _ money: Currency) -> Markup {
    guard let unspent = payment.unspentUnits else { return "" }
    let dropped = payment.amounts.dropFirst(Self.shownProviders)
    func line(_ text: String, _ units: Int) -> Markup {
      """
      <tr><th class="method" scope="row" colspan="3">\(text)</th>\(cell(money.text(units)))\
      \(cell(NumberText.finePercent(Double(units) / Double(payment.budgetUnits))))</tr>
      """
    }
    let others: Markup =
      dropped.isEmpty ? "" : line("\(dropped.count) providers more", dropped.reduce(0) { $0 + $1.units })
    return """
      <tbody>
      \(others)
      \(line("Unspent", unspent))
      \(line("Budget", payment.budgetUnits))
      </tbody>
      """
  }
}
