import Encoder
import Formats
import Foundation
import Glibc
import TestSupport
import Testing

/// `score` where something goes wrong around it, and as a process that is asked again and again.
@Suite struct ScoreTroubleTests {
  private let folder: TemporaryFolder
  private let valuator: String

  init() throws {
    folder = try TemporaryFolder()
    valuator = folder.path("valuator")
    let rows = try folder.file("rows.jsonl", tinyRows(60))
    let labels = folder.path("labels.h5")
    let model = try folder.tinyModel()
    for arguments in [
      ["label", "--model", model, "--target", try folder.tinyTarget(), "--sample", rows, "--output", labels],
      ["train", labels, "--output", valuator, "--init", model, "--size", "small"],
    ] {
      let run = try Command.run(arguments: arguments)
      #expect(run.status == 0, "\(run.errors)")
    }
  }

  /// A full disk, as a limit on the size of files: what could be written is kept, and said where.
  @Test(arguments: ["out.jsonl", "out.jsonl.gz"]) func aFullDiskLosesNothing(_ name: String) throws {
    let input = try folder.file("in.jsonl", tinyRows(20_000))
    let whole = folder.path("whole-" + name)
    #expect(try Command.run("score", valuator, input, "--output", whole).status == 0)
    let output = folder.path(name)
    // In blocks of 512 bytes.
    let blocks = try Data(contentsOf: URL(fileURLWithPath: whole)).count / 1024
    let run = try Command.shell(
      "trap '' XFSZ; ulimit -f \(blocks); exec \"$0\" score '\(valuator)' '\(input)' --output '\(output)'")
    #expect(run.status == 74 && run.errors.contains("File too large"), "\(run.status) \(run.errors)")
    #expect(run.errors.contains("what was scored before is in \(output).partial"), "\(run.errors)")
    #expect(!FileManager.default.fileExists(atPath: output))
    let (kept, full) = (
      try Data(contentsOf: URL(fileURLWithPath: output + ".partial")),
      try Data(contentsOf: URL(fileURLWithPath: whole))
    )
    #expect(kept.count == 512 * blocks && full.starts(with: kept), "what is kept is the beginning, once")
    #expect(try Command.run("score", valuator, input, "--output", output).status == 0)
    #expect(!folder.exists(name + ".partial"), "what a run left behind goes when another has ended")
  }

