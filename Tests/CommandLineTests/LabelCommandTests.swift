import Formats
import Foundation
import TestSupport
import Testing

/// `alinfik label` as a whole command.
@Suite struct LabelCommandTests {
  private let folder: TemporaryFolder
  private let model: String
  private let target: String
  private let sample: String

  init() throws {
    folder = try TemporaryFolder()
    model = try folder.tinyModel()
    target = try folder.tinyTarget()
    sample = try folder.file("sample.jsonl", tinyRows(120, sources: 3))
  }

  /// Enough rows for a signal to arrive before the last.
  private func manyRows() throws -> String { try folder.file("many.jsonl", tinyRows(6000, sources: 3)) }

  private func label(
    _ output: String, _ more: String..., sample: String? = nil, interrupt: (file: String, bytes: Int)? = nil
  ) throws -> Command.Result {
    try Command.run(arguments: arguments(output, sample: sample) + more, interrupt: interrupt)
  }

  private func arguments(_ output: String, sample: String? = nil) -> [String] {
    ["label", "--model", model, "--target", target, "--sample", sample ?? self.sample, "--output", output]
  }

  @Test func labelsStandInTheFileInInputOrder() throws {
    let output = folder.path("labels.h5")
    let result = try label(output, "--gradient-norm", "--max-tokens", "40", "--target-description", "cats")
    #expect(result.status == 0, "\(result.errors)")
    #expect(result.output.isEmpty, "standard output carries data only")
    let file = try LabelFile(path: output)
    #expect(file.count == 120)
    #expect(file.ids.first == "row-0" && file.ids.last == "row-119")
    #expect(file.sources[1] == "s1")
    #expect(file.attributes.kind == "dot" && file.attributes.projection == "none")
    #expect(file.attributes.maxTokens == 40 && file.attributes.targetDescription == "cats")
    #expect(!file.attributes.command.contains("/"), "\(file.attributes.command)")
    #expect(file.gradientNorms.allSatisfy { $0 > 0 })
    #expect(Set(file.labels).count > 60, "labels differ from row to row")
    #expect(!FileManager.default.fileExists(atPath: output + ".partial"))
  }

  @Test func workersDoNotChangeABit() throws {
    let (one, two) = (folder.path("one.h5"), folder.path("two.h5"))
    #expect(try label(one, "--threads", "1").status == 0)
    #expect(try label(two, "--threads", "2").status == 0)
    let (a, b) = (try LabelFile(path: one), try LabelFile(path: two))
    #expect(a.labels == b.labels && a.losses == b.losses)
  }

  @Test func resumedRunEqualsAnUninterruptedOne() throws {
    let options = [
      "--projection", "random", "--rank", "3", "--per-target", "--store-gradients", "--kind", "cosine",
    ]
    let (whole, resumed) = (folder.path("whole.h5"), folder.path("resumed.h5"))
    let sample = try manyRows()
    func run(_ output: String, _ more: [String], _ interrupt: (file: String, bytes: Int)? = nil) throws
      -> Command.Result
    {
      try Command.run(
        arguments: ["label", "--model", model, "--target", target, "--sample", sample, "--output", output]
          + options + more,
        interrupt: interrupt)
    }
    #expect(try run(whole, []).status == 0)
    let first = try run(resumed, ["--threads", "1"], (resumed + ".partial", 8000))
    #expect(first.status == 130, "\(first.errors)")
    #expect(!FileManager.default.fileExists(atPath: resumed))
    let refused = try run(resumed, [])
    #expect(refused.status == 64 && refused.errors.contains("--resume"), "\(refused.errors)")
    let second = try run(resumed, ["--resume"])
    #expect(second.status == 0, "\(second.errors)")
    let (a, b) = (try LabelFile(path: whole), try LabelFile(path: resumed))
    #expect(a.labels == b.labels && a.losses == b.losses && a.gradientNorms == b.gradientNorms)
    #expect(a.columns == b.columns && a.shape == b.shape && a.shape.targets == 2)
    #expect(try a.labelsPerTarget(rows: 0..<6000) == b.labelsPerTarget(rows: 0..<6000))
    #expect(try a.projectedGradients(rows: 0..<6000) == b.projectedGradients(rows: 0..<6000))
    var attributes = b.attributes
    attributes.command = a.attributes.command
    #expect(a.attributes == attributes)
  }

