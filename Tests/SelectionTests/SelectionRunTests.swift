import Encoder
import Formats
import Foundation
import Selection
import TestSupport
import Testing

private final class Collected: LineOutput {
  var bytes: [UInt8] = []
  func write(_ bytes: [UInt8]) throws(FormatError) { self.bytes += bytes }
  func flush() throws(FormatError) {}
  var lines: [String] { String(decoding: bytes, as: UTF8.self).split(separator: "\n").map(String.init) }
}

/// One made-up row: its text is its own unless another is given.
private struct Row {
  var id: String
  var score: Double
  var source = "s"
  var text: String?
  var tokens = 10
  var halfWidth = 1.0
  var isOutside: Bool?

  /// Words that no other id has.
  static func text(_ id: String) -> String {
    (0..<30).map { "\(id)w\($0 * 7919 % 1000)" }.joined(separator: " ")
  }

  var line: String {
    #"{"id": "\#(id)", "source": "\#(source)", "text": "\#(text ?? Self.text(id))", "alinfik_score": \#(score), "#
      + #""alinfik_low": \#(score - halfWidth), "alinfik_high": \#(score + halfWidth), "alinfik_tokens": \#(tokens), "#
      + (isOutside.map { #""alinfik_ood": \#($0), "# } ?? "") + #""alinfik_truncated": false}"# + "\n"
  }
}

@Suite struct SelectionRunTests {
  private let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  private func select(
    _ files: [String], _ budget: Budget, _ change: (inout SelectionConfiguration) -> Void = { _ in }
  ) throws -> (chosen: [String], rejects: [String: String], summary: SelectionSummary) {
    var configuration = SelectionConfiguration(budget: budget, scratchFolder: folder.path)
    configuration.workers = 2
    change(&configuration)
    let (chosen, rejects) = (Collected(), Collected())
    let summary = try SelectionRun(configuration).run(files, chosen: chosen, rejects: rejects)
    func id(_ line: String) throws -> String { try JSONValue.parse(Array(line.utf8))["id"]!.string! }
    let reasons = try rejects.lines.map { line in
      (try id(line), try JSONValue.parse(Array(line.utf8))["alinfik_reason"]!.string!)
    }
    return (try chosen.lines.map(id), Dictionary(uniqueKeysWithValues: reasons), summary)
  }

  private func file(_ rows: [Row], _ name: String = "in.jsonl") throws -> String {
    try folder.file(name, rows.map(\.line).joined())
  }

  private func refusal(_ body: () throws -> Void) -> String {
    do {
      try body()
      return ""
    } catch { return "\(error)" }
  }

  @Test func theBestAreTakenWhileTheyFit() throws {
    let rows = [
      Row(id: "a", score: 1), Row(id: "b", score: 5), Row(id: "c", score: 3, tokens: 25),
      Row(id: "d", score: 4),
      Row(id: "e", score: -2), Row(id: "f", score: 9, tokens: 500),
    ]
    let path = try file(rows)
    let (chosen, rejects, summary) = try select([path], Budget(30, .tokens))
    // f alone is larger than the budget, c does not fit behind b and d, and a fills what is left.
    #expect(chosen == ["a", "b", "d"])
    #expect(rejects == ["c": "budget", "e": "budget", "f": "larger than the budget"])
    #expect(summary.used == 30 && summary.cut == 3 && !summary.exceedsData && summary.lowestScore == 1)
    #expect(summary.tokens == 565 && summary.chosenTokens == 30)
    // By their intervals of 1 either side: a (0...2) reaches below the cut, and of those left out c (2...4) above it.
    #expect(summary.chosenUncertain == 1 && summary.leftOutUncertain == 1 && summary.withInterval == 5)
    #expect(try select([path], Budget(2, .rows)).chosen == ["b", "f"])
    // The first that is left out is the cut, where what is taken fills the budget too.
    #expect(try select([path], Budget(2, .rows)).summary.cut == 4)
    #expect(try select([path], Budget(2, .rows)) { $0.order = .value }.chosen == ["f", "b"])
    let least = try select([path], Budget(100, .rows)) { $0.leastScore = 3 }
    #expect(least.chosen == ["b", "c", "d", "f"] && least.rejects["a"] == "below min score")
    #expect(least.summary.exceedsData && least.summary.cut == nil)
    let bytes = rows[1].text?.utf8.count ?? Row.text("b").utf8.count
    #expect(try select([path], Budget(2 * bytes, .bytes)).chosen == ["b", "f"])
  }

  @Test func linesComeOutAsTheyStand() throws {
    let line = #"{"text":"t \u00e9" ,  "n": 1.50, "alinfik_score":2, "alinfik_tokens":3,"id":"x"}"#
    let earlier =
      #"{"id": "y", "text": "u", "alinfik_score": 3, "alinfik_tokens": 1, "alinfik_reason": "budget"}"#
    let path = try folder.file(
      "in.jsonl", line + "\r\n" + earlier + "\n" + #"{"id":"z","alinfik_error":"no text"}"#)
    var configuration = SelectionConfiguration(budget: Budget(2, .rows), scratchFolder: folder.path)
    configuration.duplicates = .exact
    let (chosen, rejects) = (Collected(), Collected())
    let summary = try SelectionRun(configuration).run([path], chosen: chosen, rejects: rejects)
    #expect(
      chosen.lines == [line, #"{"id": "y", "text": "u", "alinfik_score": 3, "alinfik_tokens": 1}"#])
    #expect(rejects.lines == [#"{"id":"z","alinfik_error":"no text","alinfik_reason":"no score"}"#])
    #expect(summary.decisions[.noScore] == 1 && summary.rows == 3)
  }

  /// Copies among the rows, near copies, equal scores: one file, seven shards, or the rows in another order.
  @Test(arguments: [nil, 0.5]) func shardsDoNotMatter(_ temperature: Double?) throws {
    let rows = (0..<900).map { number in
      var row = Row(
        id: "r\(number)", score: Double(number * 7919 % 50) / 10, source: "s\(number % 4)",
        tokens: 5 + number % 9)
      if number % 10 == 3 { row.text = Row.text("r\(number - 3)") }
      if number % 10 == 7 { row.text = Row.text("r\(number - 7)") + " and one more" }
      return row
    }
    func run(_ files: [String], runBytes: Int, _ workers: Int) throws -> [String] {
      try select(files, Budget(2000, .tokens)) {
        ($0.order, $0.runBytes, $0.workers) = (.value, runBytes, workers)
        ($0.temperature, $0.seed) = (temperature, 3)
        $0.caps = [SourceLimit("40%")!]
        $0.minimums = [SourceLimit("s3=25%")!]
      }.chosen
    }
    let whole = try run([try file(rows)], runBytes: 1 << 30, 1)
    #expect(whole.count > 100)
    let shards = try (0..<7).map { shard in
      try file(rows.enumerated().filter { $0.offset % 7 == shard }.map(\.element), "shard-\(shard).jsonl")
    }
    #expect(try run(shards, runBytes: 5000, 3) == whole)
    #expect(try run([try file(rows.reversed(), "reversed.jsonl")], runBytes: 20_000, 2) == whole)
  }

  @Test func duplicatesCountOnce() throws {
    let text = Row.text("t")
    let path = try file([
      Row(id: "low", score: 1, text: text), Row(id: "best", score: 3, text: text),
      Row(id: "near", score: 2, text: text + " indeed"), Row(id: "other", score: 0),
    ])
    let (chosen, rejects, _) = try select([path], Budget(10, .rows))
    #expect(chosen == ["best", "other"])
    #expect(rejects == ["low": "duplicate of best", "near": "near duplicate of best"])
    let exact = try select([path], Budget(10, .rows)) { $0.duplicates = .exact }
    #expect(exact.chosen == ["best", "near", "other"] && exact.rejects == ["low": "duplicate of best"])
    #expect(try select([path], Budget(10, .rows)) { $0.duplicates = .keep }.chosen.count == 4)
    #expect(try select([path], Budget(10, .rows)) { $0.likeness = 1 }.chosen == ["best", "near", "other"])
  }

  @Test func sourcesAreCappedAndKeptRoomFor() throws {
    let rows =
      (0..<20).map { Row(id: "a\($0)", score: 10 - Double($0) / 10, source: "a") }
      + (0..<5).map { Row(id: "b\($0)", score: Double($0) / 10, source: "b") }
    let path = try file(rows)
    let capped = try select([path], Budget(100, .tokens)) { $0.caps = [SourceLimit("60%")!] }
    #expect(capped.chosen == ["a0", "a1", "a2", "a3", "a4", "a5", "b1", "b2", "b3", "b4"])
    #expect(capped.rejects["a6"] == "source cap" && capped.rejects["b0"] == "budget")
    let lost = capped.summary.sources.map { [$0.leftOut[.sourceCap] ?? 0, $0.leftOut[.budget] ?? 0] }
    #expect(lost == [[14, 0], [0, 1]] && capped.summary.sources.map(\.chosenRows) == [6, 4])
    let kept = try select([path], Budget(100, .tokens)) { $0.minimums = [SourceLimit("b=30")!] }
    #expect(kept.chosen == (0..<7).map { "a\($0)" } + ["b2", "b3", "b4"])
    #expect(kept.summary.cut == 9.3)
    // More than there is: what b lacks goes to a.
    let short = try select([path], Budget(100, .tokens)) { $0.minimums = [SourceLimit("b=80")!] }
    #expect(short.chosen == (0..<5).map { "a\($0)" } + (0..<5).map { "b\($0)" })
    #expect(short.summary.shortfalls.map { "\($0.source) \($0.asked) \($0.given)" } == ["b 80 50"])
    // The same where it is a copy that b lacks.
    let copies = try file(
      (0..<20).map { Row(id: "a\($0)", score: 10 - Double($0) / 10, source: "a") }
        + (0..<5).map {
          Row(id: "b\($0)", score: 0, source: "b", text: "one text of them all, again and again")
        },
      "copies.jsonl")
    let few = try select([copies], Budget(100, .tokens)) { $0.minimums = [SourceLimit("b=30")!] }
    #expect(few.chosen.filter { $0.hasPrefix("a") }.count == 9 && few.summary.used == 100)
    let impossible: [(caps: [String], minimums: [String], words: String)] = [
      (["c=5"], [], "--per-source-cap names the source 'c'"),
      ([], ["c=5"], "--per-source-min names the source 'c'"),
      (["10%"], ["20%"], "may give 10"), ([], ["a=80", "b=50"], "the budget is 100"),
    ]
    for (caps, minimums, word) in impossible {
      let words = refusal {
        _ = try select([path], Budget(100, .tokens)) {
          ($0.caps, $0.minimums) = (caps.map { SourceLimit($0)! }, minimums.map { SourceLimit($0)! })
        }
      }
      #expect(words.contains(word), "\(words)")
    }
    let nameless = try folder.file("n.jsonl", #"{"text": "a", "alinfik_score": 1, "alinfik_tokens": 1}"#)
    #expect(
      refusal { _ = try select([nameless], Budget(5, .rows)) { $0.caps = [SourceLimit("1")!] } }
        .contains("n.jsonl:1: it has no source"))
  }

  /// Of two rows whose scores are T ln 3 apart the better is drawn first three times in four, and a copy shares its original's luck.
  @Test func noiseDrawsByTheScores() throws {
    let path = try file([Row(id: "low", score: 0), Row(id: "high", score: 0.5 * log(3))])
    let draws = try (0..<600).map { seed in
      try select([path], Budget(1, .rows)) { ($0.temperature, $0.seed) = (0.5, UInt64(seed)) }.chosen[0]
    }
    let share = Double(draws.count { $0 == "high" }) / 600
    // Four standard errors.
    #expect(abs(share - 0.75) < 0.071, "\(share)")
    let copies = try file(
      ["z", "w", "v"].map { Row(id: $0, score: 0) }
        + ["x", "y"].map { Row(id: $0, score: 0, text: "one and the same") }, "copies.jsonl")
    var firsts: Set<String> = []
    for seed in 0..<30 {
      let order = try select([copies], Budget(5, .rows)) {
        ($0.temperature, $0.seed, $0.order, $0.duplicates) = (1, UInt64(seed), .value, .keep)
      }.chosen
      #expect(abs(order.firstIndex(of: "x")! - order.firstIndex(of: "y")!) == 1)
      firsts.insert(order[0])
    }
    #expect(firsts.count > 2)
  }

  /// A budget is larger than the data where all that may be chosen is chosen and some of it is left: not where that just fits, nor where
  /// what is left is too little for a row that was left out.
  @Test func aBudgetLargerThanTheDataIsSaidAndRefusedWhenAsked() throws {
    let rows = [
      Row(id: "a", score: 3), Row(id: "b", score: 2, source: "t"),
      Row(id: "copy", score: 1, text: Row.text("a")), Row(id: "low", score: -5),
    ]
    let path = try file(rows)
    let larger = try file(rows + [Row(id: "huge", score: 1, tokens: 500)], "larger.jsonl")
    typealias Change = (inout SelectionConfiguration) -> Void
    let cases: [(path: String, tokens: Int, exceeds: Bool, change: Change)] = [
      (path, 31, true, { _ in }), (path, 30, false, { _ in }), (path, 29, false, { _ in }),
      (path, 41, true, { $0.duplicates = .keep }), (path, 40, false, { $0.duplicates = .keep }),
      (path, 21, true, { $0.leastScore = 0 }), (path, 20, false, { $0.leastScore = 0 }),
      (path, 21, true, { $0.caps = [SourceLimit("s=10")!] }),
      (path, 20, false, { $0.caps = [SourceLimit("s=10")!] }),
      (larger, 400, false, { _ in }), (larger, 531, true, { _ in }),
    ]
    for (path, tokens, exceeds, change) in cases {
      let summary = try select([path], Budget(tokens, .tokens), change).summary
      #expect(summary.exceedsData == exceeds, "\(tokens)")
      #expect(summary.json["budget"]?["exceeds_data"]?.bool == exceeds)
      #expect(summary.warnings.contains { $0.contains("larger than all") } == exceeds)
      var configuration = SelectionConfiguration(budget: Budget(tokens, .tokens), scratchFolder: folder.path)
      change(&configuration)
      configuration.isStrict = true
      let output = Collected()
      let words = refusal { _ = try SelectionRun(configuration).run([path], chosen: output, rejects: nil) }
      #expect(
        words.contains("is \(tokens) tokens, and all that may be chosen is \(summary.used) tokens")
          == exceeds,
        "\(tokens): \(words)")
      #expect(output.bytes.isEmpty == exceeds)
    }
    let one = try file([Row(id: "a", score: 1)], "one.jsonl")
    #expect(
      refusal { _ = try select([one], Budget(5, .rows)) { $0.isStrict = true } }.contains(
        "all that may be chosen is 1 row;"))
  }

  @Test func whatIsOutOfDomainIsDroppedWhenAsked() throws {
    let path = try file([
      Row(id: "far", score: 9, source: "t", isOutside: true), Row(id: "a", score: 3, isOutside: false),
      Row(id: "low", score: -9, isOutside: true), Row(id: "b", score: 1), Row(id: "c", score: 0, source: "t"),
    ])
    let kept = try select([path], Budget(2, .rows))
    #expect(kept.chosen == ["far", "a"] && kept.summary.chosenOutside == 1)
    #expect(kept.summary.warnings.contains { $0.contains("--drop-out-of-domain") })
    // Also where the choice is made anew, for t cannot give three.
    let dropped = try select([path], Budget(3, .rows)) {
      ($0.dropsOutOfDomain, $0.leastScore, $0.minimums) = (true, -1, [SourceLimit("t=3")!])
    }
    #expect(dropped.chosen == ["a", "b", "c"])
    #expect(dropped.rejects == ["far": "out of domain", "low": "out of domain"])
    #expect(dropped.summary.decisions[.outOfDomain] == 2 && dropped.summary.chosenOutside == 0)
    #expect(dropped.summary.lines.contains("left out: 2 out of domain"), "\(dropped.summary.lines)")
    let json = dropped.summary.json
    #expect(json["left_out"]?["out_of_domain"]?.int == 2)
    let sources = try #require(json["sources"]?.array)
    #expect(sources.map { $0["left_out"]?["out_of_domain"]?.int } == [1, 1])
    #expect(sources.allSatisfy { $0["left_out"]?["budget"] == nil })
    #expect(!dropped.summary.warnings.contains { $0.contains("out-of-domain") })
    let untold = try select([try file([Row(id: "a", score: 3)], "untold.jsonl")], Budget(1, .rows)) {
      $0.dropsOutOfDomain = true
    }
    #expect(untold.summary.warnings.contains { $0.contains("no row says") })
  }

  /// Verdicts number chosen rows in 28 bits, 0 for none.
  @Test func moreThanCanBeChosenIsAnError() throws {
    var verdicts = RowVerdicts()
    verdicts.append(.budget)
    for decision in [RowDecision.chosen, .nearDuplicate, .redundant] {
      verdicts[0] = (decision, RowVerdicts.mostChosen - 1)
      #expect(verdicts[0].decision == decision && verdicts[0].chosen == 268_435_454)
    }
    let path = try file((0..<3).map { Row(id: "r\($0)", score: 3 - Double($0)) })
    #expect(try select([path], Budget(2, .rows)) { $0.mostChosen = 2 }.chosen == ["r0", "r1"])
    var configuration = SelectionConfiguration(budget: Budget(3, .rows), scratchFolder: folder.path)
    #expect(configuration.mostChosen == RowVerdicts.mostChosen)
    configuration.mostChosen = 2
    let output = Collected()
    #expect(throws: SelectionError.tooManyChosen(limit: 2)) {
      try SelectionRun(configuration).run([path], chosen: output, rejects: nil)
    }
    #expect(output.bytes.isEmpty)
  }

  @Test func oneIsNotCalledMany() throws {
    let text = Row.text("t")
    let path = try file([
      Row(id: "a", score: 3, text: text, tokens: 1, isOutside: true),
      Row(id: "b", score: 2, text: text, tokens: 1),
    ])
    let summary = try select([path], Budget(2, .rows)) { $0.minimums = [SourceLimit("s=2")!] }.summary
    let words = (summary.lines + summary.warnings).joined(separator: "\n")
    #expect(words.contains("chosen: 1 of 2 rows, 1 of 2 tokens; 1 of a budget of 2 rows\n"), "\(words)")
    #expect(words.contains("left out: 1 duplicate\n") && words.contains(": 1 of 1 row, whose"), "\(words)")
    #expect(words.contains("source 's' gives 1 row of 2 asked for"), "\(words)")
    #expect(!words.contains("1 rows") && !words.contains("1 tokens"), "\(words)")
    var configuration = SelectionConfiguration(budget: Budget(1, .tokens), scratchFolder: folder.path)
    configuration.workers = 1
    let plan = try SelectionPlan(configuration, files: [path]).words
    #expect(plan.hasPrefix("1 file of ") && plan.contains("by 1 worker; budget: 1 token\n"), "\(plan)")
  }

  @Test func whatCannotBeIsSaid() throws {
    let none = try folder.file("none.jsonl", #"{"id": "x", "alinfik_error": "bad"}"#)
    #expect(refusal { _ = try select([none], Budget(5, .rows)) }.contains("no scored row"))
    let cut = try folder.file(
      "cut.jsonl",
      #"{"id": "a", "text": "a", "alinfik_score": 1, "alinfik_tokens": 9, "alinfik_truncated": true}"#)
    #expect(refusal { _ = try select([cut], Budget(5, .tokens)) }.contains("--tokenizer"))
    #expect(try select([cut], Budget(5, .bytes)).summary.tokens == nil)
    // As much as will be read was counted.
    #expect(try select([cut], Budget(5, .tokens)) { $0.maxTokens = 5 }.summary.chosenTokens == 5)
  }
}
