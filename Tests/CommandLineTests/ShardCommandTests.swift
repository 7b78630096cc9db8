import Formats
import Foundation
import TestSupport
import Testing

/// `alinfik label --shard`, `merge` and `relabel`, as whole commands.
@Suite struct ShardCommandTests {
  private let folder: TemporaryFolder
  private let model: String
  private let target: String
  private let sample: String

  init() throws {
    folder = try TemporaryFolder()
    model = try folder.tinyModel()
    target = try folder.tinyTarget()
    sample = try folder.file("sample.jsonl", tinyRows(75))
  }

  private func alinfik(_ arguments: [String], environment: [String: String] = [:]) throws -> Command.Result {
    try Command.run(arguments: arguments, environment: environment)
  }

  private func label(
    _ output: String, _ more: [String], environment: [String: String] = [:], target: String? = nil
  ) throws -> Command.Result {
    try alinfik(
      ["label", "--model", model, "--target", target ?? self.target, "--sample", sample, "--output", output]
        + more, environment: environment)
  }

  private func succeed(_ result: Command.Result, location: SourceLocation = #_sourceLocation) throws {
    try #require(result.status == 0, "\(result.errors)", sourceLocation: location)
  }

  /// Every dataset and attribute but `command`.
  private func expectSame(_ a: LabelFile, _ b: LabelFile, location: SourceLocation = #_sourceLocation) throws
  {
    #expect(a.labels == b.labels && a.losses == b.losses, sourceLocation: location)
    #expect(a.gradientNorms.map(\.bitPattern) == b.gradientNorms.map(\.bitPattern), sourceLocation: location)
    #expect(a.tokenCounts == b.tokenCounts && a.truncated == b.truncated, sourceLocation: location)
    #expect(a.columns == b.columns && a.shape == b.shape, sourceLocation: location)
    var attributes = b.attributes
    attributes.command = a.attributes.command
    #expect(a.attributes == attributes, sourceLocation: location)
    let rows = 0..<a.count
    if a.shape.targets > 0 { #expect(try a.labelsPerTarget(rows: rows) == b.labelsPerTarget(rows: rows)) }
    if a.shape.layers > 0 { #expect(try a.labelsPerLayer(rows: rows) == b.labelsPerLayer(rows: rows)) }
    if a.shape.projected > 0 {
      #expect(try a.projectedGradients(rows: rows) == b.projectedGradients(rows: rows))
      #expect(try a.storedProjection() == b.storedProjection())
    }
  }

  @Test(arguments: [
    ["--gradient-norm", "--max-tokens", "20"],
    ["--kind", "relatif", "--rank", "3", "--per-target", "--per-layer", "--store-gradients"],
    ["--projection", "pca", "--rank", "4", "--store-gradients", "--store-as", "int8"], ["--kind", "ekfac"],
  ]) func mergedShardsEqualOneRun(_ options: [String]) throws {
    let (whole, output) = (folder.path("whole.h5"), folder.path("labels.h5"))
    try succeed(label(whole, options))
    for shard in ["3/3", "1/3"] { try succeed(label(output, options + ["--shard", shard])) }
    try succeed(
      label(
        output, options + ["--shard", "auto", "--threads", "1"],
        environment: ["SLURM_PROCID": "1", "SLURM_NTASKS": "3"]))
    #expect(!FileManager.default.fileExists(atPath: output))
    let parts = (1...3).map { folder.path("labels.\($0)-of-3.h5") }
    try succeed(alinfik(["merge", parts[1], parts[2], parts[0], "--output", output]))
    try expectSame(LabelFile(path: whole), LabelFile(path: output))
  }

  @Test func unfitShardsAreRefused() throws {
    let output = folder.path("labels.h5")
    let parts = (1...3).map { folder.path("labels.\($0)-of-3.h5") }
    for shard in 1...3 { try succeed(label(output, ["--shard", "\(shard)/3"])) }
    func refuse(
      _ words: [String], _ files: [String], status: Int32 = 64, location: SourceLocation = #_sourceLocation
    ) throws {
      let result = try alinfik(["merge"] + files + ["--output", output])
      #expect(result.status == status, "\(result.errors)", sourceLocation: location)
      for word in words {
        #expect(result.errors.contains(word), "\(result.errors)", sourceLocation: location)
      }
      #expect(!FileManager.default.fileExists(atPath: output), sourceLocation: location)
    }
    try refuse(["2/3", "missing"], [parts[0], parts[2]])
    try refuse(["shard 1/3", parts[0]], [parts[0], parts[1], parts[0]])
    try refuse(["nowhere"], [parts[0], folder.path("nowhere")], status: 66)
    let other = folder.path("other.h5")
    try succeed(label(other, ["--shard", "1/2"]))
    try refuse(["1/2"], [parts[0], parts[1], folder.path("other.1-of-2.h5")])
    try succeed(label(other, ["--shard", "2/3", "--kind", "cosine"]))
    try refuse(["another kind"], [parts[0], folder.path("other.2-of-3.h5"), parts[2]])
    let target = try folder.file("t2.jsonl", #"{"text": "the sun."}"# + "\n")
    try succeed(label(other, ["--shard", "2/3", "--force"], target: target))
    try refuse(["another target"], [parts[0], folder.path("other.2-of-3.h5"), parts[2]])
    try succeed(label(other, []))
    try refuse(["no shard"], [other])
    #expect(try label(output, ["--shard", "0/3"]).status == 64)
    #expect(try label(output, ["--shard", "auto"]).status == 64, "nobody says which part this is")
    let many = try label(output, ["--shard", "1/100"])
    #expect(many.status == 64 && many.errors.contains("too few"), "\(many.errors)")
  }

  @Test(
    arguments: [
      ["--projection", "random", "--rank", "4"], ["--projection", "pca", "--rank", "4"],
      ["--projection", "pca", "--rank", "16", "--explained", "0.9"],
    ], ["dot", "layer-cosine", "relatif"])
  func relabelledEqualsLabelled(_ projection: [String], _ kind: String) throws {
    let (stored, fresh, output) = (folder.path("stored.h5"), folder.path("fresh.h5"), folder.path("new.h5"))
    try succeed(label(stored, projection + ["--store-gradients"]))
    let other = try folder.file("other.jsonl", #"{"text": "the moon and the house."}"# + "\n")
    try succeed(
      alinfik([
        "relabel", stored, "--model", model, "--target", other, "--output", output, "--kind", kind,
        "--per-target",
      ]))
    let (old, new) = (try LabelFile(path: stored), try LabelFile(path: output))
    #expect(new.columns.texts == old.columns.texts && new.losses == old.losses)
    #expect(new.attributes.kind == kind && new.attributes.targetSHA256 != old.attributes.targetSHA256)
    #expect(new.shape.projected == 0 && new.shape.targets == 1)
    // Components depend on the target, so only what a random projection gives can be labelled anew and be the same.
    guard projection[1] == "random" else { return #expect(Set(new.labels).count > 30) }
    try succeed(label(fresh, projection + ["--kind", kind], target: other))
    let expected = try LabelFile(path: fresh)
    let largest = expected.labels.map(abs).max()!
    for (a, b) in zip(new.labels, expected.labels) { #expect(abs(a - b) < 3e-3 * largest, "\(a) \(b)") }
    #expect(new.labels == (try new.labelsPerTarget(rows: 0..<75)))
    #expect(new.attributes.targetSHA256 == expected.attributes.targetSHA256)
  }

  /// The same target again gives the labels that the file has, whatever the projection, but for rounding.
  @Test(arguments: ["random", "pca"]) func relabelledForItsOwnTargetIsTheSame(_ projection: String) throws {
    let (stored, output) = (folder.path("stored.h5"), folder.path("new.h5"))
    try succeed(label(stored, ["--projection", projection, "--rank", "4", "--store-gradients"]))
    try succeed(
      alinfik([
        "relabel", stored, "--model", model, "--target", target, "--output", output, "--store-gradients",
      ]))
    let (old, new) = (try LabelFile(path: stored), try LabelFile(path: output))
    let largest = old.labels.map(abs).max()!
    for (a, b) in zip(new.labels, old.labels) { #expect(abs(a - b) < 1e-3 * largest, "\(a) \(b)") }
    #expect(try new.projectedGradients(rows: 0..<75) == old.projectedGradients(rows: 0..<75))
    let audit = try alinfik(["audit", output, "--model", model, "--target", target])
    #expect(audit.status == 65 && audit.errors.contains("gradients stored as f16"), "\(audit.errors)")
  }

  @Test func whatCannotBeRelabelledIsRefused() throws {
    let (plain, stored) = (folder.path("plain.h5"), folder.path("stored.h5"))
    try succeed(label(plain, []))
    try succeed(label(stored, ["--projection", "random", "--rank", "12", "--store-gradients"]))
    func refuse(
      _ status: Int32, _ words: [String], _ file: String, _ more: [String] = [], model: String? = nil,
      location: SourceLocation = #_sourceLocation
    ) throws {
      let output = folder.path("new.h5")
      let result = try alinfik(
        ["relabel", file, "--model", model ?? self.model, "--target", target, "--output", output] + more)
      #expect(result.status == status, "\(result.errors)", sourceLocation: location)
      for word in words {
        #expect(result.errors.contains(word), "\(result.errors)", sourceLocation: location)
      }
      #expect(!FileManager.default.fileExists(atPath: output), sourceLocation: location)
    }
    try refuse(64, ["--store-gradients"], plain)
    try refuse(64, ["ekfac", "projected"], stored, ["--kind", "ekfac"])
    try refuse(64, ["--damping"], stored, ["--kind", "logra", "--damping", "-1"])
    try refuse(64, ["singular"], stored, ["--kind", "logra", "--damping", "0"])
    try refuse(66, ["nowhere"], folder.path("nowhere.h5"))
    // Of a shard's rows alone F would be another one.
    let part = folder.path("part.h5")
    try succeed(
      label(part, ["--projection", "random", "--rank", "4", "--store-gradients", "--shard", "1/2"]))
    try refuse(64, ["merge"], folder.path("part.1-of-2.h5"), ["--kind", "logra"])
    let other = try folder.tinyModel("other")
    try #"{"eos_token": "</s>"}"#.write(
      toFile: other + "/tokenizer_config.json", atomically: true, encoding: .utf8)
    try refuse(64, ["not the model"], stored, model: other)
  }

  @Test(arguments: [
    ["--kind", "dot"], ["--kind", "cosine"], ["--kind", "layer-cosine", "--projection", "random"],
    ["--kind", "relatif"], ["--kind", "ekfac"],
  ]) func layersSumToTheLabel(_ options: [String]) throws {
    let output = folder.path("labels.h5")
    try succeed(label(output, options + ["--per-layer"]))
    let file = try LabelFile(path: output)
    let names = try #require(file.columns.layerNames)
    #expect(names.count == 14 && names[0] == "model.layers.0.self_attn.q_proj.weight")
    let parts = try file.labelsPerLayer(rows: 0..<75)
    let largest = parts.map(abs).max()!
    for (row, label) in file.labels.enumerated() {
      let sum = parts[row * 14..<(row + 1) * 14].reduce(0, +)
      #expect(abs(sum - label) < 1e-5 * max(abs(label), largest))
    }
    try succeed(label(folder.path("plain.h5"), options))
    #expect(try LabelFile(path: folder.path("plain.h5")).labels == file.labels)
  }

  /// More explained takes more components, never more than the rank.
  @Test func explainedShareChoosesTheRank() throws {
    func width(_ more: String...) throws -> Int {
      let output = folder.path("labels.h5")
      try succeed(label(output, ["--projection", "pca", "--store-gradients", "--force"] + more))
      return try LabelFile(path: output).shape.projected
    }
    let (little, much) = (try width("--explained", "0.5"), try width("--explained", "0.99"))
    let capped = try width("--explained", "0.99", "--rank", "2")
    #expect(little < much && capped <= 14 * 4)
    let result = try label(folder.path("x.h5"), ["--explained", "0.5"])
    #expect(result.status == 64 && result.errors.contains("pca"), "\(result.errors)")
  }

  private func curvature(_ output: String, _ more: [String]) throws -> Command.Result {
    try alinfik(["curvature", "--model", model, "--sample", sample, "--output", output] + more)
  }

  private func parts(_ name: String, of count: Int) -> [String] {
    (1...count).map { folder.path("\(name).\($0)-of-\(count).safetensors") }
  }

  /// Ranks whose layers keep gradients, and whose layers are summed.
  @Test(
    arguments: [
      ["--kind", "logra", "--rank", "3"], ["--kind", "logra", "--projection", "pca", "--rank", "12"],
      ["--kind", "adam", "--beta2", "0.9"],
    ], [2, 5]) func mergedCurvatureHasTheBytesOfOneRun(_ options: [String], _ count: Int) throws
  {
    let (whole, output) = (folder.path("whole.safetensors"), folder.path("c.safetensors"))
    try succeed(curvature(whole, options))
    for shard in 1...count { try succeed(curvature(output, options + ["--shard", "\(shard)/\(count)"])) }
    try succeed(alinfik(["merge"] + parts("c", of: count).reversed() + ["--output", output]))
    #expect(
      FileManager.default.contents(atPath: whole) == FileManager.default.contents(atPath: output))
  }

  @Test func kroneckerFactorsAreMergedInTwoRounds() throws {
    let whole = folder.path("whole.safetensors")
    let (factors, basis) = (folder.path("f.safetensors"), folder.path("basis.safetensors"))
    let (values, output) = (folder.path("v.safetensors"), folder.path("c.safetensors"))
    let kind = ["--kind", "ekfac"]
    try succeed(curvature(whole, kind))
    for shard in ["1/2", "2/2"] { try succeed(curvature(factors, kind + ["--shard", shard])) }
    try succeed(alinfik(["merge"] + parts("f", of: 2) + ["--output", basis]))
    let unfinished = try label(folder.path("l.h5"), kind + ["--curvature", basis])
    #expect(unfinished.status == 64 && unfinished.errors.contains("ekfac-basis"), "\(unfinished.errors)")
    for shard in ["1/2", "2/2"] {
      try succeed(curvature(values, kind + ["--shard", shard, "--basis", basis]))
    }
    let without = try alinfik(["merge"] + parts("v", of: 2) + ["--output", output])
    #expect(without.status == 64 && without.errors.contains("--basis"), "\(without.errors)")
    let mixed = try alinfik(
      ["merge", parts("f", of: 2)[0], parts("v", of: 2)[1], "--output", output, "--basis", basis])
    #expect(mixed.status == 64, "\(mixed.errors)")
    try succeed(alinfik(["merge"] + parts("v", of: 2) + ["--basis", basis, "--output", output]))
    #expect(
      FileManager.default.contents(atPath: whole) == FileManager.default.contents(atPath: output))
  }

  @Test func unfitCurvatureShardsAreRefused() throws {
    let (output, merged) = (folder.path("c.safetensors"), folder.path("merged.safetensors"))
    let options = ["--kind", "logra", "--rank", "3"]
    for shard in ["1/2", "2/2"] { try succeed(curvature(output, options + ["--shard", shard])) }
    let files = parts("c", of: 2)
    func refuse(_ words: [String], _ files: [String], location: SourceLocation = #_sourceLocation) throws {
      let result = try alinfik(["merge"] + files + ["--output", merged])
      #expect(result.status == 64, "\(result.errors)", sourceLocation: location)
      for word in words {
        #expect(result.errors.contains(word), "\(result.errors)", sourceLocation: location)
      }
      #expect(!FileManager.default.fileExists(atPath: merged), sourceLocation: location)
    }
    try refuse(["2/2", "missing"], [files[0]])
    try refuse(["1/2", "c.1-of-2"], [files[0], files[0]])
    let other = folder.path("o.safetensors")
    try succeed(curvature(other, ["--kind", "logra", "--rank", "4", "--shard", "2/2"]))
    try refuse(["another rank"], [files[0], parts("o", of: 2)[1]])
    let many = try curvature(output, options + ["--shard", "1/17"])
    #expect(many.status == 64 && many.errors.contains("16"), "\(many.errors)")
    let used = try label(folder.path("l.h5"), options + ["--curvature", files[0]])
    #expect(used.status == 65 && used.errors.contains("shard"), "\(used.errors)")
  }
}
