import RankStatistics
import Reporting

/// What the rows that count are worth.
extension SettlementPage {
  mutating func values() -> Markup {
    """
    <section aria-labelledby="values">
    <h2 id="values">What is it worth?</h2>
    <div class="figures">
    \(shareFigure())
    \(spreadFigure())
    </div>
    \(valueTable())
    </section>
    """
  }

  private mutating func shareFigure() -> Markup {
    let rows = shown.map { ShareChart.Row(name: $0.name, share: $0.share, interval: $0.shareInterval) }
    return figure(
      ShareChart(id: "shares", title: "Share of the value by provider", rows: rows).markup(),
      "Share of the value.",
      "Mark: share of all providers’ value. Line: 95 % bootstrap interval.\(cut)")
  }

  private mutating func spreadFigure() -> Markup {
    let all =
      [SourceWorth(named: "all together", settlement.pool.counted)]
      + shown.map { .init(named: $0.name, $0.counted) }
    return figure(
      WorthChart(id: "spread", title: "Scores of each provider’s rows", worth: all.compactMap { $0 })
        .markup(),
      "Scores of the rows.",
      "Circle: median; thick line: the middle half of the rows; thin line: from 5 to 95 %.\(cut)")
  }

  private mutating func valueTable() -> Markup {
    let pool = settlement.pool.counted
    let rows = shown.map { provider in
      valueRow(name(provider.name), provider.counted, share: provider.share, provider.shareInterval)
    }
    return table(
      "The value of the rows that count.",
      "Below each number its 95 % bootstrap interval; none with fewer than \(SettlementOptions.fewestForInterval) rows.\(cut)",
      """
      \(heads(
        "Provider", ["rows", "tokens", "value", "a row’s mean", "per thousand tokens", "share", "below zero"]))
      <tbody>
      \(rows)
      </tbody>
      <tbody>
      \(valueRow("<th class=\"method\" scope=\"row\">All together</th>", pool, share: nil, nil))
      </tbody>
      """)
  }

  private func valueRow(
    _ name: Markup, _ counted: ValueStatement, share: Double?, _ shareInterval: Interval?
  ) -> Markup {
    func text(_ interval: Interval?) -> String? {
      interval.map {
        Self.unbroken("\(NumberText.value($0.lower)) to \(NumberText.value($0.upper))")
      }
    }
    let shareText = shareInterval.map {
      Self.unbroken("\(NumberText.finePercent($0.lower)) to \(NumberText.finePercent($0.upper))")
    }
    return """
      <tr>\(name)\(cell(NumberText.count(counted.rows)))\(cell(NumberText.count(counted.tokens)))\
      \(cell(NumberText.value(counted.total), text(counted.totalInterval)))\
      \(cell(NumberText.value(counted.mean), text(counted.meanInterval)))\
      \(cell(NumberText.value(counted.perThousandTokens), text(counted.perThousandTokensInterval)))\
      \(cell(NumberText.finePercent(share), shareText))\
      \(cell(NumberText.finePercent(counted.negativeShare)))</tr>
      """
  }

  /// On one line.
  private static func unbroken(_ text: String) -> String { text.replacing(" ", with: "\u{00A0}") }
}

extension SourceWorth {
  /// Nil where no row counts.
  init?(named name: String, _ counted: ValueStatement) {
    guard let quantiles = counted.scoreQuantiles else { return nil }
    self.init(name: name, count: counted.rows, quantiles: quantiles)
  }
}
