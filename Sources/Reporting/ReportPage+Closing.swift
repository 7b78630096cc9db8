/// What the numbers do not say, and how they were made.
extension ReportPage {
  func caveats() -> Markup {
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

  mutating func run() -> Markup {
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
    let rows = lines.map { name, value -> Markup in
      "<tr><th scope=\"row\">\(name)</th><td>\(value)</td></tr>"
    }
    return """
      <section aria-labelledby="run">
      <h2 id="run">How this was run</h2>
      \(table("The run.", "", "<tbody>\n\(rows)\n</tbody>"))
      </section>
      """
  }

  func footer() -> Markup {
    """
    <footer>Every number of this page, and the values of every row, are in <a href="report.json">report.json</a>. \
    Positive always means: training on the row lowers the target loss.</footer>
    """
  }
}
