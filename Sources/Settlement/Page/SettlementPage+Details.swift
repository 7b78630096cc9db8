import Reporting

/// Each provider by itself: how its scores spread beside the pool's, its best and worst rows.
extension SettlementPage {
  mutating func details() -> Markup {
    let parts = shown.enumerated().map { detail($0.element, at: $0.offset) }
    let heading: Markup = single == nil ? "Provider by provider" : "Its rows"
    return """
      <section aria-labelledby="details">
      <h2 id="details">\(heading)</h2>
      <p>Bars are the provider’s rows that count, the line all providers’ together. Read the rows at both ends: a number is only \
      as good as what it picks.</p>
      \(parts)
      </section>
      """
  }

  private mutating func detail(_ provider: ProviderStatement, at place: Int) -> Markup {
    let open = single != nil || place < 3 ? Markup(stringLiteral: " open=\"open\"") : ""
    return """
      <details\(open)>
      <summary><h3><bdi>\(provider.name)</bdi></h3> <span class="sub">\(rowText(provider.counted.rows)) that count, \
      \(NumberText.finePercent(provider.share)) of the value</span></summary>
      <div class="figures">
      \(histogram(provider, at: place))
      </div>
      \(endsTable(provider))
      \(copies(provider))
      </details>
      """
  }

  private mutating func histogram(_ provider: ProviderStatement, at place: Int) -> Markup {
    let ends = settlement.pool.histogramRange
    guard provider.counted.rows > 0 else { return "<p>None of its rows counts.</p>" }
    let chart = ScoreChart(
      id: "scores-\(place)", title: "Scores of \(provider.name) beside all providers’",
      range: ends[0]...ends[1],
      own: provider.counted.scoreHistogram, pool: settlement.pool.counted.scoreHistogram,
      medians: (provider.counted.scoreQuantiles?[2], settlement.pool.counted.scoreQuantiles?[2]))
    return figure(
      chart.markup(), "Scores of \(provider.name).",
      "Share of the rows by score. Bars: this provider. Line: all providers together.")
  }

  private mutating func endsTable(_ provider: ProviderStatement) -> Markup {
    guard !provider.best.isEmpty else { return "" }
    return table(
      "Best and worst rows of \(provider.name).", "",
      """
      <thead><tr><th class="n" scope="col">Score</th><th class="n" scope="col">tokens</th>\
      <th scope="col">Row</th></tr></thead>
      <tbody><tr><th class="group" scope="rowgroup" colspan="3">Highest</th></tr>
      \(provider.best.map(row))
      </tbody>
      <tbody><tr><th class="group" scope="rowgroup" colspan="3">Lowest</th></tr>
      \(provider.worst.map(row))
      </tbody>
      """)
  }

  private func row(_ row: ShownRow) -> Markup {
    let text: Markup = row.excerpt.map { "<div><bdi>\($0)</bdi></div>" } ?? ""
    return """
      <tr><td class="n">\(NumberText.value(row.score))</td><td class="n">\(NumberText.count(row.tokens))</td>\
      <td class="row"><code><bdi>\(row.id)</bdi></code>\(text)</td></tr>
      """
  }

  private func copies(_ provider: ProviderStatement) -> Markup {
    guard !provider.copyIds.isEmpty else { return "" }
    let ids = Markup(
      joining: provider.copyIds.map { "<code><bdi>\($0)</bdi></code>" as Markup }, separator: ", ")
    let count = provider.ownCopies.rows + provider.othersCopies.rows
    let more =
      count > provider.copyIds.count ? " and \(NumberText.count(count - provider.copyIds.count)) more" : ""
    return "<p>Rows that repeat an earlier one: \(ids)\(more).</p>"
  }
}
