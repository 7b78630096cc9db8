import Formats
import Foundation
import TestSupport
import Testing

/// `score --output-dir`: many files, their marks, and going on after a break.
@Suite struct ScoreFolderTests {
  private let folder: TemporaryFolder
  private let valuator: String

  init() throws {
    folder = try TemporaryFolder()
    valuator = folder.path("valuator")
    let rows = try folder.file("rows.jsonl", tinyRows(60))
    let model = try folder.tinyModel()
    let labels = folder.path("labels.h5")
    for arguments in [
      ["label", "--model", model, "--target", try folder.tinyTarget(), "--sample", rows, "--output", labels],
      ["train", labels, "--output", valuator, "--init", model, "--size", "small"],
    ] {
      let run = try Command.run(arguments: arguments)
      #expect(run.status == 0, "\(run.errors)")
    }
  }

  private func read(_ path: String) throws -> [String] {
    let reader = try LineReader(path: path)
    var lines: [String] = []
    while let line = try reader.next() { lines.append(String(decoding: line.bytes, as: UTF8.self)) }
    return lines
  }

  private func compressed(_ name: String, _ text: String) throws -> String {
    let compressor = Compressor(forName: name)
    try OutputFile.write(compressor.compress(Array(text.utf8)) + compressor.end(), to: folder.path(name))
    return folder.path(name)
  }

  private func score(_ arguments: String...) throws -> Command.Result {
    try Command.run(arguments: ["score", valuator] + arguments)
  }

