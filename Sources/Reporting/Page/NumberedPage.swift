/// A page whose figures and tables are numbered as they come: no script, nothing loaded from elsewhere, well-formed as XML too.
package protocol NumberedPage {
  var figureCount: Int { get set }
  var tableCount: Int { get set }
}

extension NumberedPage {
  /// The whole document.
  package func document(title: String, header: Markup, sections: [Markup], footer: Markup) -> Markup {
    """
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
    \(header)
    <main>
    \(sections)
    </main>
    \(footer)
    </div>
    </body>
    </html>

    """
  }

  package mutating func figure(_ chart: Markup, _ title: String, _ caption: String) -> Markup {
    figureCount += 1
    return """
      <figure>
      \(chart)
      <figcaption><strong>Figure \(figureCount). \(title)</strong> \(caption)</figcaption>
      </figure>
      """
  }

  /// A table that scrolls sideways on its own where the page is narrow, by keyboard too.
  package mutating func table(_ title: String, _ caption: String, _ content: Markup) -> Markup {
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

  /// A figure a reader takes away; it stands in a `<dl class="key">`.
  package func keyNumber(_ value: String, _ name: String, isOurs: Bool = false) -> Markup {
    "<div\(isOurs ? Markup(stringLiteral: " class=\"ours\"") : "")><dt>\(name)</dt><dd>\(value)</dd></div>"
  }

  /// A hash, or another long word, that may break anywhere.
  package func hash(_ value: String) -> Markup { "<span class=\"hash\">\(value)</span>" }
}
