import RankStatistics

/// What the sources are worth, and what each method sees within one.
extension ReportPage {
  /// So many sources are drawn or listed, those the reference values most; all of them are in report.json.
  static let shownSources = 24

  mutating func sources() -> Markup {
    guard report.hasSources, let reference = report.reference else { return "" }
    let worth = WorthChart(
      id: "worth", title: "Values of \(reference.name) in each source",
      worth: Array(report.sourceWorth.prefix(Self.shownSources)))
    let count = report.sourceWorth.count
    let cut = count > Self.shownSources ? " The first \(Self.shownSources) of \(count) sources." : ""
    return """
      <section aria-labelledby="sources-heading">
      <h2 id="sources-heading">What are the sources worth?</h2>
      <p>Sources differ, and a good method must also tell the rows of one source apart.</p>
      <div class="figures">
      \(figure(
        worth.markup(), "\(reference.name) by source.",
        "Circle: median; thick line: the middle half of the rows; thin line: from 5 to 95 %.\(cut)"))
      \(withinFigure(reference))
      </div>
      \(sourceTable(reference))
      </section>
      """
  }

  /// The valuator within each source, or the best method where there is no valuator.
  mutating func withinFigure(_ reference: ComparedMethod) -> Markup {
    guard let shown = report.valuator.flatMap({ report.fidelity(of: $0.name) }) ?? report.fidelity.first
    else { return "" }
    let rival = report.bestBaselineWithin.flatMap { $0.method == shown.method ? nil : $0 }
    let rows = shownGroups(shown).map { group in
      SourceChart.Row(
        name: group.name, count: group.count, value: group.value,
        other: rival?.sources.groups.first { $0.name == group.name }?.value)
    }
    let chart = SourceChart(
      id: "sources", title: "Spearman of \(shown.method) with \(reference.name) within each source",
      role: role(of: shown.method), name: shown.method, other: rival?.method, rows: rows)
    let tick = rival.map { " The tick is \($0.method), the baseline that is strongest within sources." } ?? ""
    return figure(
      chart.markup(), "\(shown.method) within each source.",
      "Spearman with \(reference.name) among the rows of one source.\(tick)")
  }

  mutating func sourceTable(_ reference: ComparedMethod) -> Markup {
    guard let first = report.fidelity.first else { return "" }
    let heads = report.fidelity.map { "<th class=\"n\" scope=\"col\">\($0.method)</th>" as Markup }
    let rows = shownGroups(first).map { group -> Markup in
      let cells = report.fidelity.map { fidelity in
        heatCell(fidelity.sources.groups.first { $0.name == group.name }?.value)
      }
      return """
        <tr><th scope="row">\(group.name)</th><td class="n">\(NumberText.count(group.count))</td>\(cells)</tr>
        """
    }
    return table(
      "Spearman with \(reference.name), by source.", "Every method, among the rows of one source.",
      """
      <thead><tr><th scope="col">Source</th><th class="n" scope="col">rows</th>\(heads)</tr></thead>
      <tbody>
      \(rows)
      </tbody>
      """)
  }

  /// The sources with a correlation of their own, in the order of their worth.
  func shownGroups(_ fidelity: Fidelity) -> [WithinGroupCorrelation.Group] {
    let groups = Dictionary(fidelity.sources.groups.map { ($0.name, $0) }) { first, _ in first }
    return Array(report.sourceWorth.compactMap { groups[$0.name] }.prefix(Self.shownSources))
  }

  func heatCell(_ value: Double?) -> Markup {
    "<td class=\"heat \(HeatColours.className(value))\">\(NumberText.correlation(value))</td>"
  }
}
