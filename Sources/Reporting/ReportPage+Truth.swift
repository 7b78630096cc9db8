/// How true each method is, against the reference and against a real step.
extension ReportPage {
  static let withinHint =
    " A method that only tells the sources apart does well overall and poorly within a source."

  mutating func fidelity() -> Markup {
    guard let reference = report.reference, !report.fidelity.isEmpty else { return "" }
    let hasWithin = report.hasSources
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
      same rows.\(hasWithin ? Self.withinHint : "")\(ceilingHint())</p>
      <div class="figures">
      \(figure(correlations.markup(), "Agreement with \(reference.name).", spearmanCaption(hasWithin)))
      \(figure(top.markup(), "The best tenth.", topCaption(reference)))
      </div>
      \(fidelityTable(reference))
      </section>
      """
  }

  private func ceilingHint() -> String {
    guard let ceiling = report.ceiling, let value = ceiling.spearman.value else { return "" }
    let within = ceiling.withinSource.value.map { ", \(NumberText.correlation($0)) within a source" } ?? ""
    return
      " Labels from one half of the targets agree with those from the other half to \(NumberText.correlation(value))"
      + "\(within) (\(NumberText.count(ceiling.rows)) rows): finer differences belong to these targets, not to their kind."
  }

  func row(of fidelity: Fidelity, _ first: Estimate, _ second: Estimate?) -> DotChart.Row {
    DotChart.Row(name: fidelity.method, role: role(of: fidelity.method), first: first, second: second)
  }

  func spearmanCaption(_ hasWithin: Bool) -> String {
    let hollow = hasWithin ? " over all rows (filled) and as the mean within a source (hollow)" : ""
    return "Spearman correlation\(hollow), with 95 % bootstrap intervals. Diamond: valuator; circles: methods"
      + " that need gradients; squares: baselines."
  }

  func topCaption(_ reference: ComparedMethod) -> String {
    "How well a method’s first 10 % of rows match \(reference.name)’s: NDCG (filled) and recall (hollow)."
      + " A random order has an NDCG near 0.5 and a recall near 0.1."
  }

  mutating func fidelityTable(_ reference: ComparedMethod) -> Markup {
    let rows = report.fidelity.map { fidelity -> Markup in
      let found = report.oracle?.correlations.first { $0.method == fidelity.method }?.spearman
      let oracleCell: Markup = report.oracle == nil ? "" : cell(found)
      return """
        <tr\(rowClass(fidelity.method))><th class="method" scope="row">\(fidelity.method)</th>\(cell(fidelity.spearman))\
        \(cell(fidelity.withinSource))\(cell(fidelity.ndcg))\(cell(fidelity.recall))\(oracleCell)</tr>
        """
    }
    let oracleHead: Markup = report.oracle == nil ? "" : "<th class=\"n\" scope=\"col\">with a real step</th>"
    return table(
      "Agreement with \(reference.name).",
      "95 % bootstrap intervals below each value."
        + (report.oracle == nil ? "" : " Last column: Spearman with the measured effect of a real step."),
      """
      <thead><tr><th scope="col">Method</th><th class="n" scope="col">Spearman</th>\
      <th class="n" scope="col">within source</th><th class="n" scope="col">NDCG, best 10 %</th>\
      <th class="n" scope="col">recall, best 10 %</th>\(oracleHead)</tr></thead>
      <tbody>
      \(referenceRow(reference))
      \(rows)
      </tbody>
      """)
  }

  /// The reference against the real step, which is all it can be held against.
  func referenceRow(_ reference: ComparedMethod) -> Markup {
    guard let found = report.oracle?.correlations.first(where: { $0.method == reference.name })
    else { return "" }
    return """
      <tr><th class="method" scope="row">\(reference.name)</th><td class="quiet" colspan="4">the reference itself</td>\
      \(cell(found.spearman))</tr>
      """
  }

  func cell(_ estimate: Estimate?) -> Markup {
    let interval: Markup =
      if let interval = estimate?.interval {
        "<small>\(NumberText.interval(lower: interval.lower, upper: interval.upper))</small>"
      } else {
        ""
      }
    return "<td class=\"n\">\(NumberText.correlation(estimate?.value))\(interval)</td>"
  }

  mutating func oracle() -> Markup {
    guard let oracle = report.oracle else { return "" }
    let pairs = zip(oracle.predicted, oracle.actual).compactMap { predicted, actual in
      predicted.flatMap { predicted in actual.map { (predicted, $0) } }
    }
    guard !pairs.isEmpty else { return "" }
    let name = report.reference?.name ?? "the first-order estimate"
    let lowered = pairs.count { $0.1 > 0 }
    let scatter = PredictionChart(
      id: "oracle", title: "Predicted and measured change of the target loss", across: "predicted fall",
      up: "measured fall of the target loss", predicted: pairs.map(\.0), actual: pairs.map(\.1),
      summary: "\(pairs.count) rows; for \(lowered) of them the step lowered the target loss.")
    let methods = oracle.correlations.sorted { ($0.spearman.value ?? -2) > ($1.spearman.value ?? -2) }
    let dots = DotChart(
      id: "oracle-methods", title: "Spearman of each method with the measured change", heads: ["Spearman"],
      rows: methods.map {
        .init(name: $0.method, role: role(of: $0.method), first: $0.spearman, second: nil)
      })
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

  mutating func agreement() -> Markup {
    let names = report.agreement.names
    guard names.count > 1 else { return "" }
    let roles = names.map { role(of: $0) }
    let overall = MatrixChart(
      id: "overall", title: "Spearman between all pairs of methods, over all rows", names: names,
      roles: roles, matrix: report.agreement.overall)
    let within = MatrixChart(
      id: "within", title: "Spearman between all pairs of methods, mean within a source", names: names,
      roles: roles, matrix: report.agreement.withinSource)
    let first = figure(
      overall.markup(), "Over all rows.",
      "Spearman between every two methods: blue where they order rows alike, orange where oppositely.")
    let count = report.agreement.sources.count
    let second: Markup =
      report.hasSources
      ? figure(
        within.markup(), "Within a source.", "The mean of Spearman’s correlation over \(count) sources.") : ""
    return """
      <section aria-labelledby="agreement">
      <h2 id="agreement">Which methods agree with each other?</h2>
      <div class="figures">
      \(first)
      \(second)
      </div>
      </section>
      """
  }
}
