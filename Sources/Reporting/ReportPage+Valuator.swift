/// How far a single score is to be relied on.
extension ReportPage {
  mutating func reliability() -> Markup {
    guard let finding = report.valuatorFinding, let valuator = report.valuator,
      let reference = report.reference
    else { return "" }
    let chart = PredictionChart(
      id: "calibration", title: "Mean score and mean label of rows with neighbouring scores",
      across: "mean score", up: "mean label", predicted: finding.bins.map(\.score),
      actual: finding.bins.map(\.label),
      summary: "\(finding.bins.count) groups of rows, by rising score.")
    return """
      <section aria-labelledby="reliability">
      <h2 id="reliability">How far can a score be relied on?</h2>
      \(coverageSentence(finding))
      <div class="figures">
      \(figure(
        chart.markup(), "Scores and labels.",
        "Each circle is a tenth of the rows, by the score of \(valuator.name). On the dashed line scores are right in the mean."))
      \(labelCurve(finding))
      </div>
      \(heldTable(finding))
      \(disagreementTable(finding, valuator: valuator.name, reference: reference.name))
      </section>
      """
  }

  private mutating func labelCurve(_ finding: ValuatorFinding) -> Markup {
    guard finding.labelCurve.count > 1 else { return "" }
    let chart = LabelCurveChart(
      id: "labels", title: "Agreement with the labels by their number", points: finding.labelCurve)
    return figure(
      chart.markup(), "More labels.",
      "Spearman over all rows (filled) and within a source (hollow) that so many labels gave on the rows held out in training."
    )
  }

  private func coverageSentence(_ finding: ValuatorFinding) -> Markup {
    guard let coverage = finding.coverage, let held = finding.held else {
      return "<p>The valuator gives no intervals: it was calibrated on too few rows.</p>"
    }
    let inside =
      finding.outsideCount == 0
      ? "" : finding.heldInside.map { "; of the others they held it in \(NumberText.percent($0))" } ?? ""
    return """
      <p>Its intervals are meant to hold the label in \(NumberText.percent(coverage)) of the texts that are like those of \
      training. Here they held it in \(NumberText.percent(held)). \(NumberText.count(finding.outsideCount)) of \
      \(NumberText.count(report.rows.count)) rows are called unlike those of training\(inside).</p>
      """
  }

  private mutating func heldTable(_ finding: ValuatorFinding) -> Markup {
    guard report.hasSources, !finding.heldBySource.isEmpty else { return "" }
    let rows = finding.heldBySource.map { held -> Markup in
      """
      <tr><th scope="row"><bdi>\(held.source)</bdi></th><td class="n">\(NumberText.count(held.count))</td>\
      <td class="n">\(NumberText.percent(held.share))</td></tr>
      """
    }
    return table(
      "Intervals by source.", "How often the label lay between low and high.",
      """
      <thead><tr><th scope="col">Source</th><th class="n" scope="col">Rows</th><th class="n" scope="col">Held</th></tr></thead>
      <tbody>
      \(rows)
      </tbody>
      """)
  }

  private mutating func disagreementTable(
    _ finding: ValuatorFinding, valuator: String, reference: String
  ) -> Markup {
    func row(_ found: ValuatorFinding.Disagreement) -> Markup {
      """
      <tr><td class="n">\(NumberText.count(found.scorePlace))</td><td class="n">\(NumberText.count(found.labelPlace))</td>\
      \(rowCell(report.rows[found.row]))</tr>
      """
    }
    return table(
      "Where \(valuator) and \(reference) disagree most.", "The places each gives a row, the highest first.",
      """
      <thead><tr><th class="n" scope="col">\(valuator)</th><th class="n" scope="col">\(reference)</th>\
      <th scope="col">Row</th></tr></thead>
      <tbody><tr><th class="group" scope="rowgroup" colspan="3">Placed too high</th></tr>
      \(finding.overrated.map(row))
      </tbody>
      <tbody><tr><th class="group" scope="rowgroup" colspan="3">Placed too low</th></tr>
      \(finding.underrated.map(row))
      </tbody>
      """)
  }
}
