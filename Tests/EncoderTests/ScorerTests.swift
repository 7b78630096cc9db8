import Encoder
import Formats
import Foundation
import Records
import TestSupport
import Testing

private final class Collected: LineOutput {
  var bytes: [UInt8] = []
  func write(_ bytes: [UInt8]) throws(FormatError) { self.bytes += bytes }
  func flush() throws(FormatError) {}
  var lines: [String] {
    String(decoding: bytes, as: UTF8.self).split(separator: "\n", omittingEmptySubsequences: false).map {
      String($0)
    }
    .dropLast()
  }
}

@Suite struct ScorerTests {
  private func run(
    _ text: String, _ change: (inout ScoringConfiguration) -> Void = { _ in }
  ) throws -> (lines: [String], summary: ScoringSummary) {
    let folder = try TemporaryFolder()
    let valuator = try tinyValuator(in: folder)
    var configuration = ScoringConfiguration()
    change(&configuration)
    let scorer = try Scorer(valuator: valuator, configuration: configuration)
    let output = Collected()
    defer { withExtendedLifetime(folder) {} }
    try scorer.score(LineReader(path: try folder.file("in.jsonl", text)), into: output)
    return (output.lines, scorer.summary)
  }

  @Test func recordsComeBackWithAScore() throws {
    let input = """
      {"text": "a b", "n": 1.50, "e": "\\u00e9"}
      {"prompt":"c","completion":"d","alinfik_score":9,"alinfik_low":1}
      """
    let (lines, summary) = try run(input)
    #expect(lines.count == 2)
    #expect(lines[0].hasPrefix("{\"text\": \"a b\", \"n\": 1.50, \"e\": \"\\u00e9\", \"alinfik_score\": "))
    #expect(lines[1].hasPrefix("{\"prompt\":\"c\",\"completion\":\"d\",\"alinfik_score\":"))
    #expect(lines[1].split(separator: "alinfik_low", omittingEmptySubsequences: false).count == 2)
    #expect(try JSONValue.parse(Array(lines[1].utf8))["alinfik_low"]?.double != 1)
    for line in lines {
      let score = try JSONValue.parse(Array(line.utf8))["alinfik_score"]?.double
      #expect(try #require(score).isFinite)
    }
    #expect(summary.records == 2 && summary.scored == 2 && summary.badLines == 0)
    #expect(summary.shapes == [.text, .exchange])
  }

  /// Of a text of three windows: the mean by tokens, the highest, or the first.
  @Test(arguments: WindowPooling.allCases) func longTextsAreReadInWindows(_ pooling: WindowPooling) throws {
    let folder = try TemporaryFolder()
    let valuator = try tinyValuator(in: folder)
    let letters = "a b c d e f g h i j k l m n o p q r s t u v w"
    let windows = try valuator.encoding.windows(of: .text(ByteString(letters)))
    #expect(windows.map(\.ids.count) == [12, 12, 5])
    let parts = try valuator.scores(of: windows)
    let weights = windows.map { Double($0.ids.count) }
    let expected =
      switch pooling {
      case .mean:
        valuator.card.calibration(
          zip(weights, parts).reduce(0) { $0 + $1.0 * Double($1.1.raw) } / weights.reduce(0, +))
      case .max: parts.map(\.value).max()!
      case .first: parts[0].value
      }
    let (lines, summary) = try run("{\"text\": \"\(letters)\"}\n{\"text\": \"a b\"}") { $0.pooling = pooling }
    let score = try #require(JSONValue.parse(Array(lines[0].utf8))["alinfik_score"]?.double)
    #expect(abs(score - expected) < 1e-6 * (1 + abs(expected)))
    #expect(summary.windowed == (pooling == .first ? 0 : 1))
    #expect(summary.truncated == (pooling == .first ? 1 : 0))
    let short = try JSONValue.parse(Array(lines[1].utf8))["alinfik_score"]?.double
    #expect(short == (try valuator.scores(of: [.text("a b")])[0].value))
  }

