import Formats
import Foundation
import TestSupport
import Testing

/// `alinfik report`: what it writes, and what it refuses without writing anything.
@Suite struct ReportCommandTests {
  private let folder: TemporaryFolder
  private let scored: String

  init() throws {
    folder = try TemporaryFolder()
    scored = try folder.file("scored.jsonl", Self.rows(0..<90))
  }

  private static func rows(_ range: Range<Int>, valuator: String? = nil) -> String {
    range.map { place in
      let key = valuator.map { #", "alinfik_valuator": "\#($0)""# } ?? ""
      return
        #"{"id": "row-\#(place)", "meta": {"vendor": "v\#(place % 3)"}, "text": "Of \#(place * place) things the \#(place)th.","#
        + #" "alinfik_score": \#(Double(place % 7) - 1.5), "alinfik_ood": false, "alinfik_tokens": \#(20 + place % 40),"#
        + #" "alinfik_truncated": false\#(key)}"# + "\n"
    }.joined()
  }

  private func report(_ files: [String], _ arguments: String..., output: String = "out") throws
    -> Command.Result
  {
    try Command.run(
      arguments: ["report"] + files + ["--by", "meta.vendor", "--output", folder.path(output)] + arguments)
  }

  private func bytes(_ output: String, _ name: String) throws -> [UInt8] {
    try folder.read("\(output)/\(name)")
  }

  /// Nothing stands under the final name, nor beside it.
  private func expectNothing(_ output: String = "out", _ note: String = "") throws {
    let left = try FileManager.default.contentsOfDirectory(atPath: folder.path).filter {
      $0.hasPrefix(output)
    }
    #expect(left.isEmpty, "\(left) \(note)")
  }

  @Test func aPageAndAJSON() throws {
    let run = try report([scored], "--budget", "100.01 EUR", "--policy", "share", "--json")
    #expect(run.status == 0, "\(run.errors)")
    let json = try JSONValue.parse(try bytes("out", "report.json"))
    let amounts = try #require(json["payment"]?["amounts"]?.array)
    #expect(amounts.reduce(0) { $0 + ($1["units"]?.int ?? 0) } == 10_001)
    #expect(String(decoding: try bytes("out", "report.html"), as: UTF8.self).contains("100.01\u{A0}EUR"))
    #expect(run.errors.contains("do not say which valuator"), "\(run.errors)")
    let brief = try JSONValue.parse(Array(run.output.utf8))
    #expect(brief["rows"]?.int == 90 && brief["providers"]?.int == 3 && brief["budget_units"]?.int == 10_001)
    #expect(brief["currency"]?.string == "EUR" && brief["unspent_units"]?.int == 0)
    let again = try report([scored])
    #expect(again.status == 64 && again.errors.contains("exists already"), "\(again.errors)")
    #expect(try report([scored], "--force").status == 0)
  }

  @Test func shardsAndCompressionMakeNoDifference() throws {
    let compressor = Compressor(forName: "b.gz")
    let parts = [
      try folder.file("a.jsonl", Self.rows(0..<11)),
      try folder.file("b.jsonl.gz", compressor.compress(Array(Self.rows(11..<60).utf8)) + compressor.end()),
      try folder.file("c.jsonl", Self.rows(60..<90)),
    ]
    #expect(try report([scored], output: "whole").status == 0)
    #expect(try report(parts, output: "parts").status == 0)
    // But for the inputs' names.
    func json(_ output: String) throws -> JSONValue {
      try JSONValue.parse(try bytes(output, "report.json"))
    }
    let names = try json("parts")["facts"]?["inputs"]?.array?.compactMap(\.string)
    #expect(names == ["a.jsonl", "b.jsonl.gz", "c.jsonl"])
    for (key, value) in try #require(try json("whole").members) where key != "facts" {
      #expect(try json("parts")[key] == value, "\(key)")
    }
    func page(_ output: String) throws -> [String] {
      String(decoding: try bytes(output, "report.html"), as: UTF8.self).components(separatedBy: "<tr>")
        .filter { !$0.contains("Inputs in their order") }
    }
    #expect(try page("whole") == page("parts"))
    #expect(try report([scored], "--seed", "5", output: "seeded").status == 0)
    #expect(try bytes("whole", "report.json") != bytes("seeded", "report.json"))
  }

