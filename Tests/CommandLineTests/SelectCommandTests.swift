import Formats
import Foundation
import TestSupport
import Testing

/// `score`, then `select`, as users run them.
@Suite struct SelectCommandTests {
  private let folder: TemporaryFolder
  private let model: String
  private let valuator: String
  /// 200 scored rows of three sources, marked.
  private let scored: String

  init() throws {
    folder = try TemporaryFolder()
    (model, valuator) = (try folder.tinyModel(), folder.path("valuator"))
    let labels = folder.path("labels.h5")
    let (rows, texts) = (
      try folder.file("rows.jsonl", tinyRows(60)), try folder.file("texts.jsonl", tinyRows(200, sources: 3))
    )
    for arguments in [
      ["label", "--model", model, "--target", try folder.tinyTarget(), "--sample", rows, "--output", labels],
      ["train", labels, "--output", valuator, "--init", model, "--size", "small"],
      ["score", valuator, texts, "--output-dir", folder.path("scored")],
    ] {
      let run = try Command.run(arguments: arguments)
      #expect(run.status == 0, "\(run.errors)")
    }
    scored = folder.path("scored/texts.jsonl")
  }

  private func lines(_ path: String) throws -> [String] {
    let reader = try LineReader(path: path)
    var lines: [String] = []
    while let line = try reader.next() { lines.append(String(decoding: line.bytes, as: UTF8.self)) }
    return lines
  }

  private func values(_ lines: [String], _ key: ByteString) throws -> [Double] {
    try lines.compactMap { try JSONValue.parse(Array($0.utf8))[key]?.double }
  }

  private func select(_ arguments: String...) throws -> Command.Result {
    try Command.run(arguments: ["select"] + arguments)
  }

  /// A selection's `--json`.
  private func summary(_ arguments: String...) throws -> JSONValue { try summary(arguments) }

  private func summary(_ arguments: [String]) throws -> JSONValue {
    let run = try Command.run(
      arguments: ["select"] + arguments + ["--output", folder.path("x.jsonl"), "--force", "--json"])
    #expect(run.status == 0, "\(run.errors)")
    return try JSONValue.parse(Array(run.output.utf8))
  }

  @Test func everyRowIsChosenOrHasAReason() throws {
    let (output, rejects) = (folder.path("best.jsonl"), folder.path("rest.jsonl.gz"))
    let run = try select(
      scored, "--tokens", "1K", "--duplicates", "exact", "--output", output, "--rejects", rejects, "--json")
    #expect(run.status == 0, "\(run.errors)")
    let (all, chosen, rest) = (try lines(scored), try lines(output), try lines(rejects))
    // Chosen lines stand as they stood, in their order; the others have a reason and nothing else new.
    #expect(chosen == all.filter(Set(chosen).contains) && chosen.count + rest.count == all.count)
    let reason = #", "alinfik_reason": "budget"}"#
    #expect(rest.allSatisfy { $0.hasSuffix(reason) })
    #expect(Set(rest.map { String($0.dropLast(reason.count)) + "}" } + chosen) == Set(all))
    let tokens = try values(chosen, "alinfik_tokens").reduce(0, +)
    #expect(tokens <= 1000 && tokens > 950)
    let json = try JSONValue.parse(Array(run.output.utf8))
    #expect(json["chosen"]?["tokens"]?.double == tokens && json["budget"]?["used"]?.double == tokens)
    // What was left out is not better than the cut, and only what fills the rest is worse.
    let cut = try #require(json["cut"]?["score"]?.double)
    #expect(try values(rest, "alinfik_score").allSatisfy { $0 <= cut })
    #expect(try values(chosen, "alinfik_score").count { $0 < cut } <= 2)
    let sources = try #require(json["sources"]?.array)
    #expect(sources.count == 3 && sources.reduce(0) { $0 + $1["chosen_rows"]!.int! } == chosen.count)
    let hash = try FileHash.sha256(path: valuator + "/alinfik.json")
    #expect(json["valuator"]?.string == String(hash.prefix(12)) && json["unknown_origin"]?.int == 0)
    // Without a file the rows come out, and the summary goes to standard error.
    let piped = try select(scored, "--tokens", "1K", "--duplicates", "exact", "--json", "--quiet")
    #expect(piped.output == chosen.map { $0 + "\n" }.joined())
    let last = try #require(piped.errors.split(separator: "\n").last)
    #expect(try JSONValue.parse(Array(last.utf8))["rows"]?.int == 200)
  }