  /// A window whose score is no number makes the text's none, whichever window it is: the highest of the others is not the answer.
  @Test(arguments: [WindowPooling.max, .mean], ["a", "m", "w"])
  func aWindowWithoutANumberIsNotOutdone(_ pooling: WindowPooling, _ letter: String) throws {
    let folder = try TemporaryFolder()
    let valuator = try tinyValuator(in: folder)
    let model = try #require(valuator.model as? EncoderModel)
    let token = try #require(valuator.encoding.encode(.text(ByteString(letter))).ids.dropFirst().first)
    model.parameters.matrix(model.layout.wordEmbeddings).pointer[token * model.configuration.hiddenSize] =
      .nan
    let input = try folder.file(
      "in.jsonl",
      "{\"text\": \"a b c d e f g h i j k l m n o p q r s t u v w\"}\n{\"text\": \"x y z\"}\n")
    var configuration = ScoringConfiguration()
    configuration.pooling = pooling
    func score() throws -> [String] {
      let output = Collected()
      try Scorer(valuator: valuator, configuration: configuration).score(
        LineReader(path: input), into: output)
      return output.lines
    }
    let error = #expect(throws: RecordError.self) { try score() }
    #expect("\(try #require(error))".contains("in.jsonl:1: its score is not a finite number"))
    configuration.onError = .mark
    let lines = try score()
    let marked = try JSONValue.parse(Array(lines[0].utf8))
    #expect(marked["alinfik_error"]?.string?.contains("its score is not a finite number") == true)
    #expect(marked["alinfik_score"] == nil && marked["alinfik_low"] == nil)
    #expect(try JSONValue.parse(Array(lines[1].utf8))["alinfik_score"]?.double?.isFinite == true)
  }