  @Test func aFullDeviceIsTold() throws {
    let input = try folder.file("in.jsonl", tinyRows(500))
    let run = try Command.shell("exec \"$0\" score '\(valuator)' '\(input)' > /dev/full")
    #expect(
      run.status == 74 && run.errors.contains("standard output: cannot write it: No space left"),
      "\(run.errors)")
    let named = try Command.run("score", valuator, input, "--output", "/dev/full")
    #expect(named.status == 74 && named.errors.contains("No space left"), "\(named.errors)")
  }

  /// In a folder of scored files: what is certain stays, and the same command finishes it when there is room.
  @Test func aFullDiskInAFolderIsGoneOnWith() throws {
    let input = try folder.file("in.jsonl", tinyRows(20_000))
    let (whole, out) = (folder.path("whole"), folder.path("out"))
    #expect(try Command.run("score", valuator, input, "--output-dir", whole).status == 0)
    let run = try Command.shell(
      "trap '' XFSZ; ulimit -f 2000; exec \"$0\" score '\(valuator)' '\(input)' --output-dir '\(out)'")
    #expect(run.status == 74 && run.errors.contains("File too large"), "\(run.status) \(run.errors)")
    #expect(!FileManager.default.fileExists(atPath: out + "/in.jsonl"))
    #expect(try Command.run("score", valuator, input, "--output-dir", out).status == 0)
    #expect(try FileHash.sha256(path: out + "/in.jsonl") == FileHash.sha256(path: whole + "/in.jsonl"))
  }

  @Test func aClosedPipeEndsQuietly() throws {
    let input = try folder.file("in.jsonl", tinyRows(20_000))
    let run = try Command.shell(
      "{ \"$0\" score '\(valuator)' '\(input)' --quiet; echo \"ended with $?\" >&2; } | head -n 1")
    #expect(run.output.split(separator: "\n").count == 1 && run.output.contains("alinfik_score"))
    #expect(run.errors.contains("ended with 0") && !run.errors.contains("error"), "\(run.errors)")
  }

  @Test func aValuatorThatWasChangedIsRefused() throws {
    let input = try folder.file("in.jsonl", tinyRows(5))
    let path = valuator + "/head.safetensors"
    var bytes = try Data(contentsOf: URL(fileURLWithPath: path))
    bytes[bytes.count - 1] ^= 1
    try bytes.write(to: URL(fileURLWithPath: path))
    let run = try Command.run("score", valuator, input)
    #expect(run.status == 65 && run.errors.contains("'head.safetensors' is not the file"), "\(run.errors)")
    #expect(run.output.isEmpty)
  }

  /// An input of a folder's run that is gone when its turn comes, and one that is missing from the start.
  @Test func aMissingInputIsTold() throws {
    let input = try folder.file("in.jsonl", tinyRows(5))
    let run = try Command.run("score", valuator, input, folder.path("nowhere.jsonl"))
    #expect(run.status == 66 && run.errors.contains("nowhere.jsonl: no such file") && run.output.isEmpty)
  }

  /// A line longer than may be, among others and compressed: marked, and the run goes on in bounded memory.
  @Test func aHugeLineIsMarked() throws {
    let record = #"{"text": "a cat by the moon."}"#
    let long = 100_000_000
    for (suffix, compress) in [("", "cat"), (".gz", "gzip -1")] {
      let input = folder.path("huge.jsonl" + suffix)
      let made = try Command.shell(
        "{ echo '\(record)'; printf '{\"text\": \"'; head -c \(long) /dev/zero | tr '\\0' a; echo '\"}'; echo '\(record)'; }"
          + " | \(compress) > '\(input)'")
      #expect(made.status == 0, "\(made.errors)")
      let marked = try Command.shell(
        "ulimit -v 1500000; exec \"$0\" score '\(valuator)' '\(input)' --on-error mark --threads 1")
      let lines = marked.output.split(separator: "\n").map(String.init)
      #expect(marked.status == 0 && lines.count == 3, "\(marked.status) \(marked.errors)")
      #expect(
        lines.count == 3 && lines[1].contains("huge.jsonl\(suffix):2: the line is longer than 67108864 bytes")
      )
      #expect(lines.last == lines.first && lines.last?.contains("alinfik_score") == true)
      let failed = try Command.run("score", valuator, input)
      #expect(
        failed.status == 65 && failed.errors.contains("huge.jsonl\(suffix):2: the line is longer"),
        "\(failed.errors)")
      #expect(failed.output.split(separator: "\n").count == 1)
    }
  }

  @Test func aPlanIsSaid() throws {
    let input = try folder.file("in.jsonl", tinyRows(5))
    let plan = try Command.run("score", valuator, input, "--dry-run", "--json")
    let json = try JSONValue.parse(Array(plan.output.utf8))
    #expect(plan.status == 0 && json["inputs"]?.int == 1 && json["bytes"]?.int == tinyRows(5).utf8.count)
    #expect(json["precision"]?.string == "f32" && json["pooling"]?.string == "mean")
    #expect(try #require(json["memory_bytes"]?.int) > 10 << 20)
    let words = try Command.run("score", valuator, input, "--raw", "--dry-run")
    #expect(words.output.contains("1 inputs") && words.output.contains("first of windows"), "\(words.output)")
    let (done, out) = (try folder.file("done.jsonl", tinyRows(7)), folder.path("out"))
    #expect(try Command.run("score", valuator, done, "--output-dir", out).status == 0)
    let folderPlan = try Command.run(
      "score", valuator, done, input, "--output-dir", out, "--dry-run", "--json")
    let left = try JSONValue.parse(Array(folderPlan.output.utf8))
    #expect(left["inputs"]?.int == 2 && left["inputs_done"]?.int == 1 && left["records_done"]?.int == 7)
    #expect(left["bytes"]?.int == tinyRows(5).utf8.count)
    let quantized = try Command.run(
      "quantize", valuator, "--precision", "bf16", "--output", folder.path("bf16"), "--check", input,
      "--dry-run", "--json")
    let change = try JSONValue.parse(Array(quantized.output.utf8))
    #expect(change["precision_before"]?.string == "f32" && change["precision"]?.string == "bf16")
    #expect(change["check_bytes"]?.int == tinyRows(5).utf8.count)
    #expect(!FileManager.default.fileExists(atPath: folder.path("bf16")))
  }

  /// Asked for lines, it answers each lot without waiting for the end of its input.
  @Test(arguments: ["1", "2"]) func aWorkerAnswersAsItIsAsked(_ threads: String) throws {
    let process = Process()
    process.executableURL = Command.executable
    process.arguments = ["score", valuator, "--on-error", "mark", "--quiet", "--threads", threads]
    let (questions, answers) = (Pipe(), Pipe())
    (process.standardInput, process.standardOutput) = (questions, answers)
    try process.run()
    // A worker that does not answer must end the test, not hold it.
    let descriptor = answers.fileHandleForReading.fileDescriptor
    var received: [UInt8] = []
    func lines(_ count: Int) throws -> [String] {
      while received.count(where: { $0 == 0x0A }) < count {
        var request = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        try #require(poll(&request, 1, 60_000) == 1, "no answer")
        var block = [UInt8](repeating: 0, count: 1 << 16)
        let count = read(descriptor, &block, block.count)
        try #require(count > 0, "it ended")
        received += block[..<count]
      }
      defer { received = [] }
      return String(decoding: received, as: UTF8.self).split(separator: "\n").map(String.init)
    }
    defer { if process.isRunning { process.terminate() } }
    let rows = tinyRows(40).split(separator: "\n").map(String.init)
    for row in rows.prefix(5) {
      try questions.fileHandleForWriting.write(contentsOf: Data((row + "\n").utf8))
      let answer = try lines(1)
      #expect(answer.count == 1 && answer[0].hasPrefix(String(row.dropLast())))
    }
    // A blank line is answered at once, too.
    try questions.fileHandleForWriting.write(contentsOf: Data("\n".utf8))
    #expect(try lines(1)[0].contains("the line is blank"))
    for size in [2, 3, 7, 20] {
      try questions.fileHandleForWriting.write(
        contentsOf: Data((rows.prefix(size).joined(separator: "\n") + "\n").utf8))
      let lot = try lines(size)
      #expect(lot.count == size && zip(lot, rows).allSatisfy { $0.hasPrefix(String($1.dropLast())) })
    }
    // Half a line is waited for.
    try questions.fileHandleForWriting.write(contentsOf: Data("\(rows[0])\n{\"text\": ".utf8))
    #expect(try lines(1).count == 1)
    try questions.fileHandleForWriting.write(contentsOf: Data("\"a cat\"}\n".utf8))
    #expect(try lines(1)[0].contains("alinfik_score"))
    try questions.fileHandleForWriting.close()
    process.waitUntilExit()
    #expect(process.terminationStatus == 0)
  }
}