  @Test func shardsAndCompressionChangeNothing() throws {
    let all = try lines(scored)
    let shards = try (0..<3).map { shard in
      let name = "part-\(shard).jsonl" + ["", ".gz", ".zst"][shard]
      let compressor = Compressor(forName: name)
      let text = all.enumerated().filter { $0.offset % 3 == shard }.map { $0.element + "\n" }.joined()
      try OutputFile.write(compressor.compress(Array(text.utf8)) + compressor.end(), to: folder.path(name))
      return folder.path(name)
    }
    for options in [[], ["--temperature", "0.01", "--seed", "4"], ["--per-source-min", "s1=30%"]] {
      func run(_ files: [String]) throws -> String {
        let run = try Command.run(
          arguments: ["select"] + files + ["--rows", "40", "--order", "value"] + options)
        #expect(run.status == 0, "\(run.errors)")
        return run.output
      }
      let whole = try run([scored])
      #expect(whole.split(separator: "\n").count == 40)
      #expect(try run(shards) == whole && run(shards.reversed()) == whole)
    }
  }

  @Test func aTokenizerCountsAsTheModelReads() throws {
    // The valuator reads a text by the model's tokenizer, so both counts are one.
    let own = try select(scored, "--tokens", "500")
    let named = try select(scored, "--tokens", "500", "--tokenizer", model)
    #expect(named.status == 0 && named.output == own.output, "\(named.errors)")
    let more = try select(scored, "--rows", "5", "--tokenizer", model, "--json")
    #expect(more.errors.contains("5 of 200 rows, "))
  }

  @Test func diversityTakesWhatIsUnlike() throws {
    let redundancy = try ["0", "0.5", "4"].map { diversity in
      let json = try summary(
        scored, "--rows", "30", "--diversity", diversity, "--valuator", valuator, "--candidates", "20")
      #expect(json["diversity"]?["exact"]?.bool == true && json["chosen"]?["rows"]?.int == 30)
      return (
        try #require(json["diversity"]?["mean_redundancy"]?.double),
        try #require(json["chosen"]?["mean_score"]?.double)
      )
    }
    #expect(redundancy[0].0 > redundancy[1].0 && redundancy[1].0 > redundancy[2].0, "\(redundancy)")
    #expect(redundancy[0].1 > redundancy[1].1 && redundancy[1].1 > redundancy[2].1, "\(redundancy)")
    let plain = try summary(scored, "--rows", "30")
    #expect(plain["chosen"]?["mean_score"]?.double == redundancy[0].1)
    let rejects = folder.path("rest.jsonl")
    let run = try select(
      scored, "--rows", "30", "--diversity", "4", "--valuator", valuator, "--output", folder.path("d.jsonl"),
      "--rejects",
      rejects)
    let ids = try Set(
      lines(folder.path("d.jsonl")).map { try JSONValue.parse(Array($0.utf8))["id"]!.string! })
    let reasons = try lines(rejects).map { try JSONValue.parse(Array($0.utf8))["alinfik_reason"]!.string! }
    let redundant = reasons.filter { $0.hasPrefix("redundant beside ") }
    let json = try summary(scored, "--rows", "30", "--diversity", "4", "--valuator", valuator)
    let bySource = (json["sources"]?.array ?? []).compactMap { $0["left_out"]?["redundant"]?.int }
    #expect(bySource.reduce(0, +) == redundant.count && json["cut"]?["chosen_crossing"]?.isNull == true)
    #expect(run.status == 0 && !redundant.isEmpty, "\(run.errors)")
    #expect(redundant.allSatisfy { ids.contains(String($0.dropFirst("redundant beside ".count))) })
  }

  /// The ids, scores and tokens of some lines.
  private func rows(_ path: String) throws -> [(id: String, score: Double, tokens: Int)] {
    try lines(path).map { line in
      let json = try JSONValue.parse(Array(line.utf8))
      return (json["id"]!.string!, json["alinfik_score"]!.double!, json["alinfik_tokens"]!.int!)
    }
  }