  /// The mean of windows, but of the head's own output the first, unless another is asked for.
  @Test func longTextsArePooledByDefault() throws {
    let line = "{\"text\": \"a b c d e f g h i j k l m n o p q r s t u v w\"}"
    for isRaw in [false, true] {
      let pooled = Dictionary(
        uniqueKeysWithValues: try WindowPooling.allCases.map { pooling in
          (pooling, try run(line) { ($0.isRaw, $0.pooling) = (isRaw, pooling) }.lines)
        })
      let lines = try run(line) { $0.isRaw = isRaw }.lines
      #expect(lines == pooled[isRaw ? .first : .mean] && lines != pooled[isRaw ? .mean : .first])
      var configuration = ScoringConfiguration()
      configuration.isRaw = isRaw
      #expect(
        configuration.description.first { $0.key == "pooling" }?.value.string == (isRaw ? "first" : "mean"))
    }
  }

  @Test func scoreIsThatOfTheText() throws {
    let folder = try TemporaryFolder()
    let valuator = try tinyValuator(in: folder)
    let expected = try valuator.scores(of: [.text("c\nd")])[0]
    let line = "{\"prompt\": \"c\", \"completion\": \"d\"}"
    let value = try JSONValue.parse(Array(try run(line).lines[0].utf8))["alinfik_score"]?.double
    #expect(value == expected.value)
    let raw = try JSONValue.parse(Array(try run(line) { $0.isRaw = true }.lines[0].utf8))["alinfik_score"]?
      .double
    #expect(abs(try #require(raw) - Double(expected.raw)) < 1e-6)
  }

  @Test func intervalAndDomainStandBesideTheScore() throws {
    let line = "{\"text\": \"a b\", \"alinfik_ood\": 7}"
    func numbers(_ coverage: Double) throws -> (low: Double, score: Double, high: Double) {
      let record = try JSONValue.parse(Array(try run(line) { $0.coverage = coverage }.lines[0].utf8))
      #expect(record["alinfik_ood"]?.bool != nil)
      return (
        try #require(record["alinfik_low"]?.double), try #require(record["alinfik_score"]?.double),
        try #require(record["alinfik_high"]?.double)
      )
    }
    let (wide, narrow) = (try numbers(0.9), try numbers(0.5))
    // The tiny valuator's residuals are 0.1 ... 1.9: the 18th of 19, and the 10th.
    #expect(abs((wide.high - wide.score) / (narrow.high - narrow.score) - 1.8) < 1e-9)
    #expect(abs((wide.high - wide.score) - (wide.score - wide.low)) < 1e-9)
    let raw = try run(line) { $0.isRaw = true }.lines[0]
    #expect(raw.contains("alinfik_score") && !raw.contains("alinfik_low") && !raw.contains("alinfik_ood"))
  }

  @Test func coverageBeyondTheCalibrationRowsIsRefused() throws {
    let error = #expect(throws: EncoderError.self) { try run("{\"text\": \"a\"}") { $0.coverage = 0.99 } }
    #expect("\(try #require(error))".contains("99 calibration rows, this valuator has 19"))
  }

  @Test func badLineEndsTheRunAfterWhatCameBefore() throws {
    let folder = try TemporaryFolder()
    let scorer = try Scorer(valuator: tinyValuator(in: folder), configuration: ScoringConfiguration())
    let output = Collected()
    let path = try folder.file("in.jsonl", "{\"text\": \"a\"}\n{\"text\": \"\"}\n{\"text\": \"b\"}\n")
    let error = #expect(throws: RecordError.self) { try scorer.score(LineReader(path: path), into: output) }
    #expect("\(try #require(error))".contains("in.jsonl:2"))
    #expect(output.lines.count == 1)
  }

  /// A gzip file that ends within its data: what could be read has its scores.
  @Test func linesBeforeABrokenOffInputAreScored() throws {
    let folder = try TemporaryFolder()
    let scorer = try Scorer(valuator: tinyValuator(in: folder), configuration: ScoringConfiguration())
    let output = Collected()
    let text = Array("{\"text\": \"a\"}\n{\"text\": \"b\"}\n{\"te".utf8)
    let count = UInt8(text.count)
    // A gzip header and one stored block that says it is not the last.
    let bytes: [UInt8] = [0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 0xFF, 0, count, 0, ~count, 0xFF] + text
    let path = folder.path + "/broken.jsonl.gz"
    try OutputFile.write(bytes, to: path)
    let error = #expect(throws: FormatError.self) { try scorer.score(LineReader(path: path), into: output) }
    #expect("\(try #require(error))".contains("broken.jsonl.gz"))
    #expect(output.lines.count == 2)
  }

  @Test func markedLinesKeepTheirPlace() throws {
    let input = """
      {"text": "a"}
      {"text": "", "id": 4, "alinfik_score": 3}
      not json
      {"text": "b", "alinfik_error": "old"}

      {"text": "c"}
      """
    let (lines, summary) = try run(input) { $0.onError = .mark }
    let values = try lines.map { try JSONValue.parse(Array($0.utf8)) }
    #expect(values.count == 6)
    #expect(values.map { $0["alinfik_score"] != nil } == [true, false, false, true, false, true])
    #expect(values.map { $0["alinfik_error"] != nil } == [false, true, true, false, true, false])
    #expect(values[1]["id"]?.int == 4)
    #expect(values[2]["alinfik_line"]?.string == "not json")
    #expect(summary.badLines == 3 && summary.rejected.map(\.line) == [2, 3, 5])
  }

  /// Blank lines are answered like others, at the end too.
  @Test func everyLineIsAnswered() throws {
    let (lines, summary) = try run("\n{\"text\": \"a\"}\n  \n\n") { $0.onError = .mark }
    #expect(lines.count == 4 && summary.records == 4 && summary.badLines == 3)
    #expect(lines[3].contains("the line is blank"))
    #expect(throws: RecordError.self) { try run("{\"text\": \"a\"}\n\n") }
  }

  /// What is too long to be kept has its answer, and what comes behind it its score.
  @Test(arguments: [false, true]) func aLineThatIsTooLongIsMarked(_ isSidecar: Bool) throws {
    let folder = try TemporaryFolder()
    var configuration = ScoringConfiguration()
    configuration.isSidecar = isSidecar
    let long = "{\"text\": \"\(String(repeating: "a ", count: 200_000))\"}"
    let path = try folder.file("in.jsonl", "{\"text\": \"a\"}\n\(long)\n{\"text\": \"b\"}\n")
    func score() throws -> [String] {
      let output = Collected()
      let scorer = try Scorer(valuator: tinyValuator(in: TemporaryFolder()), configuration: configuration)
      let input = try LineReader(path: path, maximumLineBytes: 1000)
      defer { #expect(scorer.position.lines == output.lines.count) }
      try scorer.score(input, into: output)
      return output.lines
    }
    let error = #expect(throws: FormatError.self) { try score() }
    #expect("\(try #require(error))".contains("in.jsonl:2: the line is longer than 1000 bytes"))
    configuration.onError = .mark
    let lines = try score()
    let marked = try JSONValue.parse(Array(lines[1].utf8))
    #expect(lines.count == 3 && marked["id"]?.isNull == true && marked["alinfik_line"] == nil)
    #expect(
      marked["alinfik_error"]?.string?.contains("in.jsonl:2: the line is longer than 1000 bytes") == true)
    #expect(try JSONValue.parse(Array(lines[2].utf8))["alinfik_score"] != nil)
  }

  /// What comes out can be read whatever came in.
  @Test func aMarkedLineIsValidUTF8() throws {
    let folder = try TemporaryFolder()
    var configuration = ScoringConfiguration()
    configuration.onError = .mark
    let scorer = try Scorer(valuator: tinyValuator(in: folder), configuration: configuration)
    let output = Collected()
    let path = folder.path + "/in.jsonl"
    try OutputFile.write([0x7B, 0xFF, 0xFE, 0x0A], to: path)
    try scorer.score(LineReader(path: path), into: output)
    #expect(ByteString(output.bytes).isValidUTF8)
    #expect(try JSONValue.parse(Array(output.lines[0].utf8))["alinfik_line"]?.string == "{\u{fffd}\u{fffd}")
  }

  @Test func manyLinesStayInOrderWhateverTheWorkers() throws {
    let input = (0..<700).map {
      "{\"id\": \($0), \"text\": \"\(String(repeating: "ab ", count: $0 % 7 + 1))\"}"
    }
    let one = try run(input.joined(separator: "\n"))
    let three = try run(input.joined(separator: "\n")) { $0.workers = 3 }
    #expect(one.lines == three.lines)
    #expect(try one.lines.map { try JSONValue.parse(Array($0.utf8))["id"]?.int } == (0..<700).map { $0 })
  }

  @Test func cancellingEndsTheRun() throws {
    let folder = try TemporaryFolder()
    let scorer = try Scorer(valuator: tinyValuator(in: folder), configuration: ScoringConfiguration())
    let path = try folder.file("in.jsonl", "{\"text\": \"a\"}\n")
    #expect(throws: EncoderError.interrupted) {
      try scorer.score(LineReader(path: path), into: Collected(), isCancelled: { true })
    }
  }

  /// What was read of a text, and whether some was not.
  @Test func tokensAndCutsAreSaid() throws {
    let letters = "a b c d e f g h i j k l m n o p q r s t u v w"
    for (pooling, tokens, isCut) in [(WindowPooling.first, 12, true), (.mean, 29, false)] {
      let (lines, _) = try run("{\"text\": \"\(letters)\"}") { $0.pooling = pooling }
      let record = try JSONValue.parse(Array(lines[0].utf8))
      #expect(record["alinfik_tokens"]?.int == tokens && record["alinfik_truncated"]?.bool == isCut)
    }
  }

  @Test func aSidecarHasIdsAndScoresAlone() throws {
    let input = """
      {"id": "one", "text": "a b", "n": 1}
      {"id": 7, "text": "c"}
      {"id": "bad", "text": ""}
      nonsense
      """
    let (lines, _) = try run(input) { ($0.isSidecar, $0.onError) = (true, .mark) }
    let whole = try run(input) { $0.onError = .mark }.lines
    #expect(lines.count == 4)
    for (index, id) in ["one", "7"].enumerated() {
      let (side, record) = (
        try JSONValue.parse(Array(lines[index].utf8)), try JSONValue.parse(Array(whole[index].utf8))
      )
      #expect(side["id"]?.string == id && side["text"] == nil && side["n"] == nil)
      for key: ByteString in [
        "alinfik_score", "alinfik_low", "alinfik_high", "alinfik_ood", "alinfik_tokens",
      ] {
        #expect(side[key] != nil && side[key] == record[key])
      }
    }
    let (bad, none) = (try JSONValue.parse(Array(lines[2].utf8)), try JSONValue.parse(Array(lines[3].utf8)))
    #expect(bad["id"]?.string == "bad" && bad["alinfik_error"] != nil && bad["alinfik_score"] == nil)
    #expect(none["id"]?.isNull == true && none["alinfik_error"] != nil)
  }

  /// What is written while it is read has no whole scores; the next run begins anew.
  @Test(arguments: ["grows", "vanishes"]) func anInputThatChangesIsNotMarkedAsDone(_ how: String) throws {
    let folder = try TemporaryFolder()
    let input = try folder.file("in.jsonl", "{\"text\": \"a\"}\n")
    let output = folder.path("out.jsonl")
    func begin() throws -> ScoredFile {
      let settings = try ScoredFile.settings(
        input: input, valuator: "v", precision: .f32, configuration: ScoringConfiguration())
      return try ScoredFile(input: input, output: output, settings: settings, force: false)
    }
    do {
      let file = try begin()
      try file.write(Array("{}\n".utf8))
      try file.keep(ScoringSummary(), .start, now: true)
      if how == "grows" {
        _ = try folder.file("in.jsonl", "{\"text\": \"a\"}\n{\"text\": \"b\"}\n")
      } else {
        try FileManager.default.removeItem(atPath: input)
      }
      let error = #expect(throws: FormatError.self) { try file.commit(ScoringSummary()) }
      let message = "\(try #require(error))"
      #expect(message.contains(how == "grows" ? "it changed while it was read" : "no such file"))
    }
    #expect(!folder.exists("out.jsonl") && !folder.exists("out.jsonl.done.json"))
    guard how == "grows" else { return }
    let second = try begin()
    #expect(second.begun.position == .start)
    try second.commit(ScoringSummary())
    #expect(folder.exists("out.jsonl.done.json"))
  }

  /// Lines that were written before a break are known by their place.
  @Test func positionsAreThoseOfWhatWasWritten() throws {
    let folder = try TemporaryFolder()
    let scorer = try Scorer(valuator: tinyValuator(in: folder), configuration: ScoringConfiguration())
    let path = try folder.file("in.jsonl", "{\"text\": \"a\"}\n\n{\"text\": \"b\"}\n")
    #expect(throws: RecordError.self) { try scorer.score(LineReader(path: path), into: Collected()) }
    #expect(scorer.position == LineReader.Position(offset: 14, lines: 1))
    let other = try folder.file("other.jsonl", "nonsense\n{\"text\": \"b\"}\n")
    scorer.begin(after: .start, summary: ScoringSummary())
    #expect(throws: RecordError.self) { try scorer.score(LineReader(path: other), into: Collected()) }
    #expect(scorer.position == .start)
  }
}
