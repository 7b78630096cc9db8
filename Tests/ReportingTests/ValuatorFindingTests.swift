import Reporting
import Testing

@Suite("What is said of the valuator row by row")
struct ValuatorFindingTests {
  private func method(_ name: String, _ role: ComparedMethod.Role, _ values: [Double]) -> ComparedMethod {
    ComparedMethod(name: name, formula: "f", role: role, needs: .text, values: values)
  }

  @Test("coverage, groups and disagreements are those of the rows")
  func isOfTheRows() throws {
    let labels = (0..<40).map(Double.init)
    // Right but for one row that comes out first, and one that comes out last.
    var scores = labels.map { $0 + 0.5 }
    (scores[0], scores[39]) = (100, -100)
    let forecast = Forecast(
      coverage: 0.9, low: scores.map { $0 - 1 }, high: scores.map { $0 + 1 },
      isOutside: labels.indices.map { $0 == 0 || $0 == 7 })
    let report = ComparisonReport.make(
      rows: SyntheticReport.rows(count: 40),
      methods: [method("teacher", .reference, labels), method("student", .valuator, scores)],
      forecast: forecast,
      labelCurve: [
        .init(labels: 64, spearman: 0.4, withinSource: nil),
        .init(labels: 90, spearman: 0.5, withinSource: 0.1),
      ],
      oracle: nil, facts: SyntheticReport.facts, resamples: 10)
    let finding = try #require(report.valuatorFinding)
    #expect(finding.held == 38.0 / 40 && finding.heldInside == 37.0 / 38 && finding.outsideCount == 2)
    #expect(finding.heldBySource.reduce(0) { $0 + $1.count } == 40)
    #expect(finding.bins.count == 10 && finding.bins.allSatisfy { $0.count == 4 })
    // The second group holds scores 3.5 ... 6.5 of labels 4 ... 7 less what the two rows displaced.
    #expect(finding.bins[1].score == finding.bins[1].label + 0.5)
    let (first, last) = (try #require(finding.overrated.first), try #require(finding.underrated.first))
    #expect(first.row == 0 && first.scorePlace == 1 && first.labelPlace == 40)
    #expect(last.row == 39 && last.scorePlace == 40 && last.labelPlace == 1)
    let page = report.html()
    #expect(page.contains("How far can a score be relied on?"))
    #expect(
      page.contains(
        "64 labels: 0.40 overall, – within a source; 90 labels: 0.50 overall, 0.10 within a source."))
  }

  @Test("without intervals it says so; without a reference there is nothing to say")
  func missingParts() {
    let values = (0..<20).map(Double.init)
    let plain = ComparisonReport.make(
      rows: SyntheticReport.rows(count: 20),
      methods: [method("teacher", .reference, values), method("student", .valuator, values)], oracle: nil,
      facts: SyntheticReport.facts, resamples: 10)
    #expect(plain.valuatorFinding?.held == nil && plain.html().contains("gives no intervals"))
    let alone = ComparisonReport.make(
      rows: SyntheticReport.rows(count: 20), methods: [method("student", .valuator, values)], oracle: nil,
      facts: SyntheticReport.facts, resamples: 10)
    #expect(alone.valuatorFinding == nil && !alone.html().contains("How far can a score"))
  }
}