  /// Fewer candidates than might have been chosen: a choice among the best of them, which says that it is not exact.
  @Test func candidatesAreAtMostSoMany() throws {
    let output = folder.path("x.jsonl")
    func diverse(_ budget: [String], candidates: String) throws -> JSONValue {
      try summary(
        [scored] + budget + ["--diversity", "4", "--valuator", valuator, "--candidates", candidates])
    }
    let all = try diverse(["--rows", "30"], candidates: "20")
    #expect(all["diversity"]?["exact"]?.bool == true)
    #expect(try #require(all["diversity"]?["candidates"]?.int) > 45)
    let few = try diverse(["--rows", "30"], candidates: "1.5")
    #expect(few["diversity"]?["exact"]?.bool == false && few["diversity"]?["candidates"]?.int == 45)
    // Of equal scores another may be the last candidate.
    let least = try rows(scored).map(\.score).sorted(by: >)[44]
    let chosen = try rows(output)
    #expect(Set(chosen.map(\.id)).count == 30 && chosen.allSatisfy { $0.score >= least })
    let tokens = try diverse(["--tokens", "500"], candidates: "1")
    let used = try rows(output).reduce(0) { $0 + $1.tokens }
    #expect(tokens["diversity"]?["exact"]?.bool == false)
    #expect(tokens["budget"]?["used"]?.int == used && used > 0 && used <= 500)
    let run = try select(
      scored, "--rows", "30", "--diversity", "4", "--valuator", valuator, "--candidates", "1")
    #expect(run.errors.contains("more could have been chosen from: --candidates"), "\(run.errors)")
  }

  /// The likest of the best does not fit any more: what is no candidate fills the rest, and the choice says that it is not exact.
  @Test func aBudgetThatCandidatesDoNotFillIsNotExact() throws {
    func line(_ id: String, _ text: String, _ score: Double, _ tokens: Int) -> String {
      #"{"id": "\#(id)", "text": "\#(text)", "alinfik_score": \#(score), "alinfik_tokens": \#(tokens)}"#
        + "\n"
    }
    let rows = try folder.file(
      "few.jsonl",
      line("best", "a cat sat on a mat", 10, 15) + line("like", "on a mat sat a cat", 9.9, 15)
        + line("other", "the moon is over the river", 9.8, 14) + line("worst", "the sun", -100, 1))
    let json = try summary([rows, "--tokens", "30", "--diversity", "1", "--valuator", valuator])
    #expect(try self.rows(folder.path("x.jsonl")).map(\.id) == ["best", "other", "worst"])
    #expect(json["diversity"]?["candidates"]?.int == 3 && json["diversity"]?["exact"]?.bool == false)
    #expect(json["diversity"]?["filled"]?.int == 1 && json["budget"]?["used"]?.int == 30)
    #expect(json["budget"]?["exceeds_data"]?.bool == false)
  }

