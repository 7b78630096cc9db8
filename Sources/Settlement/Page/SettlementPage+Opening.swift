import Reporting

/// The head of the page, and what came out.
extension SettlementPage {
  var title: String {
    let rows = rowText(settlement.pool.claimed.rows)
    guard let single else { return "What \(providerText(facts.providerCount)) brought in \(rows)" }
    return "What “\(Chart.fitted(single.name, width: 400))” brought: \(rowText(single.claimed.rows))"
  }

  func header() -> Markup {
    let whose: Markup =
      single == nil
      ? "For the buyer: every provider, by the field “\(facts.by)”."
      : """
      For this provider alone: its own numbers beside those of all \(NumberText.count(facts.providerCount)) providers together. No \
      other is named here.
      """
    return """
      <header>
      <p class="kicker">alinfik report</p>
      <h1>\(title)</h1>
      <p class="sub">\(whose) A score predicts how much one training step on a text lowers a model’s loss on a target. \
      Positive helps, negative harms.</p>
      </header>
      """
  }

  func summary() -> Markup {
    """
    <section aria-labelledby="short">
    <h2 id="short">In short</h2>
    <p class="lead">\(lead())</p>
    <dl class="key">
    \(keyNumbers())
    </dl>
    </section>
    """
  }

  private func lead() -> String {
    let pool = settlement.pool
    let (claimed, copies, outside, counted) =
      single.map {
        ($0.claimed.rows, $0.ownCopies.rows + $0.othersCopies.rows, $0.outside?.rows ?? 0, $0.counted.rows)
      } ?? (pool.claimed.rows, pool.copies.rows, pool.outside?.rows ?? 0, pool.counted.rows)
    let kind =
      facts.countsOutside
      ? "\(NumberText.count(outside)) of a kind that the valuator does not know count like the others"
      : "\(NumberText.count(outside)) are of a kind that the valuator does not know"
    return
      "Of \(rowText(claimed)) \(NumberText.count(counted)) count: \(NumberText.count(copies)) repeat an earlier"
      + " row, \(kind). \(finding())"
  }

  /// Who has how much of the value.
  private func finding() -> String {
    guard let first = single ?? settlement.providers.first else { return "" }
    let tokens = Double(first.counted.tokens) / Double(max(1, settlement.pool.counted.tokens))
    let share = NumberText.finePercent(first.share)
    return single == nil
      ? "The highest value is that of “\(Chart.fitted(first.name, width: 200))”: \(share) of all, with"
        + " \(NumberText.finePercent(tokens)) of the tokens that count."
      : "They hold \(share) of all providers’ value, with \(NumberText.finePercent(tokens)) of the tokens that count."
  }

  private func keyNumbers() -> [Markup] {
    let counted = single?.counted ?? settlement.pool.counted
    let duplicates =
      single.map { $0.ownCopies.rows + $0.othersCopies.rows } ?? settlement.pool.copies.rows
    let claimed = single?.claimed.rows ?? settlement.pool.claimed.rows
    func share(_ rows: Int, _ all: Int) -> String {
      all > 0 ? NumberText.finePercent(Double(rows) / Double(all)) : "–"
    }
    var items = [
      keyNumber(NumberText.value(counted.total), "value of the rows that count", isOurs: true),
      keyNumber(NumberText.value(counted.perThousandTokens), "value per thousand tokens"),
      keyNumber(share(duplicates, claimed), "of the rows repeat an earlier one"),
    ]
    let outside = single.map(\.outsideShare) ?? settlement.pool.outsideShare
    items.append(keyNumber(NumberText.finePercent(outside), "of the rest are out of the valuator’s domain"))
    if let payment = settlement.payment, let money {
      let amount = single == nil ? nil : payment.amounts.first
      items.append(
        amount.map {
          keyNumber(
            money.digits($0.units), "\(money.code) of a budget of \(money.digits(payment.budgetUnits))",
            isOurs: true)
        }
          ?? keyNumber(
            money.digits(payment.budgetUnits), "\(money.code) to divide, by the policy “\(payment.policy)”"))
    }
    return items
  }

  func rowText(_ count: Int) -> String { count == 1 ? "1 row" : "\(NumberText.count(count)) rows" }

  func providerText(_ count: Int) -> String {
    count == 1 ? "1 provider" : "\(NumberText.count(count)) providers"
  }
}
