import Encoder
import Formats
import Foundation
import RankStatistics
import TensorKernels
import TestSupport
import Testing
import Verification

@Suite struct ScoredRowsCheckTests {
  private let folder: TemporaryFolder
  private let directory: String
  private let input: String

  init() throws {
    folder = try TemporaryFolder()
    directory = folder.path("valuator")
    try letterValuator(in: folder).save(to: directory)
    let rows = madeTexts(200, seed: 1).enumerated().map { #"{"id": "r\#($0)", "text": "\#($1)"}"# + "\n" }
    input = try folder.file("input.jsonl", rows.joined())
  }

  /// What `score` writes of the input.
  private func scored(
    _ name: String = "scored.jsonl", change: (inout ScoringConfiguration) -> Void = { _ in }
  )
    throws -> String
  {
    var configuration = ScoringConfiguration()
    change(&configuration)
    let output = try OutputFile(path: folder.path(name), force: true)
    let scorer = try Scorer(valuator: Valuator.load(directory: directory), configuration: configuration)
    try scorer.score(LineReader(path: input), into: output)
    try output.commit()
    return folder.path(name)
  }

  private func check(
    _ paths: String..., rows: Int = 1000, seed: UInt64 = 0,
    settings: ScoredFileSettings = ScoredFileSettings(), tolerance: Double? = nil,
    allowsMissing: Bool = false
  ) throws -> ScoredRowsCheck {
    try ScoredRowsCheck(
      paths, valuator: directory, settings: settings, rows: rows, seed: seed, workers: 2,
      tolerance: tolerance, allowsMissing: allowsMissing)
  }

  /// Changes one key in some lines, counted from 1.
  private func tamper(
    _ path: String, _ lines: Set<Int>, _ key: ByteString, _ value: (JSONValue?) -> JSONValue?
  )
    throws
  {
    let reader = try LineReader(path: path)
    var bytes: [UInt8] = []
    while let line = try reader.next() {
      let scanner = try JSONObjectScanner(line.bytes)
      bytes +=
        (lines.contains(line.number)
          ? scanner.changing([(key: key, value: value(try scanner.value(key)))]) : line.bytes) + [0x0A]
    }
    try OutputFile.write(bytes, to: path, force: true)
  }

  @Test func whatIsTruePasses() throws {
    let path = try scored()
    let all = try check(path)
    #expect(all.passed && all.isWhole && all.count == 200 && all.wrongShareAtMost == 0)
    let some = try check(path, path, rows: 50)
    #expect(some.passed && some.drawn == 50 && some.count == 400)
    #expect(some.wrongShareAtMost == binomialUpperBound(wrong: 0, of: 50))
    #expect(some.findingProbability(share: 0.01) == findingProbability(wrong: 4, of: 400, drawn: 50))
  }

  @Test func scoresWithinTheToleranceAreTrue() throws {
    let path = try scored()
    // The map has slopes of 5 to 15 a unit of output, the outputs a range of 2 or more.
    try tamper(path, [3], "alinfik_score") { JSONValue($0!.double! + 1e-4) }
    #expect(try check(path).passed)
    // On the machine that made them scores are the same.
    #expect(try check(path, tolerance: 1e-6).wrong.map(\.place) == ["\(path):3"])
    try tamper(path, [3], "alinfik_score") { JSONValue($0!.double! + 0.1) }
    #expect(try check(path, tolerance: 0.5).passed)
    #expect(try check(path).wrong.map(\.place) == ["\(path):3"])
  }

  @Test func everyKeyIsHeldAgainstTheValuator() throws {
    let changes: [(ByteString, (JSONValue?) -> JSONValue?)] = [
      ("alinfik_score", { JSONValue($0!.double! + 1) }), ("alinfik_low", { JSONValue($0!.double! - 1) }),
      ("alinfik_high", { JSONValue($0!.double! + 1) }),
      ("alinfik_ood", { $0!.bool == true ? JSONValue(false) : JSONValue(true) }),
      ("alinfik_tokens", { JSONValue($0!.int! + 1) }), ("alinfik_truncated", { JSONValue(!$0!.bool!) }),
      ("alinfik_score", { _ in nil }), ("alinfik_score", { _ in JSONValue("7") }),
      ("alinfik_low", { _ in nil }), ("alinfik_high", { _ in nil }), ("alinfik_ood", { _ in nil }),
      ("alinfik_tokens", { _ in nil }), ("alinfik_truncated", { _ in nil }),
    ]
    for (key, change) in changes {
      let path = try scored()
      try tamper(path, [7], key, change)
      let wrong = try check(path).wrong
      #expect(wrong.count == 1 && wrong[0].key == key.string, "\(key): \(wrong)")
      #expect(
        wrong.first?.place == "\(path):7" && wrong.first?.id == "r6"
          && wrong.first?.said != wrong.first?.found)
    }
    // Who reads scores passes over a row that is said to be bad, whatever its score.
    let spoilt = try scored()
    try tamper(spoilt, [7], "alinfik_error") { _ in JSONValue("x") }
    try tamper(spoilt, [8], "alinfik_tokens") { JSONValue($0!.double! + 0.0) }
    #expect(try check(spoilt).wrong.map { [$0.place, $0.key] } == [["\(spoilt):7", "alinfik_error"]])
    // Of another valuator, as it says itself.
    let foreign = try scored()
    let own = String(try FileHash.sha256(path: directory + "/alinfik.json").prefix(12))
    try tamper(foreign, [8], "alinfik_valuator") { _ in JSONValue(own) }
    try tamper(foreign, [9], "alinfik_valuator") { _ in JSONValue("0123456789ab") }
    #expect(
      try check(foreign).wrong.map { [$0.place, $0.key, $0.found] } == [
        ["\(foreign):9", "alinfik_valuator", own]
      ])
    // A text that was exchanged has another score; a key that is not said is missed, but where that is allowed.
    let path = try scored()
    try tamper(path, [5], "text") { _ in JSONValue("zzzz zz z") }
    try tamper(path, [6], "alinfik_ood") { _ in nil }
    #expect(try check(path).wrong.map(\.place) == ["\(path):5", "\(path):6"])
    #expect(try check(path, allowsMissing: true).wrong.map(\.place) == ["\(path):5"])
    // A score is always missed.
    try tamper(path, [6], "alinfik_score") { _ in nil }
    #expect(try check(path, allowsMissing: true).wrong.map(\.place) == ["\(path):5", "\(path):6"])
  }

  @Test func markedLinesDoNotHideWrongRows() throws {
    let path = try scored()
    try tamper(path, [3, 4], "alinfik_score") { JSONValue($0!.double! + 1) }
    // Lines that are rightly marked, many more than rows.
    let bad = (0..<2000).map { #"{"id": "bad \#($0)", "alinfik_error": "it has none of 'text'"}"# + "\n" }
    try OutputFile.write(
      try folder.read("scored.jsonl") + Array(bad.joined().utf8), to: path, force: true)
    let found = try check(path, rows: 200)
    #expect(found.count == 200 && found.isWhole && found.wrong.map(\.place) == ["\(path):3", "\(path):4"])
    #expect(found.marked.count == 2000 && found.marked.drawn == 200 && found.marked.wrong.isEmpty)
    // A text that has a score and is marked all the same is wrong.
    let hidden = try scored()
    try tamper(hidden, [9], "alinfik_score") { _ in nil }
    try tamper(hidden, [9], "alinfik_error") { _ in JSONValue("no text") }
    let wrong = try check(hidden)
    #expect(!wrong.passed && wrong.wrong.isEmpty && wrong.marked.wrong.map(\.place) == ["\(hidden):9"])
  }

  @Test func whatWasNeverScoredIsToldFromWhatIsWrong() throws {
    let unscored = #expect(throws: VerificationError.self) { try check(input) }
    #expect("\(try #require(unscored))".contains("no row has an alinfik_score"))
    let marked = try folder.file("marked.jsonl", #"{"id": "a", "alinfik_error": "x"}"# + "\n")
    let error = #expect(throws: VerificationError.self) { try check(marked) }
    #expect("\(try #require(error))".contains("all 1 lines are marked"))
  }

  /// In many draws a wrong row is among the drawn as often as the hypergeometric distribution says.
  @Test func tamperedRowsAreFoundWithTheStatedProbability() throws {
    let path = try scored()
    try tamper(path, [10, 60, 61, 150], "alinfik_score") { JSONValue($0!.double! + 1) }
    let (draws, drawn) = (400, 30)
    let found = try (0..<draws).count { !(try check(path, rows: drawn, seed: UInt64($0)).passed) }
    let stated = findingProbability(wrong: 4, of: 200, drawn: drawn)
    let deviation = (stated * (1 - stated) / Double(draws)).squareRoot()
    #expect(
      abs(Double(found) / Double(draws) - stated) < 4 * deviation, "\(found) of \(draws), stated \(stated)")
    #expect(try check(path, rows: drawn, seed: 5).wrong == check(path, rows: drawn, seed: 5).wrong)
  }

  @Test func whatRowsWereScoredWithIsSaidOrRead() throws {
    let raw = try scored("raw.jsonl") { $0.isRaw = true }
    #expect(try check(raw).wrong.count > 100)
    var settings = ScoredFileSettings()
    settings.isRaw = true
    #expect(try check(raw, settings: settings).passed)
    let wide = try scored("wide.jsonl") {
      $0.coverage = 0.5
      $0.pooling = .mean
    }
    #expect(try !check(wide).passed)
    settings = ScoredFileSettings()
    (settings.coverage, settings.pooling) = (0.5, .mean)
    #expect(try check(wide, settings: settings).passed)
  }

  @Test func theMarkBesideAFileIsHeldAgainstIt() throws {
    var configuration = ScoringConfiguration()
    configuration.pooling = .max
    let path = folder.path("marked.jsonl")
    let hash = try FileHash.sha256(path: directory + "/alinfik.json")
    func mark(_ valuator: String) throws {
      let file = try ScoredFile(
        input: input, output: path,
        settings: ScoredFile.settings(
          input: input, valuator: valuator, precision: .f32, configuration: configuration),
        force: true
      )
      let scorer = try Scorer(valuator: Valuator.load(directory: directory), configuration: configuration)
      try scorer.score(LineReader(path: input), into: file)
      try file.commit(scorer.summary)
    }
    try mark(hash)
    // Nobody signs a mark: what it says beside the defaults must be said.
    let silent = #expect(throws: VerificationError.self) { try check(path) }
    #expect("\(try #require(silent))".contains("says --pooling max; give it yourself"))
    var agreed = ScoredFileSettings()
    agreed.pooling = .max
    let same = try check(path, settings: agreed)
    #expect(same.passed && same.configurations.map(\.configuration.pooling) == [.max])
    #expect(same.json["settings"]?.array?.first?["pooling"]?.string == "max")
    var settings = ScoredFileSettings()
    settings.pooling = .mean
    let other = #expect(throws: VerificationError.self) { try check(path, settings: settings) }
    #expect("\(try #require(other))".contains("--pooling mean"))
    // A row that is hidden from the draw shows in the file's hash.
    try tamper(path, [200], "alinfik_score") { JSONValue($0!.double! + 1) }
    let changed = try check(path, rows: 1, seed: 3, settings: agreed)
    #expect(changed.changedFiles == [path] && !changed.passed)
    try mark("another")
    let foreign = #expect(throws: VerificationError.self) { try check(path) }
    #expect("\(try #require(foreign))".contains("another valuator"))
    configuration.isSidecar = true
    try mark(hash)
    let textless = #expect(throws: VerificationError.self) { try check(path) }
    #expect("\(try #require(textless))".contains("--sidecar"))
  }

  @Test func badLinesAreTrueWhereTheyAreBad() throws {
    let lines = [
      #"{"id": "a", "text": "", "alinfik_error": "the text is empty"}"#,
      #"{"alinfik_error": "no JSON", "alinfik_line": "nonsense"}"#,
      #"{"id": "b", "text": "a cat", "alinfik_error": "the text is empty"}"#,
      #"{"id": "c", "text": "", "alinfik_score": 17.5}"#, "", "nonsense",
    ]
    let path = try folder.file("scored.jsonl", lines.joined(separator: "\n"))
    let found = try check(path)
    #expect(found.wrong.map(\.place) == [4, 5, 6].map { "\(path):\($0)" })
    #expect(found.marked.wrong.map(\.place) == ["\(path):3"] && found.marked.count == 3)
    let empty = try folder.file("empty.jsonl", "")
    #expect(throws: VerificationError.self) { try self.check(empty) }
  }
}
