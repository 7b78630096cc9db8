import Formats
import Foundation
import Settlement
import TestSupport
import Testing

#if canImport(FoundationXML)
  import FoundationXML
#endif

@Suite("A settlement's page")
struct SettlementPageTests {
  private let rows: ScoredRows

  init() throws { rows = try ScoredRows() }

  private func settlement(_ change: (inout SettlementOptions) -> Void = { _ in }) throws -> Settlement {
    try rows.settle(ScoredRows.many()) {
      $0.payment = (try! Money(budget: "1000 EUR"), .share)
      change(&$0)
    }
  }

  /// What stands wrong in a page as XML; nil for nothing.
  private func problem(_ html: String) -> String? {
    let parser = XMLParser(data: Data(html.utf8))
    return parser.parse() ? nil : "line \(parser.lineNumber): \(String(describing: parser.parserError))"
  }

  @Test("it is well-formed, whatever is missing")
  func wellFormed() throws {
    #expect(problem(try settlement().html()) == nil)
    #expect(problem(try settlement { $0.provider = "south" }.html()) == nil)
    #expect(problem(try settlement { $0.payment = nil }.html()) == nil)
    let outside = try rows.settle([ScoredRows.line("a", "x", 1, ood: true)])
    #expect(problem(outside.html()) == nil)
    let one = try rows.settle([ScoredRows.line("a", "x", 1)])
    #expect(problem(one.html()) == nil && one.html().contains("What 1 provider brought in 1 row<"))
  }

  @Test("names, ids and texts stay text")
  func escaping() throws {
    let attack = #"<script>alert(1)</script><img src=x onerror=y> & ]]>"#
    let settlement = try rows.settle(
      (0..<3).map { ScoredRows.line("\(attack)\($0)", attack, 1, text: attack + "\($0)") }
    ) { $0.includesTexts = true }
    let html = settlement.html()
    #expect(problem(html) == nil && !html.contains("<script") && !html.contains("<img"))
    #expect(html.contains("&lt;script&gt;alert(1)"))
  }

  @Test("nothing is loaded from elsewhere; every chart has a name, every table a caption; ids stand once")
  func accessible() throws {
    let html = try settlement().html()
    for part in ["<script", "<link", "<img", "http://", "https://", "url(", "@import"] {
      #expect(!html.contains(part), "\(part)")
    }
    func count(_ part: String) -> Int { html.components(separatedBy: part).count - 1 }
    #expect(count("<svg") == 5 && count("role=\"img\"") == 5 && count("<desc") == 5)
    #expect(count("<table>") == count("<caption") && count("<table>") >= 8)
    #expect(count("<h1") == 1 && count("<th ") + count("<th>") == count("scope=\""))
    let ids = html.components(separatedBy: " id=\"").dropFirst().map { $0.prefix { $0 != "\"" } }
    #expect(Set(ids).count == ids.count)
  }

  @Test("the policy stands on it in words and as a formula, with the sum, and what a sum of scores is not")
  func policy() throws {
    let html = try settlement {
      $0.payment = (try! Money(budget: "1000 EUR"), try! .priceList(floor: 0.25, slope: 0.125))
    }.html()
    #expect(html.contains("0.25 · K(p) + 0.125 · max(0, V(p))") && html.contains("largest remainder"))
    #expect(html.contains("1\u{202F}000.00\u{A0}EUR") && html.contains("What a sum of scores is not"))
    #expect(try settlement { $0.payment = nil }.html().contains("A value is not a price"))
  }

  @Test("where no number of digits will do, the page does not say that amounts follow from it")
  func farApart() throws {
    var settlement = try settlement {
      $0.payment = (try! Money(budget: "1 EUR"), try! .priceList(floor: 0.25, slope: 0.125))
    }
    #expect(settlement.html().contains("follows from these numbers to the last digit"))
    settlement.payment?.factorDecimals = nil
    #expect(!settlement.html().contains("follows from these numbers"))
    #expect(settlement.html().contains("report.json") && problem(settlement.html()) == nil)
  }

  @Test("a provider's report names no other, in page or JSON, and says the same of it as the buyer's")
  func oneProvider() throws {
    let (all, south) = (try settlement(), try settlement { $0.provider = "south" })
    for text in [south.html(), String(decoding: south.json(), as: UTF8.self)] {
      #expect(text.contains("south") && !text.contains("north") && !text.contains("meadow"))
      // Rows of others: every id of theirs that the buyer's report shows.
      for other in ["north", "meadow"] {
        for row in all[other]!.best + all[other]!.worst {
          #expect(!text.contains("\"\(row.id)\"") && !text.contains(">\(row.id)<"), "\(row.id)")
        }
      }
    }
    #expect(south.providers == [all["south"]!] && south.pool == all.pool)
    #expect(south.payment?.amounts == all.payment?.amounts.filter { $0.provider == "south" })
    #expect(south.payment?.unspentUnits == nil && south.facts.inputs == nil)
    #expect(!south.html().contains("part-0.jsonl") && all.html().contains("part-0.jsonl"))
  }

  @Test("the JSON reads back as what it was written from")
  func json() throws {
    let settlement = try settlement()
    let object = try JSONValue.parse(settlement.json())
    #expect(object["format"]?.string == "alinfik-settlement")
    let providers = try #require(object["providers"]?.array)
    #expect(providers.count == 3 && providers[0]["records_sha256"]?.string != nil)
    #expect(providers.allSatisfy { $0["copy_ids"]?.array != nil })
    let value = providers[0]["counted"]?["per_thousand_tokens"]?.double
    #expect(value == settlement.providers[0].counted.perThousandTokens)
    #expect(object["payment"]?.members != nil)
  }
}
