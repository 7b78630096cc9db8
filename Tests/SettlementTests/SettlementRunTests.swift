import Formats
import Records
import Settlement
import TestSupport
import Testing

@Suite("A settlement's numbers")
struct SettlementRunTests {
  private let rows: ScoredRows

  init() throws { rows = try ScoredRows() }

  private func line(
    _ id: String, _ source: String, _ score: Double, tokens: Int = 1000, text: String? = nil,
    ood: Bool? = false
  ) -> String { ScoredRows.line(id, source, score, tokens: tokens, text: text, ood: ood) }

  @Test("values by tokens and by rows")
  func weights() throws {
    let lines = [
      line("a", "x", 4, tokens: 500), line("b", "x", -1, tokens: 1500), line("c", "y", 2, tokens: 1000),
    ]
    let byTokens = try rows.settle(lines)
    let x = try #require(byTokens["x"])
    #expect(x.counted.total == 0.5 && x.counted.tokens == 2000 && x.counted.mean == 0.25)
    #expect(
      x.counted.perThousandTokens == 0.25 && x.counted.negativeRows == 1 && x.counted.negativeValue == -1.5)
    #expect(x.share == 0.2 && byTokens["y"]?.share == 0.8 && byTokens.providers.map(\.name) == ["y", "x"])
    let byRows = try rows.settle(lines) { $0.weight = .rows }
    #expect(byRows["x"]?.counted.total == 3 && byRows["x"]?.counted.perThousandTokens == 1.5)
    #expect(byRows["x"]?.share == 0.6 && byRows.pool.counted.total == 5)
  }

  @Test("a text counts once, for the first; the shared part and equal parts are said")
  func copies() throws {
    let settlement = try rows.settle([
      line("a", "x", 6, text: "one"), line("b", "x", 6, text: "one"), line("c", "y", 6, text: "one"),
      line("d", "z", 6, text: "one"), line("e", "y", 6, text: "one"), line("f", "y", 1, text: "two"),
    ])
    let (x, y, z) = (
      try #require(settlement["x"]), try #require(settlement["y"]), try #require(settlement["z"])
    )
    #expect(x.ownCopies.rows == 1 && x.othersCopies.rows == 0 && x.sharedRows == 1 && x.sharedValue == 6)
    #expect(
      y.ownCopies.rows == 1 && y.othersCopies.rows == 1 && y.othersValue == 6 && y.copyIds == ["c", "e"])
    #expect(y.othersRows == 1 && z.othersRows == 1 && x.othersRows == 0)
    #expect(z.counted.rows == 0 && z.othersCopies.rows == 1 && z.share == 0 && z.counted.mean == nil)
    #expect(x.counted.total == 6 && y.counted.total == 1)
    #expect(x.totalInEqualParts == 2 && y.totalInEqualParts == 3 && z.totalInEqualParts == 2)
    #expect(settlement.pool.counted.total == 7 && settlement.pool.copies.rows == 4)
    #expect(
      settlement.overlaps.map { "\($0.first) \($0.later) \($0.rows) \($0.value)" } == [
        "x y 1 6.0", "x z 1 6.0",
      ])
    let all = try rows.settle([line("a", "x", 6, text: "one"), line("b", "y", 6, text: "one")]) {
      $0.duplicates = .keep
    }
    #expect(all.pool.counted.total == 12 && all.overlaps.isEmpty)
  }

  @Test("near copies count once where they are asked for")
  func nearCopies() throws {
    let text = (0..<60).map { "word\($0 * 31 % 97)" }.joined(separator: " ")
    let lines = [line("a", "x", 2, text: text), line("b", "y", 2, text: text + " and a bit")]
    let near = try rows.settle(lines) { $0.duplicates = .near(0.8) }
    #expect(near["y"]?.nearCopies == 1 && near["y"]?.othersCopies.rows == 1 && near.pool.counted.rows == 1)
    #expect(try rows.settle(lines).pool.counted.rows == 2)
  }

  @Test("rows out of the domain do not count, unless asked; those too short to tell do")
  func domain() throws {
    let lines = [
      line("a", "x", 2, ood: true), line("b", "x", 3), line("c", "x", 5, ood: nil),
      line("d", "x", 7, ood: false),
    ]
    let settlement = try rows.settle(lines)
    let x = try #require(settlement["x"])
    #expect(
      x.outside?.rows == 1 && x.outsideShare == 0.25 && x.counted.total == 15 && x.counted.untoldRows == 1)
    let counted = try rows.settle(lines) { $0.countsOutside = true }
    #expect(counted["x"]?.counted.total == 17 && counted["x"]?.outsideShare == 0.25)
    // A valuator that knows no domain says so by silence.
    let silent = try rows.settle([
      #"{"id": "a", "source": "x", "text": "t", "alinfik_score": 1, "alinfik_tokens": 10}"# + "\n"
    ])
    #expect(silent["x"]?.outside == nil && silent["x"]?.outsideShare == nil && silent.pool.outside == nil)
  }

  @Test("a copy of a row that does not count shares no value")
  func copyOfUncounted() throws {
    let settlement = try rows.settle([
      line("a", "x", 9, text: "t", ood: true), line("b", "y", 9, text: "t", ood: true),
    ])
    #expect(settlement["x"]?.sharedRows == 0 && settlement["y"]?.othersValue == 0)
    #expect(settlement["y"]?.othersRows == 0 && settlement["y"]?.othersCopies.rows == 1)
    #expect(settlement["y"]?.totalInEqualParts == 0 && settlement["y"]?.outside?.rows == 0)
  }

  @Test("a row that counts takes the place of an earlier copy that does not")
  func uncountedFirst() throws {
    let text = (0..<60).map { "word\($0 * 31 % 97)" }.joined(separator: " ")
    let settlement = try rows.settle([
      line("a", "x", 9, text: text, ood: true), line("b", "z", 9, text: text, ood: true),
      line("c", "y", 4, text: text + " and a bit"), line("d", "x", 4, text: text + " and a bit"),
      line("e", "z", 4, text: text),
    ]) { $0.duplicates = .near(0.8) }
    let y = try #require(settlement["y"])
    #expect(y.counted.total == 4 && y.sharedRows == 1 && y.othersCopies.rows == 0)
    #expect(settlement.pool.counted.rows == 1 && settlement["x"]?.counted.rows == 0)
    #expect(settlement["x"]?.othersValue == 4 && settlement["z"]?.othersValue == 4)
  }

  @Test("one file or many shards, the same bytes; another seed, other intervals alone")
  func shards() throws {
    let lines = ScoredRows.many()
    let whole = try rows.settle(lines)
    var shards = try rows.settle(Array(lines[..<7]), Array(lines[7..<120]), Array(lines[120...]))
    #expect(shards.facts.inputs == ["part-0.jsonl", "part-1.jsonl", "part-2.jsonl"])
    #expect(shards.html().contains(">part-1.jsonl<"))
    shards.facts.inputs = whole.facts.inputs
    #expect(whole.json() == shards.json() && whole.html() == shards.html())
    var other = try rows.settle(lines) { $0.seed = 1 }
    #expect(other["north"]?.shareInterval != whole["north"]?.shareInterval)
    #expect(other["north"]?.share == whole["north"]?.share)
    other.facts.seed = "0"
    #expect(other.json() != whole.json())
  }

  /// More lines than a worker takes together, copies among them.
  @Test("one worker or many, the same bytes, and the same first bad line", arguments: [2, 3])
  func workers(_ workers: Int) throws {
    func change(_ options: inout SettlementOptions) {
      options.duplicates = .near(0.5)
      options.includesTexts = true
    }
    let lines = ScoredRows.many(2500)
    let one = try rows.settle(Array(lines[..<1500]), Array(lines[1500...]), change: change)
    let many = try rows.settle(Array(lines[..<1500]), Array(lines[1500...]), workers: workers, change: change)
    #expect(one.json() == many.json() && one.html() == many.html())
    #expect(one.pool.claimed.rows == 2500 && one.pool.copies.rows > 100)
    var broken = lines
    (broken[1400], broken[2100]) = ("nonsense\n", "{}\n")
    let error = #expect(throws: RecordError.self) { try rows.settle(broken, workers: workers) }
    #expect("\(try #require(error))".contains("part-0.jsonl:1401:"), "\(error!)")
  }

  @Test("an interval holds its number, and what is of too few rows has none")
  func intervals() throws {
    let settlement = try rows.settle(ScoredRows.many())
    for provider in settlement.providers {
      let (counted, share) = (provider.counted, try #require(provider.shareInterval))
      let (total, each) = (
        try #require(counted.totalInterval), try #require(counted.perThousandTokensInterval)
      )
      #expect(total.lower < counted.total && counted.total < total.upper)
      #expect(each.lower < counted.perThousandTokens! && counted.perThousandTokens! < each.upper)
      #expect(share.lower < provider.share && provider.share < share.upper)
    }
    let few = try rows.settle((0..<19).map { line("r\($0)", "x", Double($0)) })
    #expect(few["x"]?.counted.totalInterval == nil && few["x"]?.shareInterval == nil)
  }

  @Test("a provider's intervals do not depend on the others' rows")
  func apart() throws {
    let lines = ScoredRows.many()
    let own = lines.filter { $0.contains(#""source": "north""#) }
    let alone = try rows.settle(own) { $0.duplicates = .keep }
    let together = try rows.settle(lines) { $0.duplicates = .keep }
    #expect(alone["north"]?.counted.totalInterval == together["north"]?.counted.totalInterval)
    #expect(alone["north"]?.recordsSHA256 == together["north"]?.recordsSHA256)
  }

  @Test("the best and the worst rows, in order, and texts only where they are asked for")
  func ends() throws {
    let lines = (0..<12).map { line("r\($0)", "x", Double(($0 * 5) % 12)) }
    let x = try #require(try rows.settle(lines)["x"])
    #expect(x.best.map(\.score) == [11, 10, 9, 8, 7] && x.worst.map(\.score) == [0, 1, 2, 3, 4])
    #expect(x.best[0].id == "r7" && x.best.allSatisfy { $0.excerpt == nil })
    let shown = try rows.settle(lines) { $0.includesTexts = true }
    #expect(shown["x"]?.best[0].excerpt?.hasPrefix("r7 says") == true)
  }

  @Test("the amounts are by the value that counts and add up to the budget")
  func amounts() throws {
    let settlement = try rows.settle(ScoredRows.many()) {
      $0.payment = (try! Money(budget: "1000.01 EUR"), .share)
    }
    let payment = try #require(settlement.payment)
    #expect(payment.amounts.reduce(0) { $0 + $1.units } + payment.unspentUnits! == 100_001)
    #expect(payment.amounts.map(\.provider) == settlement.providers.map(\.name))
    for (amount, provider) in zip(payment.amounts, settlement.providers) {
      #expect(abs(Double(amount.units) - 100_001 * provider.share) <= 1)
    }
  }

  @Test("rows without a score are counted where they belong")
  func withoutScore() throws {
    let settlement = try rows.settle([
      line("a", "x", 1), #"{"id": "b", "source": "x", "text": "t", "alinfik_error": "bad"}"# + "\n",
      #"{"alinfik_error": "bad", "alinfik_line": "nonsense"}"# + "\n",
    ])
    #expect(settlement.pool.withoutScore == 2 && settlement["x"]?.withoutScore == 1)
    #expect(settlement["x"]?.claimed.rows == 2 && settlement.pool.claimed.rows == 3)
  }

  /// The same letters, composed and decomposed, which Swift takes for the same.
  @Test("providers whose names differ in their bytes alone are two")
  func normalisation() throws {
    let names = ["caf\u{E9}", "cafe\u{301}"]
    let lines = [line("a", names[0], 3), line("b", names[1], 1)]
    let settlement = try rows.settle(lines) { $0.payment = (try! Money(budget: "100"), .share) }
    #expect(settlement.providers.map(\.counted.total) == [3, 1])
    #expect(settlement.payment?.amounts.map(\.units) == [7500, 2500])
    for text in ["<td class=\"n\">3.000</td>", "<td class=\"n\">1.000</td>"] {
      #expect(settlement.html().contains(text), "\(text)")
    }
    #expect(settlement.summary[1].hasSuffix(" 75.00") && settlement.summary[2].hasSuffix(" 25.00"))
    for (name, total) in zip(names, [3.0, 1]) {
      let one = try rows.settle(lines) {
        $0.payment = (try! Money(budget: "100"), .share)
        $0.provider = name
      }
      #expect(one.providers.map(\.counted.total) == [total])
      #expect(one.payment?.amounts.count == 1 && one.payment?.amounts[0].units == Int(total) * 2500)
      #expect(one.providers.allSatisfy { $0.name.utf8.elementsEqual(name.utf8) })
    }
  }

  @Test(
    "what is said on a terminal: parts that add up, what is unspent, by how much prices fell, and why nobody is paid"
  )
  func summary() throws {
    let lines = [
      line("a", "x", 2000, ood: true), line("b", "x", 1506.76, text: "t"), line("c", "x", 1, text: "t"),
    ]
    let counted = try rows.settle(lines) {
      $0.countsOutside = true
      $0.payment = (try! Money(budget: "100 EUR"), .floorSlope(floor: 0, slope: 0.5))
    }
    #expect(counted.summary.first == "3 rows of 1 provider: 1 copy, 2 count (1 of them out of domain)")
    #expect(counted.summary.contains { $0.contains("lowered by the factor 0.0570") })
    let less = try rows.settle(lines) {
      $0.payment = (try! Money(budget: "1000 EUR"), .floorSlope(floor: 0, slope: 0.5))
    }
    #expect(less.summary.first == "3 rows of 1 provider: 1 copy, 1 out of domain, 1 counts")
    #expect(less.summary[1].hasPrefix("x: 1 row, value 1507, 100.0 %, 753.38"), "\(less.summary[1])")
    #expect(less.summary.last == "unspent: 246.62\u{A0}EUR of 1\u{202F}000.00\u{A0}EUR")
    #expect(less.html().contains(">1507<") && less.whyNobodyIsPaid == nil)
    let nothing = try rows.settle([line("a", "x", -1)]) { $0.payment = (try! Money(budget: "5"), .share) }
    #expect(nothing.whyNobodyIsPaid?.contains("above zero") == true)
    #expect(nothing.html().contains("the budget stays with the buyer"))
    let list = try rows.settle([line("a", "x", -1)]) {
      $0.payment = (try! Money(budget: "5"), .floorSlope(floor: 0, slope: 1))
    }
    #expect(list.whyNobodyIsPaid?.contains("by these prices") == true)
  }

  @Test("what cannot be settled is refused with its line")
  func refusals() throws {
    func message(_ lines: [String], change: (inout SettlementOptions) -> Void = { _ in }) -> String {
      do {
        _ = try rows.settle(lines, change: change)
        return ""
      } catch { return "\(error)" }
    }
    let good = line("a", "x", 1)
    #expect(message([good, #"{"id": "b", "text": "t", "source": "x"}"#]).contains("part-0.jsonl:2"))
    let noSource = message([good, #"{"text": "t", "alinfik_score": 1, "alinfik_tokens": 3}"#])
    #expect(noSource.contains(":2") && noSource.contains("'source'") && noSource.contains("--by"))
    let empty = message([good, #"{"text": "t", "source": "", "alinfik_score": 1, "alinfik_tokens": 3}"#])
    #expect(empty.contains(":2") && empty.contains("'source' is empty"), "\(empty)")
    #expect(message([good]) { $0.by = "meta.vendor" }.contains("'meta.vendor'"))
    for wrong in [#"{"a": 1}"#, "[7]", "true"] {
      let row = #"{"text": "t", "source": \#(wrong), "alinfik_score": 1, "alinfik_tokens": 3}"#
      let said = message([good, row])
      #expect(said.contains("part-0.jsonl:2: 'source' is neither a string nor a number"), "\(said)")
    }
    #expect(message([#"{"text": "t", "source": "x", "alinfik_score": 1}"#]).contains("alinfik_tokens"))
    #expect(message([]).contains("no scored row"))
    #expect(message([good]) { $0.provider = "y" }.contains("no row has 'y'"))
    let mixed = message([
      ScoredRows.line("a", "x", 1, more: #", "alinfik_valuator": "aaaaaaaaaaaa""#),
      ScoredRows.line("b", "x", 1, more: #", "alinfik_valuator": "bbbbbbbbbbbb""#),
    ])
    #expect(mixed.contains(":2") && mixed.contains("valuator"), "\(mixed)")
  }

  @Test("a provider by a dot path, or a number")
  func paths() throws {
    let settlement = try rows.settle([
      #"{"text": "t", "meta": {"vendor": 7}, "alinfik_score": 1, "alinfik_tokens": 3}"# + "\n"
    ]) { $0.by = "meta.vendor" }
    #expect(settlement.providers.map(\.name) == ["7"])
  }
}
