import Reporting

/// What the numbers do not say, and how they are made.
extension SettlementPage {
  func caveat() -> Markup {
    """
    <section aria-labelledby="caveat">
    <h2 id="caveat">What a sum of scores is not</h2>
    <p>A score predicts what one training step on one text does to a model as it is now, for one target. A sum of scores is not what \
    training on all of these texts is worth. Texts that say the same in other words each count in full, though a model learns it once; \
    copies are counted once only where they are found; and after the first steps the model is another one, for which every score would \
    be another. A score is a prediction and can be wrong for many rows at once, which no interval on this page shows. Read \
    the sums as a stated rule for dividing what was agreed on, not as a measured worth.</p>
    </section>
    """
  }

  func rules() -> Markup {
    let likeness = facts.likeness.map {
      " So does a text whose likeness to an earlier one is estimated at \(NumberText.correlation($0)) or more (Jaccard’s, of"
        + " runs of 9 bytes, by MinHash)."
    }
    let copies =
      facts.duplicates == "keep"
      ? "Copies count like any other row."
      : "A row with the text of an earlier row does not count.\(likeness ?? "")"
    let outside =
      facts.countsOutside
      ? "Rows out of the valuator’s domain count."
      : "Rows out of the valuator’s domain (alinfik_ood) do not count."
    let weight =
      facts.weight == "tokens"
      ? "A row’s value is its score s times its thousands of tokens t, \(facts.value), since a score is a mean over tokens: cutting a"
        + " text in two does not by itself change the sum."
      : "A row’s value is its score, \(facts.value), however long it is: cutting a text in two can double it."
    let intervals =
      "Intervals are of a bootstrap of each provider’s rows, \(NumberText.count(facts.resamples)) times with seed \(facts.seed): each row"
      + " counts as often as a Poisson variable of mean 1 says, the number of rows kept as it is, providers apart. They say how much the"
      + " numbers would vary had the provider brought other rows of the same kind; they know nothing of the valuator’s own errors, and"
      + " take rows as independent."
    let unit = "Scores are in the valuator’s unit (score_unit in its alinfik.json); zero is the label’s zero."
    let items = [unit, weight, copies, outside, intervals].map { "<li>\($0)</li>" as Markup }
    return """
      <section aria-labelledby="rules">
      <h2 id="rules">By which rules</h2>
      <ul class="prose">
      \(items)
      </ul>
      </section>
      """
  }

  mutating func run() -> Markup {
    var lines: [(String, Markup)] = [
      ("Provider field", "<code>\(facts.by)</code>")
    ]
    if let inputs = facts.inputs { lines.append(("Inputs in their order", names(inputs))) }
    lines += [
      (
        "Valuator SHA-256",
        facts.valuatorSHA256.map { hash($0) } ?? "not said in the records, nor beside their file"
      ),
      ("All records SHA-256", hash(facts.recordsSHA256)),
    ]
    if let single { lines.append(("This provider’s records SHA-256", hash(single.recordsSHA256))) }
    if facts.rowsOfUnknownValuator > 0, facts.valuatorSHA256 != nil {
      lines.append(("Rows of which no valuator is said", "\(NumberText.count(facts.rowsOfUnknownValuator))"))
    }
    if let pooling = facts.pooling { lines.append(("Windows of long texts", "\(pooling)")) }
    lines += [("Seed", "\(facts.seed)"), ("Version", "alinfik \(facts.alinfikVersion)")]
    let rows = lines.map { "<tr><th scope=\"row\">\($0.0)</th><td>\($0.1)</td></tr>" as Markup }
    return """
      <section aria-labelledby="run">
      <h2 id="run">How this was made</h2>
      \(table(
        "The run.", "The hashes are of the scored lines in their order, each with a line end.", "<tbody>\n\(rows)\n</tbody>"))
      </section>
      """
  }

  /// The first of some files' names.
  private func names(_ files: [String]) -> Markup {
    let shown = Markup(
      joining: files.prefix(Self.shownInputs).map { "<code><bdi>\($0)</bdi></code>" as Markup },
      separator: ", ")
    let more = files.count - Self.shownInputs
    return more > 0 ? "\(shown) and \(NumberText.count(more)) more, in report.json" : shown
  }

  private static let shownInputs = 6

  func footer() -> Markup {
    """
    <footer>Every number of this page\(single == nil ? ", and those of every provider, are" : " is") in \
    <a href="report.json">report.json</a>.</footer>
    """
  }
}