  @Test func threadsMakeNoDifference() throws {
    let more = try folder.file("more.jsonl", Self.rows(60..<2200))
    let options = ["--budget", "1000", "--policy", "share", "--include-texts"]
    for threads in ["1", "3"] {
      let run = try Command.run(
        arguments: ["report", scored, more, "--by", "meta.vendor", "--output", folder.path("by-\(threads)")]
          + options + ["--threads", threads])
      #expect(run.status == 0, "\(run.errors)")
    }
    for name in ["report.json", "report.html"] { #expect(try bytes("by-1", name) == bytes("by-3", name)) }
    let json = try JSONValue.parse(try bytes("by-1", "report.json"))
    #expect(json["pool"]?["claimed"]?["rows"]?.int == 2230 && json["pool"]?["copies"]?["rows"]?.int == 30)
  }

  /// Of a valuator that knows no domain, or another program.
  @Test func aScoreAndItsTokensAreEnough() throws {
    let bare = (0..<40).map {
      #"{"text": "Text \#($0 * $0) of \#($0).", "meta": {"vendor": \#($0 % 2)}, "alinfik_score": \#($0 % 5), "alinfik_tokens": 9}"#
        + "\n"
    }.joined()
    let run = try report([try folder.file("bare.jsonl", bare)], "--budget", "10", "--policy", "share")
    #expect(run.status == 0, "\(run.errors)")
    let json = try JSONValue.parse(try bytes("out", "report.json"))
    #expect(json["pool"]?["counted"]?["rows"]?.int == 40 && json["pool"]?["outside"] == nil)
    #expect(json["providers"]?.array?.count == 2 && json["pool"]?["outside_share"] == nil)
  }

  @Test func oneProviderSeesNoOther() throws {
    let run = try report(
      [scored], "--provider", "v1", "--budget", "7", "--policy", "share", "--include-texts")
    #expect(run.status == 0 && !run.errors.contains("v0") && !run.errors.contains("v2"), "\(run.errors)")
    for name in ["report.json", "report.html"] {
      let text = String(decoding: try bytes("out", name), as: UTF8.self)
      #expect(text.contains("v1") && !text.contains("v0") && !text.contains("v2"), "\(name)")
    }
    let missing = try report([scored], "--provider", "nobody", output: "other")
    #expect(missing.status == 65 && missing.errors.contains("no row has 'nobody'"), "\(missing.errors)")
    try expectNothing("other")
  }

  @Test func moneyAndPoliciesMustMakeSense() throws {
    for (arguments, word) in [
      (["--budget", "-5", "--policy", "share"], "below 0"),
      (["--budget=-5", "--policy", "share"], "below 0"),
      (["--budget", "0", "--policy", "share"], "above 0"), (["--budget", "5"], "--policy"),
      (["--policy", "share"], "--budget"), (["--budget", "1e9", "--policy", "share"], "--budget"),
      (["--budget", "99999999999999999", "--policy", "share"], "no budget"),
      (["--budget", "5", "--policy", "floor-slope"], "nothing is paid"),
      (["--budget", "5", "--policy", "floor-slope", "--floor=-1"], "not below 0"),
      (["--budget", "5", "--policy", "floor-slope", "--slope", "nan"], "--slope"),
      (["--budget", "5", "--policy", "share", "--floor", "1"], "floor-slope"),
      (["--likeness", "0"], "--likeness"), (["--resamples", "3"], "--resamples"),
    ] {
      let run = try Command.run(
        arguments: ["report", scored, "--by", "meta.vendor", "--output", folder.path("out")] + arguments)
      #expect(run.status == 64 && run.errors.contains(word), "\(arguments): \(run.status) \(run.errors)")
      try expectNothing("out", "\(arguments)")
    }
  }

  @Test func badInputLeavesNothing() throws {
    let good = Self.rows(0..<3)
    for (name, text, word) in [
      ("empty", "", "no scored row"), ("unscored", #"{"text": "t", "meta": {"vendor": "x"}}"# + "\n", ":1"),
      ("lost", good + #"{"text": "t", "alinfik_score": 1, "alinfik_tokens": 2}"# + "\n", ":4"),
      ("nan", good + #"{"text": "t", "alinfik_score": NaN}"# + "\n", ":4"),
      ("cut", good + #"{"text": "#, ":4"),
      ("sidecar", #"{"id": "a", "alinfik_score": 1, "alinfik_tokens": 2}"# + "\n", ":1"),
      (
        "mixed", Self.rows(0..<2, valuator: "aaaaaaaaaaaa") + Self.rows(2..<3, valuator: "bbbbbbbbbbbb"), ":3"
      ),
    ] {
      let run = try report([try folder.file("\(name).jsonl", text)])
      #expect(run.status == 65 && run.errors.contains(word), "\(name): \(run.status) \(run.errors)")
      try expectNothing("out", name)
    }
    let missing = try report([folder.path("nothing.jsonl")])
    #expect(missing.status == 66, "\(missing.errors)")
    try expectNothing()
    let over = try Command.run("report", scored, "--by", "meta.vendor", "--output", folder.path, "--force")
    #expect(over.status == 64 && folder.exists("scored.jsonl"), "\(over.errors)")
  }

  /// Files that were scored by two valuators, or once raw, say so in the marks beside them.
  @Test func marksAreHeldAgainstEachOther() throws {
    let other = try folder.file("other.jsonl", Self.rows(90..<99))
    func mark(_ file: String, _ digits: String, raw: Bool = false) throws {
      let bytes = try folder.read(file)
      _ = try folder.file(
        "\(file).done.json",
        #"{"settings": {"valuator_sha256": "\#(hash(digits))", "raw": \#(raw), "pooling": "first"}, "#
          + #""output_bytes": \#(bytes.count), "output_sha256": "\#(FileHash.sha256(bytes))"}"#)
    }
    func hash(_ digits: String) -> String { String(repeating: digits, count: 16) }
    try mark("scored.jsonl", "aa11")
    try mark("other.jsonl", "bb22")
    let mixed = try report([scored, other])
    #expect(mixed.status == 65 && mixed.errors.contains("valuator"), "\(mixed.errors)")
    try expectNothing()
    try mark("other.jsonl", "aa11", raw: true)
    let raw = try report([other])
    #expect(raw.status == 65 && raw.errors.contains("--raw"), "\(raw.errors)")
    try expectNothing()
    try mark("other.jsonl", "aa11")
    #expect(try report([scored, other]).status == 0)
    let json = try JSONValue.parse(try bytes("out", "report.json"))
    #expect(json["facts"]?["valuator_sha256"]?.string == hash("aa11"))
  }

  @Test func aPlanWritesNothing() throws {
    let run = try report([scored], "--dry-run")
    #expect(run.status == 0 && run.output.contains("1 input,"), "\(run.output)")
    // What `keep` was called.
    #expect(
      try report([scored], "--dry-run", "--duplicates", "count").output.contains("about 0 bytes a text"))
    let two = try report(
      [scored, try folder.file("b.jsonl", Self.rows(90..<99))], "--dry-run", "--duplicates", "exact", "--json"
    )
    let plan = try JSONValue.parse(Array(two.output.utf8))
    #expect(two.status == 0 && plan["inputs"]?.int == 2 && plan["memory_bytes_per_text"]?.int == 60)
    try expectNothing()
  }
}
