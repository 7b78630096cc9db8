extension ComparisonReport {
  /// The report as one page of HTML: no script, nothing loaded from elsewhere, well-formed as XML too.
  package func html() -> String {
    var page = ReportPage(report: self)
    return page.markup().source
  }
}

/// Sets a report as a page.
struct ReportPage: NumberedPage {
  let report: ComparisonReport
  var figureCount = 0
  var tableCount = 0

  init(report: ComparisonReport) { self.report = report }

  mutating func markup() -> Markup {
    let sections = [
      summary(), fidelity(), reliability(), cost(), sources(), oracle(), agreement(), extremes(), caveats(),
      run(),
    ]
    return document(title: title, header: header(), sections: sections, footer: footer())
  }

  func rowClass(_ method: String) -> Markup {
    role(of: method) == .valuator ? Markup(stringLiteral: " class=\"ours\"") : ""
  }

  func role(of method: String) -> ComparedMethod.Role {
    report.methods.first { $0.name == method }?.role ?? .baseline
  }

  /// The reference, then by Spearman as everywhere, then what is not drawn.
  func orderedMethods() -> [ComparedMethod] {
    let drawn = report.agreement.names.compactMap { name in report.methods.first { $0.name == name } }
    return drawn + report.methods.filter { !$0.isDrawn }
  }
}
