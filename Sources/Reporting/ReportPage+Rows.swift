/// The rows at both ends of every ranking.
extension ReportPage {
  mutating func extremes() -> Markup {
    guard !report.extremes.isEmpty else { return "" }
    let opened = Set([report.reference?.name, report.valuator?.name].compactMap { $0 })
    let lists = report.extremes.map { extremes -> Markup in
      let open = opened.contains(extremes.method) ? Markup(stringLiteral: " open=\"open\"") : ""
      let formula = report.methods.first { $0.name == extremes.method }?.formula ?? ""
      return """
        <details\(open)>
        <summary><h3>\(extremes.method)</h3> <span class="sub">\(formula)</span></summary>
        \(extremesTable(extremes))
        </details>
        """
    }
    return """
      <section aria-labelledby="rows">
      <h2 id="rows">The first and the last rows</h2>
      <p>What each method would keep first and drop first. Read them: a number is only as good as the rows it \
      picks.</p>
      \(lists)
      </section>
      """
  }

  mutating func extremesTable(_ extremes: Extremes) -> Markup {
    let lastPlaces = extremes.bottom.indices.map { report.rows.count - $0 }
    return table(
      "First and last rows by \(extremes.method).", "",
      """
      <thead><tr><th class="n" scope="col">Place</th><th class="n" scope="col">Value</th>\
      <th scope="col">Row</th></tr></thead>
      <tbody><tr><th class="group" scope="rowgroup" colspan="3">Highest</th></tr>
      \(extremes.top.enumerated().map { placedRow($0.element, place: $0.offset + 1) })
      </tbody>
      <tbody><tr><th class="group" scope="rowgroup" colspan="3">Lowest</th></tr>
      \(zip(extremes.bottom, lastPlaces).map { placedRow($0, place: $1) })
      </tbody>
      """)
  }

  /// A row at its place in a ranking.
  func placedRow(_ place: Extremes.Place, place number: Int) -> Markup {
    """
    <tr><td class="n">\(NumberText.count(number))</td><td class="n">\(NumberText.significant(place.value))</td>\
    \(rowCell(report.rows[place.row]))</tr>
    """
  }

  /// A row's source and id, and its text where the report may show it.
  func rowCell(_ row: ComparedRow) -> Markup {
    let text: Markup = row.excerpt.map { "<div><bdi>\($0)</bdi></div>" } ?? ""
    return """
      <td class="row"><div class="who"><bdi>\(row.source)</bdi> · <code><bdi>\(row.id)</bdi></code></div>\
      \(text)</td>
      """
  }
}
