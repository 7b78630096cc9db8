/// The head of the page: what was done, and what came out.
extension ReportPage {
  var title: String { "What \(NumberText.count(report.rows.count)) rows are worth to “\(target)”" }

  private var target: String {
    let described = report.facts.targetDescription
    if described.isEmpty { return "the target" }
    return described.count <= 90 ? described : described.prefix(89) + "…"
  }

  func header() -> Markup {
    let drawn = report.methods.filter(\.isDrawn).count
    let count = NumberText.count(report.facts.seenCount)
    let seen =
      report.facts.seenCount == 0
      ? "" : " \(count) more rows were left out because the valuator has seen them."
    let date = report.facts.date.map { " · \($0)" } ?? ""
    return """
      <header>
      <p class="kicker">alinfik compare\(date)</p>
      <h1>\(title)</h1>
      <p class="sub">By \(drawn) methods, for the model \(report.facts.model) and \
      \(NumberText.count(report.facts.targetCount)) target examples. A row is worth much where a training step on \
      it lowers the model’s loss on the target.\(seen)</p>
      </header>
      """
  }

  func summary() -> Markup {
    let rest = report.summary.dropFirst().map { sentence -> Markup in "<p>\(sentence)</p>" }
    return """
      <section aria-labelledby="short">
      <h2 id="short">In short</h2>
      <p class="lead">\(report.summary.first ?? "")</p>
      \(rest)
      \(keyNumbers())
      </section>
      """
  }

  /// The figures a reader takes away, only where there is a valuator.
  func keyNumbers() -> Markup {
    guard let reference = report.reference, let valuator = report.valuator,
      let fidelity = report.fidelity(of: valuator.name)
    else { return "" }
    var items = [
      keyNumber(
        NumberText.correlation(fidelity.spearman.value), "Spearman with \(reference.name)", isOurs: true)
    ]
    if report.hasSources, let within = fidelity.withinSource.value {
      items.append(keyNumber(NumberText.correlation(within), "within a source, on average", isOurs: true))
    }
    if let best = report.bestBaseline, let value = best.spearman.value {
      let way = value < 0 ? " (read backwards)" : ""
      items.append(keyNumber(NumberText.correlation(abs(value)), "best baseline: \(best.method)\(way)"))
    }
    if let fast = valuator.cost?.secondsPerRow, let slow = reference.cost?.secondsPerRow, fast > 0 {
      let ratio = NumberText.significant(slow / fast, digits: 2) + "×"
      items.append(keyNumber(ratio, "the speed of \(reference.name)"))
    }
    if let known = report.breakEven.first(where: { $0.method == valuator.name }) {
      let rows = known.rows.map { NumberText.significant($0, digits: 2) } ?? "never"
      items.append(keyNumber(rows, "rows until labels and training are paid back"))
    }
    return "<dl class=\"key\">\n\(items)\n</dl>"
  }
}
