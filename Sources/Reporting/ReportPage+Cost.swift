/// What each method takes.
extension ReportPage {
  mutating func cost() -> Markup {
    """
    <section aria-labelledby="cost-heading">
    <h2 id="cost-heading">What does it cost?</h2>
    \(breakEven())
    <div class="figures">
    \(costFigure())
    \(breakEvenFigure())
    </div>
    \(methodTable())
    </section>
    """
  }

  mutating func costFigure() -> Markup {
    let points = costPoints()
    guard points.count > 1 else { return "" }
    return figure(
      CostChart(id: "cost", title: "Truth against cost of each method", points: points).markup(),
      "Truth against cost.",
      "Spearman with the reference against the time for 1000 rows (by powers of ten; labels and training not"
        + " counted). Up and to the left is better.")
  }

  mutating func breakEvenFigure() -> Markup {
    guard let known = report.breakEven.first(where: { $0.rows != nil }), let rows = known.rows, rows > 0,
      let reference = report.reference
    else { return "" }
    let chart = BreakEvenChart(
      id: "break-even", title: "Time for a number of rows, by \(reference.name) and by \(known.method)",
      reference: reference.name, method: known.method, role: role(of: known.method), known: known, rows: rows)
    return figure(
      chart.markup(), "When \(known.method) pays.",
      "The whole time by the number of rows, labels and training included. Right of the dashed line \(known.method)"
        + " is cheaper than \(reference.name) on every row.")
  }

  func costPoints() -> [CostChart.Point] {
    orderedMethods().compactMap { method in
      guard method.isDrawn, let seconds = method.cost?.secondsPerRow else { return nil }
      let isReference = method.role == .reference
      guard let value = isReference ? 1 : report.fidelity(of: method.name)?.spearman.value else { return nil }
      // A method too fast for the clock stands at the edge, a millisecond for 1000 rows.
      return .init(name: method.name, role: method.role, seconds: max(1e-3, seconds * 1000), spearman: value)
    }
  }

  func breakEven() -> Markup {
    report.breakEven.map { known -> Markup in
      let paid =
        known.rows.map { "paid back after \(NumberText.significant($0, digits: 2)) rows" }
        ?? "never paid back, because it is not faster than the reference"
      return """
        <p>\(known.method) takes \(NumberText.duration(known.preparationSeconds)) of labels and training before its \
        first row, and \(NumberText.duration(known.secondsPerRow * 1000)) for 1000 rows against \
        \(NumberText.duration(known.referenceSecondsPerRow * 1000)): \(paid).</p>
        """
    }.joined()
  }

  mutating func methodTable() -> Markup {
    let rows = orderedMethods().map { method -> Markup in
      let name: Markup = """
        <th class="method" scope="row">\(method.name)</th><td class="formula">\(method.formula)</td>\
        <td>\(method.needs.rawValue)</td>
        """
      if let reason = method.notDrawn {
        return "<tr>\(name)<td colspan=\"4\">not drawn: \(reason)</td></tr>"
      }
      return "<tr\(rowClass(method.name))>\(name)\(costCells(method.cost))</tr>"
    }
    return table(
      "The methods and what they take.",
      "Wall time and peak memory of this run; a dash is a figure that was not measured.",
      """
      <thead><tr><th scope="col">Method</th><th scope="col">What it computes</th><th scope="col">Needs</th>\
      <th class="n" scope="col">time for 1000 rows</th><th class="n" scope="col">rows/s</th>\
      <th class="n" scope="col">peak memory</th><th class="n" scope="col">disk</th></tr></thead>
      <tbody>
      \(rows)
      </tbody>
      """)
  }

  func costCells(_ cost: Cost?) -> Markup {
    let note: Markup = cost?.note.map { "<small>\($0)</small>" } ?? ""
    return """
      <td class="n">\(NumberText.duration(cost?.secondsPerRow.map { $0 * 1000 }))\(note)</td>\
      <td class="n">\(NumberText.significant(cost?.rowsPerSecond))</td>\
      <td class="n">\(NumberText.bytes(cost?.peakMemoryBytes))</td>\
      <td class="n">\(NumberText.bytes(cost?.diskBytes))</td>
      """
  }
}
