import Formats
import Foundation
import TestSupport
import Testing

/// `alinfik finetune`, whole runs on a tiny model, and what its output is good for.
@Suite struct FinetuneCommandTests {
  private let folder: TemporaryFolder
  private let model: String
  private let data: String

  init() throws {
    folder = try TemporaryFolder()
    model = try folder.tinyModel()
    let rows = [
      "a cat by the moon.", "the sun is far.", "a dog, a cat, a bird.", "rain and wind.", "no one.",
    ]
    data = try folder.file("data.jsonl", rows.map { #"{"text": "\#($0)"}"# + "\n" }.joined())
  }

  private func finetune(_ arguments: String...) throws -> JSONValue {
    let run = try Command.run(arguments: ["finetune", "--data", data, "--json"] + arguments)
    #expect(run.status == 0, "\(run.errors)")
    return try JSONValue.parse(Array(run.output.utf8))
  }

  /// The mean loss that `label` finds for the rows.
  private func loss(of path: String) throws -> Double {
    let labels = folder.path("labels-\(UUID().uuidString).h5")
    let run = try Command.run(
      "label", "--model", path, "--target", data, "--sample", data, "--output", labels)
    #expect(run.status == 0, "\(run.errors)")
    let losses = try LabelFile(path: labels).losses
    return losses.reduce(0) { $0 + Double($1) } / Double(losses.count)
  }

  @Test func allWeightsOrAnAdapterLearn() throws {
    let before = try loss(of: model)
    for (name, options) in [("whole", []), ("adapter", ["--lora-rank", "2"])] {
      let output = folder.path(name)
      let run = try Command.run(
        arguments: [
          "finetune", "--data", data, "--validation", data, "--model", model, "--output", output, "--epochs",
          "6",
          "--batch-rows", "2", "--learning-rate", "1e-2", "--validate-at", "1", "--json",
        ] + options)
      #expect(run.status == 0, "\(run.errors)")
      let summary = try JSONValue.parse(Array(run.output.utf8))
      #expect(summary["steps"]?.int == 18)
      let heldOut = try #require(summary["validation"]?.array).compactMap { $0["loss"]?.double }
      #expect(heldOut.count == 8 && abs(heldOut[0] - before) < 1e-4 && heldOut[1] != heldOut[2])
      let record = try JSONValue.read(path: output + "/finetune.json")
      let kept = try #require(record["validation"]?.array)
      #expect(kept.map { $0["step"]?.int } == [0, 1, 3, 6, 9, 12, 15, 18])
      for (mean, entry) in zip(heldOut, kept) {
        let rows = try #require(entry["rows"]?.array).compactMap(\.double)
        #expect(rows.count > 1 && abs(rows.reduce(0, +) / Double(rows.count) - mean) < 1e-12)
      }
      // What is read again is what was trained.
      let after = try loss(of: output)
      #expect(after < before - 0.2 && abs(after - (heldOut.last ?? 0)) < 1e-4, "\(name): \(before), \(after)")
      #expect(!FileManager.default.fileExists(atPath: output + ".checkpoint.partial"))
    }
    let adapter = try Command.run(
      "label", "--model", folder.path("adapter"), "--layers", "adapter", "--target", data, "--sample", data,
      "--output", folder.path("adapter.h5"))
    #expect(adapter.status == 0, "\(adapter.errors)")
  }

  @Test func aModelBeginsFromItsConfigurationAlone() throws {
    let output = folder.path("new")
    let summary = try finetune(
      "--init", model + "/config.json", "--tokenizer", model, "--output", output, "--steps", "3", "--epochs",
      "9")
    // Untrained: every token is about as likely as any other.
    let size = try #require(try JSONValue.read(path: model + "/config.json")["vocab_size"]?.double)
    #expect(abs(try #require(summary["first_loss"]?.double) - log(size)) < 0.2)
    #expect(try loss(of: output).isFinite)
    let record = try JSONValue.read(path: output + "/finetune.json")
    #expect(record["losses"]?.array?.count == 3 && record["configuration"]?["seed"]?.string == "0")
  }

  @Test func precisionDecidesARun() throws {
    func train(_ precision: String) throws -> Command.Result {
      try Command.run(
        "finetune", "--model", model, "--data", data, "--output", folder.path(precision), "--precision",
        precision,
        "--learning-rate", "1e-2")
    }
    let (f32, bf16) = (try train("f32"), try train("bf16"))
    #expect(f32.status == 0 && f32.errors.contains("products: f32"), "\(f32.errors)")
    #expect(bf16.status == 0 && bf16.errors.contains("bf16"), "\(bf16.errors)")
    let losses = try [f32, bf16].indices.map { try loss(of: folder.path(["f32", "bf16"][$0])) }
    #expect(losses[0] != losses[1] && abs(losses[0] - losses[1]) < 0.05, "\(losses)")
    let record = try JSONValue.read(path: folder.path("bf16") + "/finetune.json")
    #expect(record["configuration"]?["precision"]?.string == "bf16")
  }

  /// What is saved on the way is what a shorter run would have come to.
  @Test func stepsAreSavedOnTheWay() throws {
    let constant = ["--schedule", "constant", "--warm-up", "0", "--learning-rate", "1e-2", "--epochs", "3"]
    func train(_ name: String, _ more: [String]) throws -> Command.Result {
      try Command.run(
        arguments: ["finetune", "--model", model, "--data", data, "--output", folder.path(name)] + constant
          + more)
    }
    let long = try train("long", ["--batch-rows", "2", "--save-at", "2", "4"])
    let short = try train("short", ["--batch-rows", "2", "--steps", "4"])
    #expect(long.status == 0 && short.status == 0, "\(long.errors)\(short.errors)")
    func weights(_ name: String) throws -> Data {
      try Data(contentsOf: URL(fileURLWithPath: folder.path(name) + "/model.safetensors"))
    }
    #expect(try weights("long-step-4") == weights("short"))
    #expect(try weights("long-step-2") != weights("short") && weights("long") != weights("short"))
    #expect(try loss(of: folder.path("long-step-2")).isFinite)
    for option in ["--save-at", "--validate-at"] {
      let beyond = try train("beyond", ["--batch-rows", "2", option, "99", "--validation", data])
      #expect(beyond.status == 64 && beyond.errors.contains("\(option) 99"), "\(beyond.errors)")
    }
    let there = try train("long", ["--save-at", "1", "--batch-rows", "2"])
    #expect(there.status == 64 && there.errors.contains("--force"), "\(there.errors)")
  }

  /// Not even by force.
  @Test func theModelItselfIsNotOverwritten() throws {
    for more in [["--lora-rank", "1"], []] {
      let run = try Command.run(
        arguments: ["finetune", "--model", model, "--data", data, "--output", model + "/", "--force"] + more)
      #expect(run.status == 64 && run.errors.contains("input"), "\(run.errors)")
    }
    let run = try Command.run(
      "finetune", "--init", model + "/config.json", "--tokenizer", model, "--data", data, "--output", model,
      "--force")
    #expect(run.status == 64, "\(run.errors)")
    #expect(try loss(of: model).isFinite)
  }

  @Test func anAdapterOfAnotherModelIsRefused() throws {
    let base = try folder.tinyModel("base")
    let adapter = folder.path("adapter")
    let run = try Command.run(
      "finetune", "--model", base, "--data", data, "--output", adapter, "--lora-rank", "2")
    #expect(run.status == 0, "\(run.errors)")
    _ = try loss(of: adapter)
    let path = URL(fileURLWithPath: base + "/model.safetensors")
    var bytes = try Data(contentsOf: path)
    bytes[bytes.count - 2] ^= 1
    try bytes.write(to: path)
    let refused = try Command.run(
      "label", "--model", adapter, "--target", data, "--sample", data, "--output", folder.path("no.h5"))
    #expect(refused.status == 65 && refused.errors.contains("another model"), "\(refused.errors)")
  }

  @Test func badLinesAreNamedOrSkipped() throws {
    let bad = try folder.file("bad.jsonl", #"{"text": "a cat."}"# + "\n" + "nonsense\n")
    let arguments = ["finetune", "--model", model, "--data", bad, "--output", folder.path("out")]
    let failed = try Command.run(arguments: arguments)
    #expect(failed.status == 65 && failed.errors.contains("bad.jsonl:2"), "\(failed.errors)")
    let skipped = try Command.run(arguments: arguments + ["--on-error", "skip"])
    #expect(skipped.status == 0 && skipped.errors.contains("1 bad lines"), "\(skipped.errors)")
    let empty = try folder.file("empty.jsonl", "")
    let none = try Command.run(
      arguments: ["finetune", "--model", model, "--data", data, "--output", folder.path("none")]
        + ["--validation", empty])
    #expect(none.status == 65 && none.errors.contains("--validation"), "\(none.errors)")
  }

  @Test func impossibleOptionsAreUsage() throws {
    let output = folder.path("none")
    for options in [
      ["--model", model, "--batch-rows", "0"], ["--model", model, "--learning-rate", "-1"],
      ["--model", model, "--lora-rank", "1000"], ["--init", model + "/config.json"], [],
      ["--model", model, "--layers", "*q_proj*"],
      ["--model", model, "--lora-rank", "1", "--layers", "nothing"],
    ] {
      let run = try Command.run(arguments: ["finetune", "--data", data, "--output", output] + options)
      #expect(run.status == 64, "\(options): \(run.status) \(run.errors)")
    }
    let missing = try Command.run(
      "finetune", "--data", data, "--model", folder.path("nowhere"), "--output", output)
    #expect(missing.status == 66, "\(missing.errors)")
    let plan = try Command.run("finetune", "--data", data, "--model", model, "--output", output, "--dry-run")
    #expect(
      plan.status == 0 && plan.output.contains("1 steps") && plan.output.contains("MB"), "\(plan.output)")
    #expect(!FileManager.default.fileExists(atPath: output))
  }
}
