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
      <p>B is the budget; V(p) the total value of p’s rows that count, by \(facts.value); K(p) their thousands of tokens. \
      Amounts are rounded down to \(money.smallestUnit), and what is left over goes, one by one, to those that lost most by \
      it (the largest remainder; of equal ones the first), what is unspent among them, so that they add up to the budget \
      exactly.</p>
      <p>\(recomputing(payment, money))</p>
      \(amountTable(payment, money))
      </section>
      """
  }

  /// How far the amounts can be told from the page alone.
  private func recomputing(_ payment: PaymentStatement, _ money: Currency) -> String {
    let whole = single == nil && settlement.providers.count <= Self.shownProviders
    let reach =
      whole
      ? "Each amount follows from these numbers to the last digit"
      : "Each amount follows from these numbers, but for the \(money.smallestUnit) that may be left over for it, which depends"
        + " on providers that are not shown"
    if payment.valueSum == 0 { return "Nobody’s V is above zero, so that nothing is paid." }
    let known =
      payment.valueSum.map { "Here Σ max(0, V(q)) is \(value($0, payment))." }
      ?? "Here c is \(factor(payment))."
    guard let decimals = payment.valueDecimals, payment.valueSum != nil || payment.factorDecimals != nil
    else {
      return
        "\(known) The numbers are so many powers of ten apart that they are rounded here: the amounts follow from those in"
        + " report.json."
    }
    return
      "\(known) \(reach): V is written with \(decimals) digits behind the point, as many as that needs (report.json has all),"
      + " K with all that it has."
  }

  private func value(_ value: Double, _ payment: PaymentStatement) -> String {
    payment.valueDecimals.map { NumberText.fixed(value, decimals: $0) } ?? NumberText.value(value)
  }

  private func factor(_ payment: PaymentStatement) -> String {
    guard let factor = payment.factor else { return NumberText.none }
    return payment.factorDecimals.map { NumberText.fixed(factor, decimals: $0) }
      ?? NumberText.significant(factor, digits: 6)
  }

  private mutating func amountTable(_ payment: PaymentStatement, _ money: Currency) -> Markup {
    let rows = zip(shown, payment.amounts).map { provider, amount in
      """
      <tr>\(name(provider.name))\(cell(value(provider.counted.total, payment)))\
      \(cell(NumberText.fixed(Double(provider.counted.tokens) / 1000, decimals: 3)))\(cell(amount.text))\
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
      dropped.isEmpty ? "" : line("\(providerText(dropped.count)) more", dropped.reduce(0) { $0 + $1.units })
    return """
      <tbody>
      \(others)
      \(line("Unspent", unspent))
      \(line("Budget", payment.budgetUnits))
      </tbody>
      """
  }
}
