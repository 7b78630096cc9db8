import RankStatistics

extension ComparisonReport {
  /// The report as one page of HTML: no script, nothing loaded from elsewhere, well-formed as XML too.
  package func html() -> String {
    var page = ReportPage(report: self)
    return page.markup().source
  }
}

/// Sets a report as a page. Figures and tables are numbered as they come.
struct ReportPage {
  let report: ComparisonReport
  private var figureCount = 0
  private var tableCount = 0

  init(report: ComparisonReport) { self.report = report }

  mutating func markup() -> Markup {
    let sections = [
      header(), summary(), fidelity(), cost(), sources(), oracle(), agreement(), extremes(), caveats(), run(),
    ]
    return """
      <!DOCTYPE html>
      <html lang="en">
      <head>
      <meta charset="utf-8"/>
      <meta name="viewport" content="width=device-width, initial-scale=1"/>
      <title>\(title)</title>
      <style>
      \(Markup(stringLiteral: ReportStyle.css))
      </style>
      </head>
      <body>
      <div class="page">
      \(sections)
      </div>
      </body>
      </html>

      """
  }

  // MARK: Opening

  private var title: String { "What \(NumberText.count(report.rows.count)) rows are worth to “\(target)”" }

  private var target: String {
    let described = report.facts.targetDescription
    return described.isEmpty ? "the target" : described
  }

  private func header() -> Markup {
    let drawn = report.methods.filter(\.isDrawn).count
    let seen =
      report.facts.seenCount == 0
      ? "" : "; \(NumberText.count(report.facts.seenCount)) more were left out because the valuator has seen them"
    let date = report.facts.date.map { " · \($0)" } ?? ""
    return """
      <header>
      <p class="kicker">alinfik compare\(date)</p>
      <h1>\(title)</h1>
      <p class="sub">By \(drawn) methods, for the model \(report.facts.model) and \
      \(NumberText.count(report.facts.targetCount)) target examples. A row is worth much where a training step on \
      it lowers the model’s loss on the target\(seen).</p>
      </header>
      """
  }

  private func summary() -> Markup {
    let rest = report.summary.dropFirst().map { sentence -> Markup in "<p>\(sentence)</p>" }
    return """
      <main>
      <section aria-labelledby="short">
      <h2 id="short">In short</h2>
      <p class="lead">\(report.summary.first ?? "")</p>
      \(rest)
      \(keyNumbers())
      </section>
      """
  }

  /// The figures a reader takes away, only where there is a valuator.
  private func keyNumbers() -> Markup {
    guard let reference = report.reference, let valuator = report.valuator,
      let fidelity = report.fidelity(of: valuator.name)
    else { return "" }
    var items = [
      keyNumber(NumberText.correlation(fidelity.spearman.value), "Spearman with \(reference.name)", isOurs: true)
    ]
    if fidelity.withinSource.value != nil {
      items.append(
        keyNumber(NumberText.correlation(fidelity.withinSource.value), "within a source, on average", isOurs: true))
    }
    if let best = report.bestBaseline, let value = best.spearman.value {
      let way = value < 0 ? " (read backwards)" : ""
      items.append(keyNumber(NumberText.correlation(abs(value)), "best baseline: \(best.method)\(way)"))
    }
    if let fast = valuator.cost?.secondsPerRow, let slow = reference.cost?.secondsPerRow, fast > 0 {
      items.append(keyNumber(NumberText.significant(slow / fast, digits: 2) + "×", "the speed of \(reference.name)"))
    }
    if let known = report.breakEven.first(where: { $0.method == valuator.name }) {
      let rows = known.rows.map { NumberText.significant($0, digits: 2) } ?? "never"
      items.append(keyNumber(rows, "rows until labels and training are paid back"))
    }
    return "<dl class=\"key\">\n\(items)\n</dl>"
  }

