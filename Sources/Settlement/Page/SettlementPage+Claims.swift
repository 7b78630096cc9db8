import Reporting

/// From what was brought to what counts: copies, whose they were first, and what the valuator does not know.
extension SettlementPage {
  mutating func claims() -> Markup {
    let order = single == nil ? ", whose files stand in their order at the end of this page" : ""
    let rule: Markup =
      facts.duplicates == "keep"
      ? "Copies were not looked for: every row counts for whoever brought it."
      : """
      A text counts once, for whoever brought it first, and first is who stands first in the input\(order). What others brought \
      of it later is shown as the shared part, and so is what the totals would be if each text were divided equally \
      among those who brought it.
      """
    return """
      <section aria-labelledby="claims">
      <h2 id="claims">What was brought, and what counts</h2>
      <p>\(rule)</p>
      \(funnelTable())
      \(sharedTable())
      \(overlapTable())
      </section>
      """
  }

  private mutating func funnelTable() -> Markup {
    let pool = settlement.pool
    let rows = shown.map { provider in
      """
      <tr>\(name(provider.name))\(cell(NumberText.count(provider.claimed.rows)))\
      \(cell(NumberText.count(provider.withoutScore)))\(cell(NumberText.count(provider.ownCopies.rows)))\
      \(cell(NumberText.count(provider.othersCopies.rows)))\(cell(NumberText.count(provider.nearCopies)))\
      \(cell(provider.outside.map { NumberText.count($0.rows) } ?? NumberText.none))\
      \(cell(NumberText.finePercent(provider.outsideShare)))\
      \(cell(provider.counted.untoldRows.map { NumberText.count($0) } ?? NumberText.none))\(cell(NumberText.count(provider.counted.rows)))</tr>
      """ as Markup
    }
    let all: Markup = """
      <tr><th class="method" scope="row">All together</th>\(cell(NumberText.count(pool.claimed.rows)))\
      \(cell(NumberText.count(pool.withoutScore)))\
      <td class="n" colspan="3">\(NumberText.count(pool.copies.rows)) copies</td>\
      \(cell(pool.outside.map { NumberText.count($0.rows) } ?? NumberText.none))\
      \(cell(NumberText.finePercent(pool.outsideShare)))\
      \(cell(pool.counted.untoldRows.map { NumberText.count($0) } ?? NumberText.none))\(cell(NumberText.count(pool.counted.rows)))</tr>
      """
    return table(
      "From rows brought to rows that count.",
      "Copies are of its own earlier rows, or of rows that another brought before; of both, some are near copies. Out of"
        + " domain: of those that are left, rows unlike the texts that the valuator learnt from"
        + (facts.countsOutside ? " (here they count)." : " (they do not count).")
        + " Too short: of those that count, rows of which that cannot be told.\(cut)",
      """
      \(heads(
        "Provider",
        [
          "brought", "without score", "copies of its own", "copies of others’", "near copies of both",
          "out of domain", "their share", "too short to tell", "count",
        ]))
      <tbody>
      \(rows)
      </tbody>
      <tbody>
      \(all)
      </tbody>
      """)
  }

  private mutating func sharedTable() -> Markup {
    guard shown.contains(where: { $0.sharedRows + $0.othersRows > 0 }) else { return "" }
    let rows = shown.map { provider in
      """
      <tr>\(name(provider.name))\(cell(NumberText.value(provider.counted.total)))\
      \(cell(NumberText.count(provider.sharedRows)))\(cell(NumberText.value(provider.sharedValue)))\
      \(cell(NumberText.count(provider.othersRows)))\(cell(NumberText.value(provider.othersValue)))\
      \(cell(NumberText.value(provider.totalInEqualParts)))</tr>
      """ as Markup
    }
    return table(
      "The shared part.",
      "Of texts that count. The first two numbers after the value are of rows that others brought later; the next two of rows"
        + " that others had brought before, which count for those. Last: the value if each text were divided equally.\(cut)",
      """
      \(heads(
        "Provider",
        [
          "value by first claim", "its rows others have too", "their value", "rows of others it has too",
          "their value", "value in equal parts",
        ]))
      <tbody>
      \(rows)
      </tbody>
      """)
  }

  /// So many pairs are listed, those with the most rows.
  private static let shownOverlaps = 20

  private mutating func overlapTable() -> Markup {
    guard !settlement.overlaps.isEmpty else { return "" }
    let rows = settlement.overlaps.prefix(Self.shownOverlaps).map { overlap in
      """
      <tr>\(name(overlap.first))<td><bdi>\(overlap.later)</bdi></td>\(cell(NumberText.count(overlap.rows)))\
      \(cell(NumberText.value(overlap.value)))</tr>
      """ as Markup
    }
    let count = settlement.overlaps.count
    let cut =
      count > Self.shownOverlaps
      ? " The first \(Self.shownOverlaps) of \(count); all are in report.json." : ""
    return table(
      "Who brought what another had brought.",
      "Pairs of providers, by the number of texts, whether they count or not.\(cut)",
      """
      <thead><tr><th scope="col">Brought first by</th><th scope="col">and later by</th>\
      <th class="n" scope="col">rows</th><th class="n" scope="col">value</th></tr></thead>
      <tbody>
      \(rows)
      </tbody>
      """)
  }
}