  @Test func everyInputHasItsOutputAndItsMark() throws {
    let plain = try folder.file("a.jsonl", tinyRows(50))
    let (gz, zst) = (try compressed("b.jsonl.gz", tinyRows(20)), try compressed("c.jsonl.zst", tinyRows(30)))
    let out = folder.path("scored")
    let run = try score(plain, gz, zst, "--output-dir", out)
    #expect(run.status == 0, "\(run.errors)")
    for (input, name, count) in [(plain, "a.jsonl", 50), (gz, "b.jsonl.gz", 20), (zst, "c.jsonl.zst", 30)] {
      let output = "\(out)/\(name)"
      let alone = try Command.run("score", valuator, input)
      #expect(try read(output) == alone.output.split(separator: "\n").map(String.init))
      let mark = try JSONValue.read(path: output + ".done.json")
      #expect(mark["records"]?.int == count && mark["scored"]?.int == count && mark["bad_lines"]?.int == 0)
      #expect(try mark["output_sha256"]?.string == FileHash.sha256(path: output))
      #expect(try mark["input_sha256"]?.string == FileHash.sha256(path: input))
      #expect(
        mark["settings"]?["valuator_sha256"]?.string
          == (try FileHash.sha256(path: valuator + "/alinfik.json")))
    }
    let left = try FileManager.default.contentsOfDirectory(atPath: out).filter {
      $0.hasSuffix(".partial") || $0.hasSuffix(".progress.json")
    }
    #expect(left.isEmpty)
    // Compressed by name alone, too.
    let single = try score(plain, "--output", folder.path("single.jsonl.gz"))
    #expect(try single.status == 0 && read(folder.path("single.jsonl.gz")) == read(out + "/a.jsonl"))
  }

  @Test func foldersKeepTheirShapeAndShardsTheirParts() throws {
    for name in ["x/one.jsonl", "y/one.jsonl", "y/deep/two.jsonl", "note.txt"] {
      let path = folder.path("corpus/" + name)
      try FileManager.default.createDirectory(
        atPath: URL(fileURLWithPath: path).deletingLastPathComponent().path, withIntermediateDirectories: true
      )
      try tinyRows(5).write(toFile: path, atomically: false, encoding: .utf8)
    }
    let (corpus, out) = (folder.path("corpus"), folder.path("scored"))
    func there() -> [String] {
      (FileManager.default.enumerator(atPath: out)?.compactMap { $0 as? String } ?? []).filter {
        $0.hasSuffix(".jsonl")
      }.sorted()
    }
    #expect(try score(corpus, "--output-dir", out, "--shard", "2/2").status == 0)
    // By the order of their bytes: x/one, y/deep/two, y/one.
    #expect(there() == ["y/deep/two.jsonl"])
    // Another division passes over what is done.
    let rest = try score(corpus, "--output-dir", out, "--shard", "1/1")
    #expect(rest.status == 0 && rest.errors.contains("1 of them done before"), "\(rest.errors)")
    #expect(there() == ["x/one.jsonl", "y/deep/two.jsonl", "y/one.jsonl"])
    let slurm = try Command.run(
      arguments: [
        "score", valuator, corpus, "--output-dir", folder.path("auto"), "--shard", "auto", "--dry-run",
      ],
      environment: ["SLURM_PROCID": "0", "SLURM_NTASKS": "3"])
    #expect(slurm.output.contains("1 inputs of 3, shard 1/3"), "\(slurm.output)\(slurm.errors)")
    let twice = try score(
      corpus + "/x/one.jsonl", corpus + "/y/one.jsonl", "--output-dir", folder.path("twice"))
    #expect(twice.status == 64 && twice.errors.contains("give the folder"), "\(twice.errors)")
  }

  /// A run that is interrupted, or killed with half a line written, and goes on: the same bytes.
  @Test(arguments: ["jsonl", "jsonl.gz", "jsonl.zst"]) func aBrokenRunGoesOn(_ suffix: String) throws {
    let input = try compressed("long.\(suffix)", tinyRows(20_000))
    let (whole, out) = (folder.path("whole"), folder.path("out"))
    #expect(try score(input, "--output-dir", whole).status == 0)
    let broken = try Command.run(
      arguments: ["score", valuator, input, "--output-dir", out, "--threads", "1"],
      interrupt: (out + "/long.\(suffix).partial", 0))
    #expect(broken.status == 130, "\(broken.status) \(broken.errors)")
    let output = out + "/long.\(suffix)"
    #expect(!FileManager.default.fileExists(atPath: output))
    let kept = try JSONValue.read(path: output + ".progress.json")["records"]?.int
    #expect(try #require(kept) < 20_000)
    // What a kill would have left behind what is certain.
    let handle = try #require(FileHandle(forWritingAtPath: output + ".partial"))
    try handle.seekToEnd()
    try handle.write(contentsOf: Data(#"{"half": "#.utf8))
    try handle.close()
    // Other settings do not go on with it.
    let other = try score(input, "--output-dir", out, "--raw")
    #expect(other.status == 64 && other.errors.contains("raw"), "\(other.errors)")
    let second = try score(input, "--output-dir", out)
    #expect(second.status == 0 && second.errors.contains("goes on after line"), "\(second.errors)")
    // Byte for byte, compressed or not: a break leaves no seam.
    #expect(try FileHash.sha256(path: output) == FileHash.sha256(path: whole + "/long.\(suffix)"))
    #expect(try read(output).count == 20_000)
    #expect(try JSONValue.read(path: output + ".done.json")["records"]?.int == 20_000)
    #expect(!FileManager.default.fileExists(atPath: output + ".progress.json"))
  }

  @Test func whatIsDoneIsNotTakenForSomethingElse() throws {
    let input = try folder.file("a.jsonl", tinyRows(5) + "nonsense\n")
    let out = folder.path("out")
    let first = try score(input, "--output-dir", out, "--on-error", "mark")
    #expect(first.status == 0, "\(first.errors)")
    let mark = try JSONValue.read(path: out + "/a.jsonl.done.json")
    #expect(mark["rejected"]?.array?.first?["line"]?.int == 6 && mark["bad_lines"]?.int == 1)
    let again = try score(input, "--output-dir", out, "--on-error", "mark")
    #expect(again.status == 0 && again.errors.contains("1 of them done before"), "\(again.errors)")
    let raw = try score(input, "--output-dir", out, "--on-error", "mark", "--raw")
    #expect(raw.status == 64 && raw.errors.contains("another 'raw'"), "\(raw.errors)")
    try (tinyRows(6) + "nonsense\n").write(toFile: input, atomically: false, encoding: .utf8)
    let changed = try score(input, "--output-dir", out, "--on-error", "mark")
    #expect(changed.status == 65 && changed.errors.contains("it has changed since"), "\(changed.errors)")
    let forced = try score(input, "--output-dir", out, "--on-error", "mark", "--force")
    #expect(try forced.status == 0 && read(out + "/a.jsonl").count == 7, "\(forced.errors)")
    // What stands there without a mark is somebody else's.
    try FileManager.default.removeItem(atPath: out + "/a.jsonl.done.json")
    let foreign = try score(input, "--output-dir", out, "--on-error", "mark")
    #expect(foreign.status == 64 && foreign.errors.contains("exists already"), "\(foreign.errors)")
    // A bad line ends a run whose finished lines stay.
    let failing = try score(input, "--output-dir", folder.path("failing"))
    #expect(failing.status == 65 && failing.errors.contains("a.jsonl:7"), "\(failing.errors)")
    #expect(
      try JSONValue.read(path: folder.path("failing") + "/a.jsonl.progress.json")["records"]?.int == 6)
  }

  /// A valuator in bf16 scores nearly as it does in f32, says so, and keeps its precision wherever it is taken.
  @Test func aQuantizedValuatorStaysNear() throws {
    let input = try folder.file("a.jsonl", tinyRows(60))
    let (bf16, back) = (folder.path("bf16"), folder.path("back"))
    let made = try Command.run(
      "quantize", valuator, "--precision", "bf16", "--output", bf16, "--check", input, "--json")
    #expect(made.status == 0 && made.errors.contains("Spearman with f32"), "\(made.errors)")
    let agreement = try JSONValue.parse(Array(made.output.utf8))
    #expect(try #require(agreement["spearman"]?.double) > 0.99)
    // In the unit of scores, as those who read them would subtract them.
    func scores(_ valuator: String) throws -> [Double] {
      let run = try Command.run("score", valuator, input, "--pooling", "first")
      return try run.output.split(separator: "\n").compactMap {
        try JSONValue.parse(Array($0.utf8))["alinfik_score"]?.double
      }
    }
    let differences = zip(try scores(valuator), try scores(bf16)).map { abs($0 - $1) }
    let largest = try #require(differences.max())
    #expect(differences.count == 60 && largest > 0)
    #expect(abs(try #require(agreement["largest_score_difference"]?.double) - largest) < 1e-4 * largest)
    let mean = differences.reduce(0, +) / 60
    #expect(abs(try #require(agreement["mean_score_difference"]?.double) - mean) < 1e-4 * mean)
    #expect(
      agreement["score_unit"]?.string
        == (try JSONValue.read(path: bf16 + "/alinfik.json")["score_unit"]?.string))
    let empty = try folder.file("empty.jsonl", "")
    let none = try Command.run(
      "quantize", valuator, "--precision", "bf16", "--output", folder.path("none"), "--check", empty)
    #expect(none.status == 65 && none.errors.contains("there is no record"), "\(none.errors)")
    #expect(!FileManager.default.fileExists(atPath: folder.path("none")))
    let one = try Command.run(
      "quantize", valuator, "--precision", "bf16", "--output", folder.path("one"), "--check",
      try folder.file("one.jsonl", tinyRows(1)))
    #expect(one.status == 0 && one.errors.contains("Spearman with f32 unknown"), "\(one.errors)")
    #expect(try JSONValue.read(path: bf16 + "/alinfik.json")["precision"]?.string == "bf16")
    func raw(_ valuator: String) throws -> [Double] {
      let run = try Command.run("score", valuator, input, "--raw")
      return try run.output.split(separator: "\n").compactMap {
        try JSONValue.parse(Array($0.utf8))["alinfik_score"]?.double
      }
    }
    let (exact, rounded) = (try raw(valuator), try raw(bf16))
    #expect(exact.count == 60 && zip(exact, rounded).allSatisfy { abs($0 - $1) < 0.05 * (1 + abs($0)) })
    let again = try Command.run("quantize", bf16, "--precision", "f32", "--output", back)
    #expect(try again.status == 0 && raw(back) == exact, "\(again.errors)")
    let log = try String(contentsOfFile: back + "/training.jsonl", encoding: .utf8)
    #expect(try log == String(contentsOfFile: valuator + "/training.jsonl", encoding: .utf8))
    let over = try Command.run("quantize", valuator, "--precision", "bf16", "--output", valuator, "--force")
    #expect(over.status == 64, "\(over.errors)")
  }

  /// What was changed since a part was scored is not mixed, whatever its size.
  @Test func aChangedInputIsNotGoneOnWith() throws {
    let text = tinyRows(20_000)
    let (input, out) = (try folder.file("long.jsonl", text), folder.path("out"))
    let broken = try Command.run(
      arguments: ["score", valuator, input, "--output-dir", out, "--threads", "1"],
      interrupt: (out + "/long.jsonl.partial", 0))
    #expect(broken.status == 130, "\(broken.status) \(broken.errors)")
    try text.replacingOccurrences(of: "cat", with: "dog").write(
      toFile: input, atomically: false, encoding: .utf8)
    let second = try score(input, "--output-dir", out)
    #expect(second.status == 0 && second.errors.contains("is scored anew"), "\(second.errors)")
    let lines = try read(out + "/long.jsonl")
    #expect(lines.count == 20_000)
    #expect(lines.allSatisfy { !$0.replacing("truncated", with: "").contains("cat") })
  }

  /// A bad line ends its own input alone, and what to do about it is what the message says.
  @Test func aBadLineDoesNotStopTheOthers() throws {
    let inside = try folder.folder("in")
    for name in ["a", "c"] { _ = try folder.file("in/\(name).jsonl", tinyRows(5)) }
    _ = try folder.file("in/b.jsonl", tinyRows(3) + "oops\n" + tinyRows(2))
    let out = folder.path("out")
    let first = try score(inside, "--output-dir", out)
    #expect(
      first.status == 65 && first.errors.contains("b.jsonl:4") && first.errors.contains("--on-error mark"))
    for name in ["a", "c"] { #expect(try read("\(out)/\(name).jsonl").count == 5) }
    // A part is not taken for the whole.
    for path in [[out], ["a.jsonl", "b.jsonl.partial", "c.jsonl"].map { "\(out)/\($0)" }] {
      let selected = try Command.run(arguments: ["select"] + path + ["--rows", "3"])
      #expect(selected.status == 65 && selected.errors.contains("has not ended"), "\(selected.errors)")
    }
    // The other inputs had no bad line: what would be done with one is no other setting for them.
    let marked = try score(inside, "--output-dir", out, "--on-error", "mark")
    #expect(marked.status == 0, "\(marked.errors)")
    #expect(try read(out + "/b.jsonl").count == 6)
    let back = try score(inside, "--output-dir", out)
    #expect(
      back.status == 64 && back.errors.contains("b.jsonl was scored with another 'on_error'"),
      "\(back.errors)")
  }

  /// One input that is at fault does not keep the others from being scored; the run says so at its end.
  @Test func aChangedInputDoesNotStopTheOthers() throws {
    let inputs = try ["a", "b", "c"].map { try folder.file("\($0).jsonl", tinyRows(5)) }
    let out = folder.path("out")
    func run(_ extra: String...) throws -> Command.Result {
      try Command.run(arguments: ["score", valuator] + inputs + ["--output-dir", out] + extra)
    }
    try FileManager.default.createDirectory(atPath: out, withIntermediateDirectories: true)
    #expect(try score(inputs[0], "--output-dir", out).status == 0)
    // As many bytes as before, but others.
    try tinyRows(5).replacingOccurrences(of: "cat", with: "dog").write(
      toFile: inputs[0], atomically: false, encoding: .utf8)
    let cut = try compressed("d.jsonl.gz", tinyRows(300))
    #expect(truncate(cut, 700) == 0)
    let marked = try Command.run(
      arguments: ["score", valuator] + inputs + [cut, "--output-dir", out, "--pooling", "first"])
    #expect(marked.status == 64, "other settings are refused before anything is scored: \(marked.errors)")
    #expect(!FileManager.default.fileExists(atPath: out + "/b.jsonl"))
    let first = try run()
    #expect(first.status == 65 && first.errors.contains("a.jsonl: it has changed since"), "\(first.errors)")
    #expect(first.errors.contains("1 of 3 inputs is not scored"), "\(first.errors)")
    // A line a finished input, with its name.
    #expect(first.errors.contains("b.jsonl: 5 records, ") && first.errors.contains("records/s"))
    for name in ["b", "c"] { #expect(try read("\(out)/\(name).jsonl").count == 5) }
    // The same bytes with another time are the same.
    try tinyRows(5).write(toFile: inputs[0], atomically: false, encoding: .utf8)
    let again = try run()
    #expect(again.status == 0 && again.errors.contains("3 of them done before"), "\(again.errors)")
  }

  /// A compressed input that ends too early: what is whole of it is kept, and the others are scored.
  @Test(arguments: ["gz", "zst"]) func aCutInputIsTold(_ suffix: String) throws {
    let cut = try compressed("a.jsonl.\(suffix)", tinyRows(4000))
    let size = try Data(contentsOf: URL(fileURLWithPath: cut)).count
    #expect(truncate(cut, size - size / 4) == 0)
    let (other, out) = (try folder.file("b.jsonl", tinyRows(5)), folder.path("out"))
    let alone = try score(cut)
    #expect(alone.status == 65 && alone.errors.contains("cut short"), "\(alone.errors)")
    let count = alone.output.split(separator: "\n").count
    #expect(count > 100 && count < 4000)
    let marking = try score(cut, other, "--output-dir", out, "--on-error", "mark")
    #expect(marking.status == 65 && marking.errors.contains("cut short"), "\(marking.errors)")
    #expect(try read(out + "/b.jsonl").count == 5)
    #expect(
      try JSONValue.read(path: out + "/a.jsonl.\(suffix).progress.json")["records"]?.int == count)
    let failing = try score(cut, other, "--output-dir", folder.path("failing"))
    #expect(
      failing.status == 65 && failing.errors.contains("1 of 2 inputs is not scored"), "\(failing.errors)")
    #expect(try read(folder.path("failing") + "/b.jsonl").count == 5)
  }

  /// What a valuator says of its scores decides them as its weights do.
  @Test func anotherCardIsAnotherValuator() throws {
    let (input, out) = (try folder.file("a.jsonl", tinyRows(5)), folder.path("out"))
    #expect(try score(input, "--output-dir", out).status == 0)
    let mark = try JSONValue.read(path: out + "/a.jsonl.done.json")
    #expect(mark["settings"]?["precision"]?.string == "f32" && mark["settings"]?["pooling"]?.string == "mean")
    let card = valuator + "/alinfik.json"
    let text = try String(contentsOfFile: card, encoding: .utf8)
    try text.replacingOccurrences(of: "\"seed\": \"0\"", with: "\"seed\": \"1\"")
      .replacingOccurrences(of: "\"seed\": 0", with: "\"seed\": 1")
      .write(toFile: card, atomically: false, encoding: .utf8)
    #expect(try String(contentsOfFile: card, encoding: .utf8) != text)
    let other = try score(input, "--output-dir", out)
    #expect(other.status == 64 && other.errors.contains("valuator_sha256"), "\(other.errors)")
  }

  /// Outputs within the folder that is read are no inputs, and folders named like files are none either; nothing is a file too.
  @Test func outputsAmongInputsAreLeftAlone() throws {
    let corpus = folder.path("corpus")
    for name in ["part.jsonl", "spark.jsonl/_0.txt", "empty.jsonl.gz"] {
      let path = corpus + "/" + name
      try FileManager.default.createDirectory(
        atPath: URL(fileURLWithPath: path).deletingLastPathComponent().path, withIntermediateDirectories: true
      )
      try (name == "part.jsonl" ? tinyRows(4) : "").write(toFile: path, atomically: false, encoding: .utf8)
    }
    for pass in 0..<2 {
      let run = try score(corpus, "--output-dir", corpus + "/scored")
      #expect(
        run.status == 0 && run.errors.contains("2 inputs, \(2 * pass) of them done before"), "\(run.errors)")
    }
    #expect(!FileManager.default.fileExists(atPath: corpus + "/scored/scored"))
    let empty = try Data(contentsOf: URL(fileURLWithPath: corpus + "/scored/empty.jsonl.gz"))
    #expect(empty.count > 10 && empty.starts(with: [0x1F, 0x8B]))
    #expect(try read(corpus + "/scored/empty.jsonl.gz").isEmpty)
  }

  /// Two processes on the same folder at once: whoever is first, the outputs are whole.
  @Test func twoProcessesDoNotHarmEachOther() async throws {
    let inputs = try (0..<12).map { try folder.file("in-\($0).jsonl", tinyRows(300 + $0)) }
    let (alone, together) = (folder.path("alone"), folder.path("together"))
    #expect(try Command.run(arguments: ["score", valuator] + inputs + ["--output-dir", alone]).status == 0)
    let arguments = ["score", valuator] + inputs + ["--output-dir", together]
    let statuses = try await withThrowingTaskGroup(of: Int32.self) { group in
      for _ in 0..<2 { group.addTask { try Command.run(arguments: arguments).status } }
      return try await group.reduce(into: []) { $0.append($1) }
    }
    // One may say that the other is writing a file, and ends; a later run finishes what is left.
    #expect(statuses.allSatisfy { [0, 74].contains($0) }, "\(statuses)")
    #expect(try Command.run(arguments: arguments).status == 0)
    for number in 0..<12 {
      #expect(try read("\(together)/in-\(number).jsonl") == read("\(alone)/in-\(number).jsonl"))
    }
  }

  @Test func wrongWordsAreUsage() throws {
    for arguments in [
      ["--shard", "1/2"], ["--flush-every", "0"], ["x.parquet", "--output-dir", folder.path("o")],
      ["x.jsonl", "--output-dir", folder.path("o"), "--shard", "3/2"],
      ["x.jsonl", "--output-dir", folder.path("o"), "--shard", "auto"], ["--raw", "--coverage", "0.5"],
    ] {
      let run = try Command.run(arguments: ["score", valuator] + arguments)
      #expect(run.status == 64, "\(arguments): \(run.status) \(run.errors)")
      if arguments.last == "auto" {
        #expect(run.errors.contains("OMPI_COMM_WORLD_RANK and"), "\(run.errors)")
      }
      if arguments[0] == "x.parquet" { #expect(run.errors.contains("alinfik.parquet")) }
    }
    let empty = folder.path("empty")
    try FileManager.default.createDirectory(atPath: empty, withIntermediateDirectories: true)
    let none = try score(empty, "--output-dir", folder.path("o"))
    #expect(none.status == 65 && none.errors.contains("no .jsonl"), "\(none.errors)")
  }
}
