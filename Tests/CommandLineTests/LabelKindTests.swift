import Formats
import Foundation
import TestSupport
import Testing

/// Labels with curvature or checkpoints, as whole commands.
@Suite struct LabelKindTests {
  private let folder: TemporaryFolder
  private let model: String
  private let target: String
  private let sample: String

  init() throws {
    folder = try TemporaryFolder()
    model = try folder.tinyModel()
    target = try folder.tinyTarget()
    sample = try folder.file("sample.jsonl", tinyRows(60))
  }

  private func run(_ command: String, _ output: String, _ more: [String], target: Bool = true) throws
    -> Command.Result
  {
    try Command.run(
      arguments: [command, "--model", model, "--sample", sample, "--output", output]
        + (target ? ["--target", self.target] : []) + more)
  }

  private func label(_ name: String, _ more: String..., location: SourceLocation = #_sourceLocation) throws
    -> LabelFile
  {
    let result = try run("label", folder.path(name), more)
    try #require(result.status == 0, "\(result.errors)", sourceLocation: location)
    return try LabelFile(path: folder.path(name))
  }

  /// Refused with a message that has these words, and nothing is left behind.
  private func refuse(
    _ status: Int32, _ words: [String], command: String = "label", target: Bool = true, _ more: String...,
    location: SourceLocation = #_sourceLocation
  ) throws {
    let output = folder.path("refused")
    let result = try run(command, output, more, target: target)
    #expect(result.status == status, "\(result.errors)", sourceLocation: location)
    for word in words {
      #expect(result.errors.contains(word), "\(word) in: \(result.errors)", sourceLocation: location)
    }
    for name in [output, output + ".partial", output + ".tmp"] {
      #expect(!FileManager.default.fileExists(atPath: name), "\(name)", sourceLocation: location)
    }
  }

  @Test(arguments: ["logra", "relatif", "ekfac", "adam"]) func curvatureFromAFileGivesTheSameBits(
    _ kind: String
  )
    throws
  {
    let more = ["logra", "relatif"].contains(kind) ? ["--rank", "3"] : []
    let here = try label("here.h5", "--kind", kind, more.first ?? "--threads", more.last ?? "1")
    #expect(here.attributes.kind == kind && Set(here.labels).count > 30)
    #expect(here.attributes.damping == (kind == "adam" ? 0 : 0.1))
    let file = folder.path("curvature.safetensors")
    let made = try run("curvature", file, ["--kind", kind, "--json"] + more, target: false)
    #expect(made.status == 0, "\(made.errors)")
    let summary = try JSONValue.parse(Array(made.output.utf8))
    #expect(summary["sha256"]?.string == here.attributes.extra["curvature_sha256"])
    let there = try label("there.h5", "--kind", kind, "--curvature", file)
    #expect(here.labels == there.labels && here.attributes.extra == there.attributes.extra)
    #expect(here.attributes.rank == there.attributes.rank)
    let again = try run("curvature", file, ["--kind", kind] + more, target: false)
    #expect(again.status == 64 && again.errors.contains("--force"), "\(again.errors)")
  }

  /// The flag reaches the labels, the file says so, and it is no part of the curvature.
  @Test(arguments: ["logra", "relatif", "ekfac"]) func dampingReachesTheLabels(_ kind: String) throws {
    let file = folder.path("curvature.safetensors")
    #expect(try run("curvature", file, ["--kind", kind], target: false).status == 0)
    let little = try label("little.h5", "--kind", kind, "--curvature", file, "--damping", "0.01")
    let much = try label("much.h5", "--kind", kind, "--curvature", file, "--damping", "10")
    let default0 = try label("default.h5", "--kind", kind, "--curvature", file)
    #expect(little.attributes.damping == 0.01 && much.attributes.damping == 10)
    #expect(little.labels != much.labels && default0.labels != much.labels)
  }

  /// With much damping the curvature is a multiple of one, and labels go as `dot` does on the same projection.
  @Test func muchDampingIsDot() throws {
    let dot = try label("dot.h5", "--projection", "random", "--rank", "3", "--layers", "*layers.1.mlp.up*")
    let logra = try label(
      "logra.h5", "--kind", "logra", "--rank", "3", "--damping", "1e6", "--layers", "*layers.1.mlp.up*")
    let scale = logra.labels[0] / dot.labels[0]
    #expect(scale > 0)
    let largest = dot.labels.map(abs).max()!
    for (a, b) in zip(dot.labels, logra.labels) { #expect(abs(a * scale - b) < 1e-3 * scale * largest) }
  }

  @Test func curvatureOfSomethingElseIsRefused() throws {
    let file = folder.path("c.safetensors")
    #expect(try run("curvature", file, ["--kind", "logra", "--rank", "3"], target: false).status == 0)
    try refuse(64, ["c.safetensors", "fisher", "ekfac"], "--kind", "ekfac", "--curvature", file)
    try refuse(64, ["--layers"], "--kind", "logra", "--curvature", file, "--layers", "*mlp*")
    try refuse(64, ["samples", "--max-tokens"], "--kind", "logra", "--curvature", file, "--max-tokens", "9")
    try refuse(64, ["rank 3"], "--kind", "logra", "--curvature", file, "--rank", "4")
    try refuse(64, ["--precision"], "--kind", "logra", "--curvature", file, "--precision", "bf16")
    try refuse(64, ["--curvature"], "--kind", "dot", "--curvature", file)
    try refuse(66, ["nowhere"], "--kind", "logra", "--curvature", folder.path("nowhere"))
    try refuse(65, ["safetensors"], "--kind", "logra", "--curvature", sample)
    try refuse(65, ["curvature"], "--kind", "logra", "--curvature", model + "/model.safetensors")
    let weights = model + "/model.safetensors"
    try stepped(weights).write(to: URL(fileURLWithPath: weights))
    try refuse(64, ["another model"], "--kind", "logra", "--curvature", file)
  }

  /// The model's weights a little on, as training would leave them.
  private func stepped(_ path: String) throws -> Data {
    var data = try Data(contentsOf: URL(fileURLWithPath: path))
    let start = data.count / 2 & ~3
    for offset in stride(from: start, to: data.count, by: 4) {
      // The lowest bit of the exponent's neighbour: a weight 1.125 to 1.5 times as large or small.
      data[offset + 2] ^= 0x20
    }
    return data
  }

  /// Without a projection, too: the label is the mean of its labels against each target, whose gradients curvature turns.
  @Test(arguments: ["dot", "adam", "ekfac", "tracin"]) func eachTargetHasItsLabel(_ kind: String) throws {
    let more = kind == "tracin" ? ["--checkpoint", "\(model):0.5", "--checkpoint", "\(model):0.25"] : []
    let result = try run(
      "label", folder.path("each.h5"), ["--kind", kind, "--per-target"] + more)
    try #require(result.status == 0, "\(result.errors)")
    let file = try LabelFile(path: folder.path("each.h5"))
    let targets = file.shape.targets
    let each = try file.labelsPerTarget(rows: 0..<file.count)
    let largest = file.labels.map(abs).max()!
    #expect(targets > 1 && each.count == 60 * targets)
    for row in 0..<60 {
      let mean = each[row * targets..<(row + 1) * targets].reduce(0, +) / Float(targets)
      #expect(abs(mean - file.labels[row]) < 1e-4 * largest)
    }
    #expect((0..<60).contains { abs(each[$0 * targets] - each[$0 * targets + 1]) > 1e-2 * largest })
  }

  @Test func tracinSumsCheckpoints() throws {
    let other = try folder.tinyModel("other")
    let weights = other + "/model.safetensors"
    try stepped(weights).write(to: URL(fileURLWithPath: weights))
    let one = try label("one.h5")
    let result = try Command.run(
      "label", "--model", other, "--target", target, "--sample", sample, "--output", folder.path("two.h5"))
    #expect(result.status == 0, "\(result.errors)")
    let two = try LabelFile(path: folder.path("two.h5"))
    #expect(one.labels != two.labels)
    let sum = try label(
      "sum.h5", "--kind", "tracin", "--checkpoint", "\(model):0.5", "--checkpoint", "\(other):2e-1")
    let largest = one.labels.map(abs).max()!
    for row in 0..<60 {
      let expected = 0.5 * one.labels[row] + 0.2 * two.labels[row]
      #expect(abs(sum.labels[row] - expected) < 1e-5 * largest)
    }
    #expect(sum.losses == two.losses)
    #expect(sum.attributes.extra["checkpoints"]?.contains(":0.5 ") == true)
  }

  @Test func unusableCheckpointsAreRefused() throws {
    try refuse(64, ["tracin", "--checkpoint"], "--kind", "tracin")
    try refuse(64, ["tracin", "--checkpoint"], "--checkpoint", "\(model):0.1")
    try refuse(64, ["--checkpoint"], "--kind", "tracin", "--checkpoint", "\(model):-1")
    try refuse(64, ["--checkpoint"], "--kind", "tracin", "--checkpoint", model)
    try refuse(66, ["nowhere"], "--kind", "tracin", "--checkpoint", "\(folder.path("nowhere")):1")
    try refuse(
      64, ["other layers"], "--kind", "tracin", "--checkpoint", "\(TestData.fixture("llama/tied")):1")
  }

  @Test func adamTakesAnOptimizersState() throws {
    let (state, file) = (folder.path("state.safetensors"), folder.path("c.safetensors"))
    let layer = "model.layers.1.mlp.up_proj.weight"
    func write(_ values: [Float], shape: [Int] = [40, 24]) throws {
      try SafetensorsWriter.write(
        to: state, tensors: [("\(layer).exp_avg_sq", shape, values)], force: true)
    }
    func curvature(_ more: String...) throws -> Command.Result {
      try Command.run(
        arguments: [
          "curvature", "--model", model, "--kind", "adam", "--layers", "*layers.1.mlp.up*",
          "--optimizer-state", state, "--output", file,
        ] + more)
    }
    // v = 0.25 everywhere after correction: labels are dot's over 0.5 + eps.
    try write([Float](repeating: 0.25 * (1 - 0.81), count: 960))
    let made = try curvature("--step", "2", "--beta2", "0.9")
    #expect(made.status == 0, "\(made.errors)")
    let dot = try label("dot.h5", "--layers", "*layers.1.mlp.up*")
    let adam = try label(
      "adam.h5", "--layers", "*layers.1.mlp.up*", "--kind", "adam", "--curvature", file, "--epsilon", "0.5")
    for (a, b) in zip(dot.labels, adam.labels) { #expect(abs(a - b) < 1e-4 * abs(a) + 1e-6) }
    try write([Float](repeating: -1, count: 960))
    let negative = try curvature("--step", "2", "--force")
    #expect(negative.status == 65 && negative.errors.contains("negative"), "\(negative.errors)")
    try write([Float](repeating: 1, count: 960), shape: [24, 40])
    let turned = try curvature("--step", "2", "--force")
    #expect(turned.status == 65 && turned.errors.contains(layer), "\(turned.errors)")
    #expect(try curvature("--force").status == 64)
  }

  @Test func optionsThatMeanNothingAreRefused() throws {
    try refuse(64, ["--damping"], "--damping", "0.1")
    try refuse(64, ["--damping"], "--kind", "logra", "--damping", "-1")
    try refuse(64, ["singular", "--damping"], "--kind", "logra", "--rank", "8", "--damping", "0")
    try refuse(64, ["--epsilon"], "--kind", "ekfac", "--epsilon", "1e-8")
    try refuse(64, ["--epsilon"], "--kind", "adam", "--epsilon", "0")
    try refuse(64, ["--projection"], "--kind", "logra", "--projection", "none")
    try refuse(64, ["--projection"], "--kind", "ekfac", "--projection", "random")
    try refuse(64, ["--gradient-norm"], "--kind", "tracin", "--gradient-norm", "--checkpoint", "\(model):1")
    try refuse(64, ["dot"], command: "curvature", target: false, "--kind", "dot")
  }

  @Test(arguments: ["relatif", "ekfac", "adam"]) func resumedRunEqualsAnUninterruptedOne(_ kind: String)
    throws
  {
    let sample = try folder.file("many.jsonl", tinyRows(3000))
    let (whole, resumed) = (folder.path("whole.h5"), folder.path("resumed.h5"))
    func run(_ output: String, _ more: [String] = [], _ interrupt: (file: String, bytes: Int)? = nil) throws
      -> Command.Result
    {
      try Command.run(
        arguments: [
          "label", "--model", model, "--target", target, "--sample", sample, "--output", output, "--kind",
          kind,
        ] + more,
        interrupt: interrupt)
    }
    #expect(try run(whole).status == 0)
    let first = try run(resumed, ["--threads", "1"], (resumed + ".partial", 4000))
    #expect(first.status == 130, "\(first.errors)")
    #expect(!FileManager.default.fileExists(atPath: resumed))
    if kind != "adam" {
      let other = try run(resumed, ["--resume", "--damping", "0.2"])
      #expect(other.status == 64 && other.errors.contains("damping"), "\(other.errors)")
    }
    let second = try run(resumed, ["--resume"])
    #expect(second.status == 0 && second.errors.contains("from the journal"), "\(second.errors)")
    let (a, b) = (try LabelFile(path: whole), try LabelFile(path: resumed))
    #expect(a.labels == b.labels && a.losses == b.losses)
    var attributes = b.attributes
    attributes.command = a.attributes.command
    #expect(a.attributes == attributes)
  }

  @Test func auditSaysWhyItCannot() throws {
    _ = try label("labels.h5", "--kind", "logra", "--rank", "3")
    let result = try Command.run(
      "audit", folder.path("labels.h5"), "--model", model, "--target", target)
    #expect(result.status == 65 && result.errors.contains("logra"), "\(result.errors)")
  }
}