  @Test func anotherJournalIsRefused() throws {
    let output = folder.path("labels.h5")
    let sample = try manyRows()
    let first = try label(output, "--threads", "1", sample: sample, interrupt: (output + ".partial", 600))
    #expect(first.status == 130, "\(first.errors)")
    let other = try label(output, "--resume", "--kind", "cosine", sample: sample)
    #expect(other.status == 64)
    #expect(other.errors.contains("kind"), "\(other.errors)")
    let rounded = try Command.run(
      arguments: arguments(output, sample: sample) + ["--resume"],
      environment: ["ALINFIK_INSTRUCTION_SET": "baseline"])
    #expect(rounded.status == 64 && rounded.errors.contains("kernels"), "\(rounded.errors)")
  }

  @Test func anExistingOutputIsNotReplaced() throws {
    let output = try folder.file("labels.h5", "precious")
    let result = try label(output)
    #expect(result.status == 64)
    #expect(result.errors.contains("--force"))
    #expect(try String(contentsOfFile: output, encoding: .utf8) == "precious")
    #expect(try label(output, "--force").status == 0)
    #expect(try LabelFile(path: output).count == 120)
  }

  @Test(arguments: ["random", "pca"]) func projectedLabelsSayHowTheyWereMade(_ projection: String) throws {
    let output = folder.path("labels.h5")
    let result = try label(output, "--projection", projection, "--rank", "4", "--store-gradients")
    #expect(result.status == 0, "\(result.errors)")
    let file = try LabelFile(path: output)
    #expect(file.attributes.projection == projection && file.attributes.rank == 4)
    #expect(try file.projectedGradients(rows: 0..<1).count == file.shape.projected)
    #expect(Set(file.labels).count > 60, "labels differ from row to row")
  }

  @Test func int8GradientsTakeHalfTheRoomAndStayClose() throws {
    let (half, byte) = (folder.path("half.h5"), folder.path("byte.h5"))
    let options = ["--projection", "random", "--rank", "8", "--store-gradients"]
    #expect(try Command.run(arguments: arguments(half) + options).status == 0)
    #expect(try Command.run(arguments: arguments(byte) + options + ["--store-as", "int8"]).status == 0)
    let (a, b) = (try LabelFile(path: half), try LabelFile(path: byte))
    #expect(a.labels == b.labels && b.shape.storage == .int8)
    #expect(b.shape.bytesPerRow < a.shape.bytesPerRow * 6 / 10)
    let pairs = zip(try a.projectedGradients(rows: 0..<20), try b.projectedGradients(rows: 0..<20))
    let error = pairs.reduce(0.0) { $0 + pow(Double($1.0 - $1.1), 2) }
    #expect(error < 1e-4 * pairs.reduce(0.0) { $0 + pow(Double($1.0), 2) })
  }