  private func keyNumber(_ value: String, _ name: String, isOurs: Bool = false) -> Markup {
    "<div\(isOurs ? Markup(stringLiteral: " class=\"ours\"") : "")><dt>\(name)</dt><dd>\(value)</dd></div>"
  }

  // MARK: Truth

  private mutating func fidelity() -> Markup {
    guard let reference = report.reference, !report.fidelity.isEmpty else { return "" }
    let hasWithin = report.fidelity.contains { $0.withinSource.value != nil }
    let correlations = DotChart(
      id: "spearman", title: "Spearman correlation of each method with \(reference.name)",
      heads: hasWithin ? ["overall", "within"] : ["overall"],
      rows: report.fidelity.map { row(of: $0, $0.spearman, hasWithin ? $0.withinSource : nil) })
    let top = DotChart(
      id: "top", title: "How much of the best tenth each method finds", heads: ["NDCG", "recall"],
      rows: report.fidelity.map { row(of: $0, $0.ndcg, $0.recall) })
    return """
      <section aria-labelledby="truth">
      <h2 id="truth">How true is each method?</h2>
      <p>The reference is \(reference.name): \(reference.formula). Every other method is held against it on the \
      same rows. A method that only tells the sources apart does well overall and poorly within a source.</p>
      <div class="figures">
      \(figure(correlations.markup(), "Agreement with \(reference.name).", spearmanCaption(hasWithin)))
      \(figure(top.markup(), "The best tenth.", topCaption(reference)))
      </div>
      \(fidelityTable(reference))
      </section>
      """
  }

  private func row(of fidelity: Fidelity, _ first: Estimate, _ second: Estimate?) -> DotChart.Row {
    DotChart.Row(name: fidelity.method, role: role(of: fidelity.method), first: first, second: second)
  }

  private func spearmanCaption(_ hasWithin: Bool) -> String {
    let hollow = hasWithin ? " over all rows (filled) and as the mean within a source (hollow)" : ""
    return "Spearman correlation\(hollow), with 95 % bootstrap intervals. Diamond: valuator; circles: methods"
      + " that need gradients; squares: baselines."
  }

  private func topCaption(_ reference: ComparedMethod) -> String {
    "How well a method’s first 10 % of rows match \(reference.name)’s: NDCG (filled) and recall (hollow)."
      + " A random order has an NDCG near 0.5 and a recall near 0.1."
  }

  private mutating func fidelityTable(_ reference: ComparedMethod) -> Markup {
    let rows = report.fidelity.map { fidelity -> Markup in
      let found = report.oracle?.correlations.first { $0.method == fidelity.method }?.spearman
      let oracleCell: Markup = report.oracle == nil ? "" : cell(found)
      return """
        <tr\(rowClass(fidelity.method))><th scope="row">\(fidelity.method)</th>\(cell(fidelity.spearman))\
        \(cell(fidelity.withinSource))\(cell(fidelity.ndcg))\(cell(fidelity.recall))\(oracleCell)</tr>
        """
    }
    let oracleHead: Markup = report.oracle == nil ? "" : "<th class=\"n\" scope=\"col\">Spearman with real step</th>"
    return table(
      "Agreement with \(reference.name).", "95 % bootstrap intervals below each value.",
      """
      <thead><tr><th scope="col">Method</th><th class="n" scope="col">Spearman</th>\
      <th class="n" scope="col">within source</th><th class="n" scope="col">NDCG, best 10 %</th>\
      <th class="n" scope="col">recall, best 10 %</th>\(oracleHead)</tr></thead>
      <tbody>
      \(rows)
      </tbody>
      """)
  }

  private func cell(_ estimate: Estimate?) -> Markup {
    let interval: Markup =
      if let interval = estimate?.interval {
        "<small>\(NumberText.interval(lower: interval.lower, upper: interval.upper))</small>"
      } else {
        ""
      }
    return "<td class=\"n\">\(NumberText.correlation(estimate?.value))\(interval)</td>"
  }

  // MARK: Cost

  private mutating func cost() -> Markup {
    let points = costPoints()
    let chart =
      points.count < 2
      ? ""
      : figure(
        CostChart(id: "cost", title: "Truth against cost of each method", points: points).markup(),
        "Truth against cost.",
        "Spearman with the reference against the time for 1000 rows (by powers of ten; labels and training not"
          + " counted). Up and to the left is better.")
    return """
      <section aria-labelledby="cost-heading">
      <h2 id="cost-heading">What does it cost?</h2>
      \(breakEven())
      <div class="figures">
      \(chart)
      </div>
      \(methodTable())
      </section>
      """
  }

  private func costPoints() -> [CostChart.Point] {
    orderedMethods().compactMap { method in
      guard method.isDrawn, let seconds = method.cost?.secondsPerRow else { return nil }
      let isReference = method.role == .reference
      guard let value = isReference ? 1 : report.fidelity(of: method.name)?.spearman.value else { return nil }
      // A method too fast for the clock stands at the edge, a millisecond for 1000 rows.
      return .init(name: method.name, role: method.role, seconds: max(1e-3, seconds * 1000), spearman: value)
    }
  }

  private func breakEven() -> Markup {
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

  private mutating func methodTable() -> Markup {
    let rows = orderedMethods().map { method -> Markup in
      let name: Markup = """
        <th scope="row">\(method.name)</th><td class="formula">\(method.formula)</td><td>\(method.needs.rawValue)</td>
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
      <th class="n" scope="col">1000 rows</th><th class="n" scope="col">rows/s</th>\
      <th class="n" scope="col">peak memory</th><th class="n" scope="col">disk</th></tr></thead>
      <tbody>
      \(rows)
      </tbody>
      """)
  }

  private func costCells(_ cost: Cost?) -> Markup {
    let note: Markup = cost?.note.map { "<small>\($0)</small>" } ?? ""
    return """
      <td class="n">\(NumberText.duration(cost?.secondsPerRow.map { $0 * 1000 }))\(note)</td>\
      <td class="n">\(NumberText.significant(cost?.rowsPerSecond))</td>\
      <td class="n">\(NumberText.bytes(cost?.peakMemoryBytes))</td>\
      <td class="n">\(NumberText.bytes(cost?.diskBytes))</td>
      """
  }

  // MARK: Sources

  private mutating func sources() -> Markup {
    guard let reference = report.reference,
      let shown = report.valuator.flatMap({ report.fidelity(of: $0.name) }) ?? report.fidelity.first,
      !shown.sources.groups.isEmpty
    else { return "" }
    let rival = report.bestBaselineWithin.flatMap { $0.method == shown.method ? nil : $0 }
    let rows = shown.sources.groups.prefix(24).map { group in
      SourceChart.Row(
        name: group.name, count: group.count, value: group.value,
        other: rival?.sources.groups.first { $0.name == group.name }?.value)
    }
    let chart = SourceChart(
      id: "sources", title: "Spearman of \(shown.method) with \(reference.name) within each source",
      role: role(of: shown.method), name: shown.method, other: rival?.method, rows: rows)
    let tick = rival.map { " The tick is \($0.method), the baseline that is strongest within sources." } ?? ""
    return """
      <section aria-labelledby="sources-heading">
      <h2 id="sources-heading">Within each source</h2>
      <div class="figures">
      \(figure(
        chart.markup(), "\(shown.method) within each source.",
        "Spearman with \(reference.name) among the rows of one source.\(tick)"))
      </div>
      \(sourceTable())
      </section>
      """
  }

  private mutating func sourceTable() -> Markup {
    let heads = report.fidelity.map { "<th class=\"n\" scope=\"col\">\($0.method)</th>" as Markup }
    let groups = report.fidelity.first?.sources.groups ?? []
    let rows = groups.map { group -> Markup in
      let cells = report.fidelity.map { fidelity -> Markup in
        let value = fidelity.sources.groups.first { $0.name == group.name }?.value
        return heatCell(value)
      }
      return """
        <tr><th scope="row">\(group.name)</th><td class="n">\(NumberText.count(group.count))</td>\(cells)</tr>
        """
    }
    return table(
      "Spearman with the reference, by source.", "Every method, among the rows of one source.",
      """
      <thead><tr><th scope="col">Source</th><th class="n" scope="col">rows</th>\(heads)</tr></thead>
      <tbody>
      \(rows)
      </tbody>
      """)
  }

  private func heatCell(_ value: Double?) -> Markup {
    "<td class=\"heat \(HeatColours.className(value))\">\(NumberText.correlation(value))</td>"
  }

  // MARK: Oracle

  private mutating func oracle() -> Markup {
    guard let oracle = report.oracle else { return "" }
    let pairs = zip(oracle.predicted, oracle.actual).compactMap { predicted, actual in
      predicted.flatMap { predicted in actual.map { (predicted, $0) } }
    }
    guard !pairs.isEmpty else { return "" }
    let name = report.reference?.name ?? "the first-order estimate"
    let scatter = OracleChart(
      id: "oracle", title: "Predicted and measured change of the target loss", predicted: pairs.map(\.0),
      actual: pairs.map(\.1))
    let methods = oracle.correlations.sorted { ($0.spearman.value ?? -2) > ($1.spearman.value ?? -2) }
    let dots = DotChart(
      id: "oracle-methods", title: "Spearman of each method with the measured change", heads: ["Spearman"],
      rows: methods.map { .init(name: $0.method, role: role(of: $0.method), first: $0.spearman, second: nil) })
    return """
      <section aria-labelledby="oracle-heading">
      <h2 id="oracle-heading">Does a real step agree?</h2>
      <p>A truth from outside all methods: for each of \(oracle.rows.count) rows the model really takes one step on \
      the row, its loss on the target is measured again, and the step is undone.</p>
      <div class="figures">
      \(figure(
        scatter.markup(), "What one step did.",
        "Each circle is a row. Across: the fall of the target loss that \(name) predicts; up: the fall that was"
          + " measured, step size \(NumberText.significant(oracle.stepSize)). On the dashed line both are equal."))
      \(figure(
        dots.markup(), "Every method against the real step.",
        "Spearman with the measured change on these \(oracle.rows.count) rows; the intervals are wide because the"
          + " rows are few."))
      </div>
      </section>
      """
  }

  // MARK: Agreement

  private mutating func agreement() -> Markup {
    let names = report.agreement.names
    guard names.count > 1 else { return "" }
    let roles = names.map { role(of: $0) }
    let overall = MatrixChart(
      id: "overall", title: "Spearman between all pairs of methods, over all rows", names: names, roles: roles,
      matrix: report.agreement.overall)
    let within = MatrixChart(
      id: "within", title: "Spearman between all pairs of methods, mean within a source", names: names,
      roles: roles, matrix: report.agreement.withinSource)
    let hasWithin = !report.agreement.sources.isEmpty
    let second =
      hasWithin
      ? figure(
        within.markup(), "Within a source.",
        "The mean of Spearman’s correlation over \(report.agreement.sources.count) sources.") : ""
    return """
      <section aria-labelledby="agreement">
      <h2 id="agreement">Which methods agree with each other?</h2>
      <div class="figures">
      \(figure(
        overall.markup(), "Over all rows.",
        "Spearman between every two methods: blue where they order rows alike, orange where oppositely."))
      \(second)
      </div>
      </section>
      """
  }

  // MARK: Rows

  private mutating func extremes() -> Markup {
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

  private mutating func extremesTable(_ extremes: Extremes) -> Markup {
    let hasText = report.rows.contains { $0.excerpt != nil }
    let textHead: Markup = hasText ? "<th scope=\"col\">Text begins</th>" : ""
    let span = hasText ? 5 : 4
    let bottomPlaces = extremes.bottom.indices.map { report.rows.count - $0 }
    return table(
      "First and last rows by \(extremes.method).", "",
      """
      <thead><tr><th class="n" scope="col">Place</th><th class="n" scope="col">Value</th>\
      <th scope="col">Source</th><th scope="col">Id</th>\(textHead)</tr></thead>
      <tbody><tr><th class="group" scope="rowgroup" colspan="\(span)">Highest</th></tr>
      \(extremes.top.enumerated().map { rowOfText($0.element, place: $0.offset + 1, hasText: hasText) })
      </tbody>
      <tbody><tr><th class="group" scope="rowgroup" colspan="\(span)">Lowest</th></tr>
      \(zip(extremes.bottom, bottomPlaces).map { rowOfText($0, place: $1, hasText: hasText) })
      </tbody>
      """)
  }

  private func rowOfText(_ place: Extremes.Place, place number: Int, hasText: Bool) -> Markup {
    let row = report.rows[place.row]
    let text: Markup = hasText ? "<td class=\"text\"><bdi>\(row.excerpt ?? "")</bdi></td>" : ""
    return """
      <tr><td class="n">\(NumberText.count(number))</td><td class="n">\(NumberText.significant(place.value))</td>\
      <td><bdi>\(row.source)</bdi></td><td class="id"><bdi>\(row.id)</bdi></td>\(text)</tr>
      """
  }

  // MARK: Closing

  private func caveats() -> Markup {
    let items = report.caveats.map { "<li>\($0)</li>" as Markup }
    return """
      <section aria-labelledby="caveats">
      <h2 id="caveats">What a score is not</h2>
      <ul class="prose">
      \(items)
      </ul>
      </section>
      """
  }

  private mutating func run() -> Markup {
    let facts = report.facts
    let versions = facts.versions.map { "\($0.name) \($0.version)" }.joined(separator: ", ")
    let lines: [(String, Markup)] = [
      ("Model", "\(facts.model)"), ("Model SHA-256", hash(facts.modelSHA256)),
      ("Target", "\(facts.targetDescription)"), ("Target SHA-256", hash(facts.targetSHA256)),
      ("Target examples", "\(NumberText.count(facts.targetCount))"),
      ("Rows in the sample", "\(NumberText.count(facts.sampleCount))"),
      ("Left out, seen by the valuator", "\(NumberText.count(facts.seenCount))"),
      ("Rows compared", "\(NumberText.count(report.rows.count))"), ("Seed", "\(String(facts.seed))"),
      ("Longest row, tokens", "\(facts.maxTokens.map { NumberText.count($0) } ?? "the model’s context")"),
      ("Threads", "\(facts.threads)"), ("Matrix kernel", "\(facts.blasKernel)"), ("Versions", "\(versions)"),
      ("Command", "<code>\(facts.command)</code>"),
    ]
    let rows = lines.map { name, value in "<tr><th scope=\"row\">\(name)</th><td>\(value)</td></tr>" as Markup }
    return """
      <section aria-labelledby="run">
      <h2 id="run">How this was run</h2>
      \(table("The run.", "", "<tbody>\n\(rows)\n</tbody>"))
      </section>
      </main>
      <footer>Every number of this page, and the values of every row, are in <a href="report.json">report.json</a>. \
      Positive always means: training on the row lowers the target loss.</footer>
      """
  }

  private func hash(_ value: String) -> Markup { "<span class=\"hash\">\(value)</span>" }

  // MARK: Parts

  private mutating func figure(_ chart: Markup, _ title: String, _ caption: String) -> Markup {
    figureCount += 1
    return """
      <figure>
      \(chart)
      <figcaption><strong>Figure \(figureCount). \(title)</strong> \(caption)</figcaption>
      </figure>
      """
  }

  /// A table that scrolls sideways on its own where the page is narrow, by keyboard too.
  private mutating func table(_ title: String, _ caption: String, _ content: Markup) -> Markup {
    tableCount += 1
    return """
      <div class="scroll" role="region" tabindex="0" aria-labelledby="table-\(tableCount)">
      <table>
      <caption id="table-\(tableCount)"><strong>Table \(tableCount). \(title)</strong> \(caption)</caption>
      \(content)
      </table>
      </div>
      """
  }

  private func rowClass(_ method: String) -> Markup {
    role(of: method) == .valuator ? Markup(stringLiteral: " class=\"ours\"") : ""
  }

  private func role(of method: String) -> ComparedMethod.Role {
    report.methods.first { $0.name == method }?.role ?? .baseline
  }

  /// The reference, then by Spearman as everywhere, then what is not drawn.
  private func orderedMethods() -> [ComparedMethod] {
    let drawn = report.agreement.names.compactMap { name in report.methods.first { $0.name == name } }
    return drawn + report.methods.filter { !$0.isDrawn }
  }
}
