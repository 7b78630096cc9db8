import Foundation
import Reporting
import Testing

@Suite("HTML page")
struct PageTests {
  let report = SyntheticReport.make(count: 120, resamples: 30)

  @Test("the page is well-formed, whatever part of the comparison is missing")
  func wellFormed() {
    #expect(ParsedPage(report.html()).problem == nil)
    for count in [0, 1, 2, 5, 12] {
      let small = SyntheticReport.make(count: count, resamples: 10, withExcerpts: false)
      #expect(ParsedPage(small.html()).problem == nil, "\(count) rows")
    }
    let bare = ComparisonReport.make(
      rows: [ComparedRow(id: "a", source: "")], methods: [], oracle: nil, facts: SyntheticReport.facts,
      resamples: 10)
    #expect(ParsedPage(bare.html()).problem == nil)
  }

  @Test("methods with their numbers, the reason for one that is not drawn, facts and caveats are there")
  func content() {
    let text = ParsedPage(report.html()).text
    for method in report.methods {
      #expect(text.contains(method.name))
      #expect(text.contains(method.formula))
    }
    #expect(text.contains("not drawn: with one checkpoint TracIn is LinFiK by definition"))
    for fidelity in report.fidelity {
      for estimate in [fidelity.spearman, fidelity.withinSource, fidelity.ndcg, fidelity.recall] {
        #expect(text.contains(String(format: "%.2f", abs(estimate.value!))), "\(fidelity.method)")
      }
    }
    for fact in [
      report.facts.model, report.facts.modelSHA256, report.facts.targetDescription, report.facts.targetSHA256,
      report.facts.command, report.facts.blasKernel, "408", "820", "alinfik 0.1.0", "2026-01-15",
    ] { #expect(text.contains(fact), "\(fact)") }
    for sentence in report.summary + report.caveats { #expect(text.contains(sentence)) }
    for extremes in report.extremes {
      for place in extremes.top + extremes.bottom {
        #expect(text.contains(report.rows[place.row].id))
        #expect(text.contains(report.rows[place.row].excerpt!))
      }
    }
  }

  @Test("texts are shown only where the rows carry them")
  func excerpts() {
    let quiet = SyntheticReport.make(count: 60, resamples: 10, withExcerpts: false)
    let html = quiet.html() + String(decoding: quiet.json(), as: UTF8.self)
    for source in SyntheticReport.sources { #expect(!html.contains(source.text.prefix(20))) }
  }

  @Test("hostile ids, sources, texts and names stay text")
  func escaping() {
    let attack = "</td><script>alert('x')</script><img src=x onerror=\"y\"> & \u{0}\u{1}\u{202E} ]]> \u{FFFE}"
    let rows = (0..<40).map {
      ComparedRow(id: "\(attack)\($0)", source: attack + "\($0 % 2)", excerpt: attack)
    }
    let values = (0..<40).map { Double(($0 * 17) % 40) }
    var facts = SyntheticReport.facts
    facts.targetDescription = attack
    facts.command = attack
    facts.model = attack
    let hostile = ComparisonReport.make(
      rows: rows,
      methods: [
        ComparedMethod(
          name: "a" + attack, formula: attack, role: .reference, needs: .gradients, values: values,
          cost: Cost(seconds: 10, rows: 40)),
        ComparedMethod(
          name: "b" + attack, formula: attack, role: .valuator, needs: .text, values: values.reversed(),
          cost: Cost(seconds: 1, rows: 40, preparationSeconds: 5, note: attack)),
        ComparedMethod(name: "c" + attack, formula: attack, role: .baseline, needs: .text, notDrawn: attack),
      ],
      oracle: Oracle(rows: [0, 1, 2], actual: [1, 2, 3], predicted: [1, 2, 3], stepSize: 1), facts: facts,
      resamples: 10)
    let html = hostile.html()
    let page = ParsedPage(html)
    #expect(page.problem == nil)
    #expect(page.all("script").isEmpty && page.all("img").isEmpty)
    #expect(page.elements.allSatisfy { $0.attributes["onerror"] == nil })
    #expect(page.text.contains("</td><script>alert('x')</script><img src=x onerror=\"y\"> &"))
    #expect(!html.unicodeScalars.contains { $0.value == 0x202E || $0.value < 0x0A })
  }

  @Test("nothing is loaded from elsewhere and nothing runs")
  func selfContained() {
    let page = ParsedPage(report.html())
    for name in ["script", "link", "img", "iframe", "object", "embed", "use", "image"] {
      #expect(page.all(name).isEmpty, "\(name)")
    }
    #expect(page.all("a").allSatisfy { $0.attributes["href"] == "report.json" })
    for part in ["http://", "https://", "url(", "@import", "javascript:"] {
      #expect(!report.html().contains(part), "\(part)")
    }
  }

  @Test("charts have a name and a description, tables a caption and heads, headings come in order, ids once")
  func accessible() {
    let page = ParsedPage(report.html())
    let charts = page.all("svg")
    #expect(charts.count == 12)
    #expect(charts.allSatisfy { $0.attributes["role"] == "img" && $0.attributes["aria-labelledby"] != nil })
    #expect(page.all("desc").count == charts.count && page.all("desc").allSatisfy { $0.text.count > 20 })
    #expect(page.all("table").count == page.all("caption").count)
    #expect(page.all("th").allSatisfy { $0.attributes["scope"] != nil })
    var level = 0
    for element in page.elements where ["h1", "h2", "h3", "h4"].contains(element.name) {
      let next = Int(element.name.dropFirst())!
      #expect(next <= level + 1, "\(element.name) \(element.text)")
      level = next
    }
    #expect(page.all("h1").count == 1)
    let ids = page.elements.compactMap { $0.attributes["id"] }
    #expect(Set(ids).count == ids.count)
    for names in page.elements.compactMap({ $0.attributes["aria-labelledby"] }) {
      for name in names.split(separator: " ") { #expect(ids.contains(String(name)), "\(name)") }
    }
  }

  @Test("letters have a contrast of at least 4.5 on every colour they stand on, light and dark")
  func contrast() throws {
    let html = report.html()
    let cells = try NSRegularExpression(pattern: "--cell:#([0-9a-f]{6});--on:#([0-9a-f]{6})")
    let steps = cells.matches(in: html, range: NSRange(html.startIndex..., in: html))
    #expect(steps.count == 42)
    func colour(_ match: NSTextCheckingResult, _ group: Int) -> String {
      String(html[Range(match.range(at: group), in: html)!])
    }
    for step in steps { #expect(contrast(colour(step, 1), colour(step, 2)) >= 4.5) }

    let named = try NSRegularExpression(pattern: "--([a-z]+): #([0-9a-f]{6})")
    let all = named.matches(in: html, range: NSRange(html.startIndex..., in: html)).map {
      (name: colour($0, 1), value: colour($0, 2))
    }
    for theme in [all.prefix(all.count / 2), all.suffix(all.count / 2)] {
      let paper = try #require(theme.first { $0.name == "paper" }).value
      for name in ["ink", "quiet", "valuator", "link", "reference", "influence", "baseline"] {
        let letters = try #require(theme.first { $0.name == name }).value
        #expect(contrast(paper, letters) >= 4.5, "\(name)")
      }
    }
  }

  /// The contrast of two colours as WCAG 2 defines it.
  private func contrast(_ first: String, _ second: String) -> Double {
    func luminance(_ hex: String) -> Double {
      let number = UInt32(hex, radix: 16)!
      let parts = [16, 8, 0].map { shift -> Double in
        let part = Double(number >> UInt32(shift) & 0xFF) / 255
        return part <= 0.04045 ? part / 12.92 : pow((part + 0.055) / 1.055, 2.4)
      }
      return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]
    }
    let pair = [luminance(first), luminance(second)].sorted()
    return (pair[1] + 0.05) / (pair[0] + 0.05)
  }
}