  @Test func precisionIsWrittenAndChangesTheLabelsALittle() throws {
    let (whole, rounded) = (folder.path("f32.h5"), folder.path("bf16.h5"))
    #expect(try label(whole).status == 0)
    let result = try label(rounded, "--precision", "bf16")
    #expect(result.status == 0)
    #expect(result.errors.contains("bf16"), "it says how bf16 is computed: \(result.errors)")
    let (a, b) = (try LabelFile(path: whole), try LabelFile(path: rounded))
    #expect(a.attributes.precision == "f32" && b.attributes.precision == "bf16")
    #expect(a.labels != b.labels)
    let largest = a.labels.map(abs).max()!
    for (x, y) in zip(a.labels, b.labels) { #expect(abs(x - y) < 0.1 * largest) }
  }

  /// The same binary on a machine with less: it says which kernels it uses, and the labels agree.
  @Test(arguments: ["avx2", "baseline"]) func fewerInstructionsGiveTheSameLabels(_ set: String) throws {
    let (full, fewer) = (folder.path("full.h5"), folder.path("fewer.h5"))
    #expect(try label(full).status == 0)
    let result = try Command.run(
      arguments: arguments(fewer), environment: ["ALINFIK_INSTRUCTION_SET": set])
    #expect(result.status == 0)
    #if arch(x86_64)
      #expect(result.errors.contains("\(set) kernels"), "\(result.errors)")
    #endif
    let (a, b) = (try LabelFile(path: full), try LabelFile(path: fewer))
    let largest = a.labels.map(abs).max()!
    for (x, y) in zip(a.labels, b.labels) { #expect(abs(x - y) < 1e-4 * largest) }
  }

  @Test func progressTellsSpeedAndWhatWasResumed() throws {
    let output = folder.path("labels.h5")
    let sample = try manyRows()
    let first = try label(output, "--threads", "1", sample: sample, interrupt: (output + ".partial", 600))
    #expect(first.status == 130, "\(first.errors)")
    let second = try label(output, "--resume", sample: sample)
    #expect(second.errors.contains("samples/s") && second.errors.contains("tokens/s"), "\(second.errors)")
    #expect(second.errors.contains("from the journal)"), "\(second.errors)")
    #expect(!second.errors.contains("\r"), "nothing is animated without a terminal")
  }

  /// What a dry run says of disk is what the label file and its journal take; norms are told apart.
  @Test func dryRunTellsWhatARunTakes() throws {
    let (output, sample) = (folder.path("labels.h5"), try manyRows())
    let options = ["--projection", "random", "--rank", "8", "--store-gradients"]
    func plan(_ more: [String]) throws -> JSONValue {
      let result = try Command.run(
        arguments: arguments(output, sample: sample) + ["--dry-run", "--json"] + more)
      #expect(result.status == 0, "\(result.errors)")
      return try result.output.utf8.withContiguousStorageIfAvailable { try JSONValue.parse($0) }!
    }
    let stored = try plan(options)
    #expect(!FileManager.default.fileExists(atPath: output))
    #expect(try Command.run(arguments: arguments(output, sample: sample) + options).status == 0)
    let file = try LabelFile(path: output)
    let size = try #require(
      FileManager.default.attributesOfItem(atPath: output)[.size] as? Int)
    let taken = Double(size + file.shape.rows * file.shape.bytesPerRow)
    let planned = try #require(stored["disk_bytes"]?.double)
    #expect(abs(planned - taken) < 0.25 * taken, "planned \(planned), taken \(taken)")
    #expect(stored["gradient_norm_operations"]?.double == 0)
    #expect(try #require(plan(["--gradient-norm"])["gradient_norm_operations"]?.double) > 0)
    #expect(try #require(stored["seconds"]?.double) > 0)
  }

  @Test func dryRunWritesOnlyTheQuarantine() throws {
    let sample = try folder.file("bad.jsonl", tinyRows(200, sources: 3) + "nonsense\n")
    let quarantine = folder.path("quarantine.jsonl")
    let result = try label(
      folder.path("labels.h5"), "--dry-run", "--json", "--on-error", "quarantine", "--quarantine", quarantine,
      sample: sample)
    #expect(try String(contentsOfFile: quarantine, encoding: .utf8) == "nonsense\n")
    #expect(result.status == 0, "\(result.errors)")
    let plan = try JSONValue.parse(Array(result.output.utf8))
    #expect((plan["tokens"]?.int ?? 0) > 1000)
    #expect(!FileManager.default.fileExists(atPath: folder.path("labels.h5")))
    #expect(!FileManager.default.fileExists(atPath: folder.path("labels.h5.partial")))
  }

  @Test func storedGradientsWantAProjection() throws {
    let result = try label(folder.path("labels.h5"), "--store-gradients")
    #expect(result.status == 64)
    #expect(result.errors.contains("--projection random"))
  }
}

/// Inputs that cannot be used: one message, the right exit code, nothing left behind.
@Suite struct BadInputTests {
  private let folder: TemporaryFolder
  private let model: String
  private let good: String