  @Test func badInputIsNamedAndLeavesNothing() throws {
    let output = folder.path("out.jsonl")
    func scoredFile(_ name: String, _ line: String) throws -> String { try folder.file(name, line + "\n") }
    let other = try scoredFile(
      "other.jsonl", #"{"text": "a", "alinfik_score": 1, "alinfik_valuator": "000000000000"}"#)
    let constant = try folder.file(
      "constant.jsonl",
      (0..<3).map { #"{"text": "row \#($0)", "alinfik_score": 1.5, "alinfik_tokens": 2}"# + "\n" }.joined())
    let cases: [(arguments: [String], status: Int32, words: String)] = [
      ([scored, "--rows", "5", "--tokens", "5"], 64, "one budget"), ([scored], 64, "one budget"),
      ([scored, "--rows", "0"], 64, "above 0"), (["-", "--rows", "5"], 64, "give files"),
      (["/dev/null", "--rows", "5"], 64, "give files"), ([scored, "--rows", "-5"], 64, "above 0"),
      ([scored, scored, "--rows", "5"], 64, "named twice"),
      ([scored, "--rows", "5", "--diversity", "1"], 64, "--valuator"),
      ([scored, "--rows", "5", "--per-source-cap", "x="], 64, "--per-source-cap"),
      ([scored, "--rows", "5", "--per-source-cap", "x=3"], 65, "source 'x'"),
      ([folder.path("no.jsonl"), "--rows", "5"], 66, "no.jsonl"),
      (
        [folder.path("texts.jsonl"), "--rows", "5"], 65,
        "texts.jsonl:1: it has no alinfik_score; `alinfik score"
      ),
      (
        [scored, try scoredFile("nan.jsonl", #"{"text": "a", "alinfik_score": NaN}"#), "--rows", "5"], 65,
        "nan.jsonl:1"
      ),
      ([scored, other, "--rows", "5"], 65, "valuator 000000000000"),
      ([scored, "--rows", "1M", "--strict"], 65, "all that may be chosen is 200 rows"),
      ([scored, "--rows", "200", "--strict", "--min-score", "1e9"], 65, "all that may be chosen is 0 rows"),
      ([scored, "--rows", "5", "--per-source-min", "50%"], 64, "the budget is 5"),
      (
        [constant, "--rows", "2", "--diversity", "1", "--valuator", valuator], 64,
        "--diversity sets likeness against the deviation of the scores, and all scores are the same"
      ),
    ]
    for (arguments, status, words) in cases {
      let run = try Command.run(
        arguments: ["select"] + arguments + ["--output", output, "--rejects", output + ".gz"])
      #expect(run.status == status && run.errors.contains(words), "\(arguments): \(run.status) \(run.errors)")
      #expect(run.output.isEmpty)
      let left = try FileManager.default.contentsOfDirectory(atPath: folder.path).filter {
        $0.hasPrefix("out.jsonl")
      }
      #expect(left.isEmpty, "\(left)")
    }
    let over = try select(scored, "--rows", "5", "--output", scored, "--force")
    #expect(over.status == 64 && over.errors.contains("is an input"))
    let large = try select(scored, "--rows", "1M", "--duplicates", "keep", "--output", output)
    #expect(
      large.status == 0 && large.errors.contains("larger than all that may be chosen"), "\(large.errors)")
    #expect(try lines(output) == lines(scored))
    let exact = try select(scored, "--rows", "200", "--strict", "--duplicates", "keep")
    #expect(exact.status == 0 && !exact.errors.contains("larger than"), "\(exact.errors)")
    let again = try select(scored, "--rows", "5", "--output", output)
    #expect(again.status == 64 && again.errors.contains("exists already"))
    let plan = try select(scored, "--rows", "5", "--dry-run")
    #expect(plan.status == 0 && plan.output.contains("read twice"))
    let copy = folder.path("copy.jsonl")
    try FileManager.default.copyItem(atPath: scored, toPath: copy)
    let object = try JSONValue.parse(
      Array(try select(scored, copy, "--rows", "5", "--dry-run", "--json").output.utf8))
    #expect(object["files"]?.int == 2 && object["readings"]?.int == 2)
    #expect(object["budget"]?["unit"]?.string == "rows" && object["budget"]?["amount"]?.int == 5)
    for (part, key) in [("memory", "row_bytes"), ("memory", "chosen_row_bytes"), ("disk", "row_bytes")] {
      #expect(try #require(object[ByteString(part)]?[ByteString(key)]?.int) > 0)
    }
    let size = try Data(contentsOf: URL(fileURLWithPath: scored)).count
    #expect(object["bytes"]?.int == 2 * size && object["folder"]?.string != nil)
  }

  @Test func whatIsOutOfDomainCanBeDropped() throws {
    // What it is trained on here is too little for a valuator to tell by itself.
    let told = try lines(scored).enumerated().map { number, line in
      line.replacingOccurrences(
        of: #""alinfik_tokens""#, with: #""alinfik_ood": \#(number % 4 == 0), "alinfik_tokens""#)
    }
    let input = try folder.file("told.jsonl", told.map { $0 + "\n" }.joined())
    let rejects = folder.path("rest.jsonl")
    let run = try select(
      input, "--rows", "150", "--duplicates", "keep", "--drop-out-of-domain", "--strict", "--rejects", rejects
    )
    #expect(run.status == 0, "\(run.errors)")
    #expect(run.output == told.enumerated().filter { $0.offset % 4 > 0 }.map { $0.element + "\n" }.joined())
    #expect(try lines(rejects).allSatisfy { $0.hasSuffix(#""alinfik_reason": "out of domain"}"#) })
    let untold = try select(scored, "--rows", "5", "--drop-out-of-domain")
    #expect(untold.status == 0 && untold.errors.contains("leaves none out"), "\(untold.errors)")
  }

  @Test func scoresSayWhoseTheyAre() throws {
    let texts = folder.path("texts.jsonl")
    let keyed = try Command.run("score", valuator, texts)
    let hash = try FileHash.sha256(path: valuator + "/alinfik.json").prefix(12)
    func all(_ output: String, are key: String) -> Bool {
      output.split(separator: "\n").allSatisfy { $0.hasSuffix(#""alinfik_valuator": "\#(key)"}"#) }
    }
    #expect(all(keyed.output, are: String(hash)))
    let first = try Command.run("score", valuator, texts, "--pooling", "first")
    #expect(all(first.output, are: "\(hash)-first"))
    let bf16 = folder.path("bf16")
    #expect(try Command.run("quantize", valuator, "--precision", "bf16", "--output", bf16).status == 0)
    let rounded = folder.path("rounded.jsonl")
    #expect(try Command.run("score", bf16, texts, "--output", rounded).status == 0)
    let whole = try folder.file("keyed.jsonl", keyed.output)
    let mixed = try select(whole, rounded, "--rows", "5")
    #expect(mixed.status == 65 && mixed.errors.contains("another precision"), "\(mixed.errors)")
    let pooled = try select(whole, try folder.file("first.jsonl", first.output), "--rows", "5")
    #expect(pooled.status == 65 && pooled.errors.contains("--pooling first"), "\(pooled.errors)")
    // A record that is scored again does not keep the key of another valuator.
    let again = try Command.run("score", valuator, rounded, "--no-valuator-key")
    #expect(again.status == 0 && !again.output.contains("alinfik_valuator"))
    let silent = try folder.file("silent.jsonl", again.output)
    #expect(try select(silent, "--rows", "5").errors.contains("origin of the scores: unknown"))
    let beside = try select(silent, whole, "--rows", "5")
    #expect(
      beside.status == 65 && beside.errors.contains("silent.jsonl:1: it does not say"), "\(beside.errors)")
    #expect(try select(silent, whole, "--rows", "5", "--allow-unknown-valuator").status == 0)
  }

  @Test func aFolderIsItsFiles() throws {
    let (one, two) = (folder.path("one.jsonl"), folder.path("two.jsonl"))
    #expect(try select(scored, "--rows", "9", "--output", one).status == 0)
    // As a pattern names them, marks and all.
    let found = try select(
      folder.path("scored"), folder.path("scored/texts.jsonl.done.json"), "--rows", "9", "--output", two)
    #expect(found.status == 0, "\(found.errors)")
    #expect(try folder.read("one.jsonl") == folder.read("two.jsonl"))
    let empty = try folder.folder("empty")
    let none = try select(empty, "--rows", "9")
    #expect(none.status == 65 && none.errors.contains("no .jsonl"), "\(none.errors)")
  }

  @Test func anInterruptionLeavesNothing() throws {
    let many = try folder.file(
      "many.jsonl",
      (0..<100_000).map {
        #"{"id": "\#($0)", "text": "text \#($0) of many", "alinfik_score": \#($0 % 97)}"# + "\n"
      }
      .joined())
    let (output, rejects) = (folder.path("out.jsonl"), folder.path("rest.jsonl"))
    let run = try Command.run(
      arguments: [
        "select", many, "--rows", "10", "--output", output, "--rejects", rejects, "--threads", "1",
      ], interrupt: (rejects + ".tmp", 0))
    #expect(run.status == 130, "\(run.status) \(run.errors)")
    let left = try FileManager.default.contentsOfDirectory(atPath: folder.path).filter {
      $0.hasPrefix("out.") || $0.hasPrefix("rest.") || $0.hasPrefix("alinfik-")
    }
    #expect(left.isEmpty, "\(left)")
  }
}
