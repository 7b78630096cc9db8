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
      summary(), fidelity(), reliability(), cost(), sources(), oracle(), agreement(), extremes(), caveats(),
      run(),
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
      \(header())
      <main>
      \(sections)
      </main>
      \(footer())
      </div>
      </body>
      </html>

      """
  }

  mutating func figure(_ chart: Markup, _ title: String, _ caption: String) -> Markup {
    figureCount += 1
    return """
      <figure>
      \(chart)
      <figcaption><strong>Figure \(figureCount). \(title)</strong> \(caption)</figcaption>
      </figure>
      """
  }

  /// A table that scrolls sideways on its own where the page is narrow, by keyboard too.
  mutating func table(_ title: String, _ caption: String, _ content: Markup) -> Markup {
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