  init() throws {
    folder = try TemporaryFolder()
    model = try folder.tinyModel()
    good = try folder.file("good.jsonl", #"{"text": "the cat sat."}"# + "\n")
  }

  private func expect(
    _ status: Int32, _ words: [String], model: String? = nil, target: String? = nil, sample: String? = nil,
    _ more: String..., location: SourceLocation = #_sourceLocation
  ) throws {
    let output = folder.path("labels.h5")
    let result = try Command.run(
      arguments: [
        "label", "--model", model ?? self.model, "--target", target ?? good, "--sample", sample ?? good,
        "--output", output,
      ] + more)
    #expect(result.status == status, "\(result.errors)", sourceLocation: location)
    for word in words {
      #expect(result.errors.contains(word), "\(word) in: \(result.errors)", sourceLocation: location)
    }
    #expect(!FileManager.default.fileExists(atPath: output), sourceLocation: location)
  }

  @Test func missingFiles() throws {
    try expect(66, ["nowhere.jsonl"], sample: folder.path("nowhere.jsonl"))
    try expect(66, ["nowhere"], model: folder.path("nowhere"))
    try FileManager.default.createDirectory(atPath: folder.path("empty"), withIntermediateDirectories: true)
    try expect(66, ["config.json"], model: folder.path("empty"))
    try FileManager.default.removeItem(atPath: model + "/tokenizer.json")
    try expect(66, ["tokenizer"])
  }

  @Test func unusableModels() throws {
    let config = model + "/config.json"
    let text = try String(contentsOfFile: config, encoding: .utf8)
    try text.replacingOccurrences(of: "\"llama\"", with: "\"mamba\"").write(
      toFile: config, atomically: true, encoding: .utf8)
    try expect(65, ["mamba", "llama"])
    let wider = try JSONValue.parse(Array(text.utf8))["intermediate_size"]!.int!
    try text.replacingOccurrences(
      of: "\"intermediate_size\": \(wider)", with: "\"intermediate_size\": \(wider + 1)"
    )
    .write(toFile: config, atomically: true, encoding: .utf8)
    try expect(65, ["gate_proj", "\(wider)", "\(wider + 1)"])
    let deeper = try JSONValue.parse(Array(text.utf8))["num_hidden_layers"]!.int!
    try text.replacingOccurrences(
      of: "\"num_hidden_layers\": \(deeper)", with: "\"num_hidden_layers\": \(deeper - 1)"
    )
    .write(toFile: config, atomically: true, encoding: .utf8)
    try expect(65, ["model.layers.\(deeper - 1).", "\(deeper - 1) layers"])
    try text.write(toFile: config, atomically: true, encoding: .utf8)
    let weights = try Data(contentsOf: URL(fileURLWithPath: model + "/model.safetensors"))
    try weights.prefix(weights.count / 2).write(to: URL(fileURLWithPath: model + "/model.safetensors"))
    try expect(65, ["model.safetensors"])
    var broken = weights
    broken.replaceSubrange(broken.count - 4..<broken.count, with: [0, 0, 0xC0, 0x7F])
    try broken.write(to: URL(fileURLWithPath: model + "/model.safetensors"))
    try expect(65, ["NaN"])
  }

  @Test func unusableRows() throws {
    try expect(65, ["bad.jsonl:2"], sample: folder.file("bad.jsonl", "{\"text\": \"a b\"}\n{\"text\": \n"))
    try expect(
      65, ["twice.jsonl:2", "'x'"],
      sample: folder.file(
        "twice.jsonl", "{\"id\": \"x\", \"text\": \"a b\"}\n{\"id\": \"x\", \"text\": \"c d\"}\n"))
    try expect(65, ["short.jsonl:1", "scored"], sample: folder.file("short.jsonl", "{\"text\": \"a\"}\n"))
    try expect(65, ["empty"], sample: folder.file("none.jsonl", "{\"text\": \"\"}\n"))
    try expect(
      65, ["nul.jsonl:1", "U+0000"], sample: folder.file("nul.jsonl", #"{"text": "a \u0000 b"}"# + "\n"))
    try expect(65, ["target"], target: folder.file("notarget.jsonl", ""))
    let invalid = folder.path("latin1.jsonl")
    try (Data("{\"text\": \"caf".utf8) + Data([0xE9]) + Data("\"}\n".utf8)).write(
      to: URL(fileURLWithPath: invalid))
    try expect(65, ["latin1.jsonl:1", "UTF-8"], sample: invalid)
  }

  @Test func badLinesMayBeSkipped() throws {
    let sample = try folder.file("mixed.jsonl", "{\"text\": \"a b\"}\nnonsense\n{\"text\": \"c d e\"}\n")
    let output = folder.path("labels.h5")
    let result = try Command.run(
      "label", "--model", model, "--target", good, "--sample", sample, "--output", output, "--on-error",
      "skip")
    #expect(result.status == 0, "\(result.errors)")
    #expect(result.errors.contains("mixed.jsonl:2"))
    #expect(try LabelFile(path: output).count == 2)
  }

  @Test func usage() throws {
    #expect(try Command.run("label", "--model", model).status == 64)
    #expect(try Command.run("nonsense").status == 64)
    try expect(64, ["--layers"], "--layers", "nothing*")
    let help = try Command.run("label", "--help")
    #expect(help.status == 0 && help.output.contains("Examples:"))
  }
}
