import Formats
import Foundation
import TestSupport
import Testing

/// The whole loop with a tiny model: label, train, score, compare.
@Suite struct LoopTests {
  private let folder: TemporaryFolder
  private let model: String
  private let target: String
  private let sample: String

  init() throws {
    folder = try TemporaryFolder()
    model = try folder.tinyModel()
    target = try folder.file(
      "target.jsonl",
      #"{"text": "the cat sat on the mat."}"# + "\n" + #"{"text": "a dog by the river, and the sun."}"# + "\n"
    )
    let words = ["cat", "dog", "mat", "sun", "moon", "tree", "house", "river"]
    let rows = (0..<120).map { i in
      let text = "\(words[i % 8]) and \(words[i / 8 % 8]) by the \(words[i * 7 % 5]), \(words[i / 3 % 8])."
      return #"{"id": "row-\#(i)", "source": "s\#(i % 2)", "text": "\#(text)"}"#
    }
    sample = try folder.file("sample.jsonl", rows.joined(separator: "\n") + "\n")
  }

  private func succeed(_ arguments: String..., input: String? = nil) throws -> Command.Result {
    let result = try Command.run(arguments: arguments, input: input)
    try #require(result.status == 0, "alinfik \(arguments.joined(separator: " ")): \(result.errors)")
    return result
  }

  @Test func labelTrainScoreCompare() throws {
    let (labels, valuator, report) = (
      folder.path("labels.h5"), folder.path("valuator"), folder.path("report")
    )
    _ = try succeed("label", "--model", model, "--target", target, "--sample", sample, "--output", labels)
    let trained = try succeed(
      "train", labels, "--output", valuator, "--tokenizer", model, "--layers", "1", "--hidden-size", "16",
      "--heads",
      "2", "--epochs", "2", "--test-rows", "40", "--json")
    #expect(trained.output.contains("spearman"), "\(trained.output)")
    try expectSound(valuator: valuator)
    try expectSound(scores: valuator)
    try expectSound(explanations: valuator)
    _ = try succeed(
      "compare", "--model", model, "--target", target, "--sample", sample, "--labels", labels, "--valuator",
      valuator,
      "--output", report, "--rank", "4", "--oracle-rows", "8", "--ceiling-rows", "30", "--kind", "ekfac",
      "--kind", "relatif", "--checkpoint", "\(model):0.1", "--in-run-shapley", "0.01")
    try expectSound(report: report)
    let again = try Command.run(
      "compare", "--model", model, "--target", target, "--sample", sample, "--output", report)
    #expect(again.status == 64 && again.errors.contains("--force"), "\(again.errors)")
  }

  /// The model's own first layers as the encoder.
  @Test func trainOnFirstLayers() throws {
    let (labels, valuator) = (folder.path("labels.h5"), folder.path("valuator"))
    _ = try succeed("label", "--model", model, "--target", target, "--sample", sample, "--output", labels)
    let none = try Command.run("train", labels, "--output", valuator, "--init", model, "--first-layers", "99")
    #expect(none.status == 64 && none.errors.contains("layers"), "\(none.errors)")
    let homeless = try Command.run("train", labels, "--output", valuator, "--first-layers", "1")
    #expect(homeless.status == 64 && homeless.errors.contains("--init"), "\(homeless.errors)")
    let tuned = try Command.run(
      "train", labels, "--output", valuator, "--init", model, "--first-layers", "1", "--epochs", "2")
    #expect(tuned.status == 64 && tuned.errors.contains("frozen"), "\(tuned.errors)")
    let plan = try succeed(
      "train", labels, "--output", valuator, "--init", model, "--first-layers", "1", "--max-tokens", "64",
      "--dry-run")
    #expect(plan.output.contains("frozen weights") && !FileManager.default.fileExists(atPath: valuator))
    let trained = try succeed(
      "train", labels, "--output", valuator, "--init", model, "--first-layers", "1", "--max-tokens", "64",
      "--test-rows", "40",
      "--json")
    #expect(trained.output.contains("spearman"), "\(trained.output)")
    try expectSound(valuator: valuator)
    try expectSound(scores: valuator)
    try expectSound(explanations: valuator)
    #expect(trained.output.contains("label_curve"))
    let card = try String(contentsOfFile: valuator + "/README.md", encoding: .utf8)
    #expect(card.contains("the first layer of a language model") && !card.contains("SentenceTransformer("))
    #expect(card.contains("| labels learnt from | test Spearman | within source |"))
    let words = folder.path("words")
    _ = try succeed(
      "train", labels, "--output", words, "--init", model, "--first-layers", "0", "--max-tokens", "64",
      "--include-texts", "--features", folder.path("kept"))
    #expect(FileManager.default.fileExists(atPath: folder.path("kept")))
    #expect(
      try succeed("explain", words, input: #"{"text": "a cat by the moon."}"#).output.contains(" and "),
      "texts of labelled rows are shown")
    try expectSound(scores: words)
    // The same training gives the same scores.
    let again = folder.path("again")
    _ = try succeed(
      "train", labels, "--output", again, "--init", model, "--first-layers", "1", "--max-tokens", "64",
      "--test-rows", "40",
      "--threads", "1")
    let line = #"{"text": "a dog by the river."}"#
    let scores = try [valuator, again].map {
      try succeed("score", $0, "--no-valuator-key", input: line).output
    }
    #expect(scores[0] == scores[1])
  }

  /// The whole model teaches its token embeddings, from records that nobody labelled.
  @Test func aLargeValuatorTeachesASmallOne() throws {
    let (labels, base, small) = (folder.path("labels.h5"), folder.path("base"), folder.path("small"))
    _ = try succeed("label", "--model", model, "--target", target, "--sample", sample, "--output", labels)
    _ = try succeed("train", labels, "--output", base, "--init", model, "--size", "base", "--test-rows", "40")
    try expectSound(valuator: base)
    try expectSound(scores: base)
    let others = try folder.file(
      "others.jsonl",
      (0..<30).map { #"{"text": "a \#($0 % 2 == 0 ? "moon" : "house") by \#($0) rivers."}"# }.joined(
        separator: "\n"))
    let scored = folder.path("scored.jsonl")
    _ = try succeed("score", base, others, sample, "--pooling", "first", "--output", scored)
    let teach = ["--teacher", base, "--scored", scored]
    let train = ["train", labels, "--output", small, "--init", model, "--size", "small"]
    let result = try Command.run(arguments: train + ["--test-rows", "40"] + teach)
    #expect(result.status == 0, "\(result.errors)")
    // The labelled rows among the scored ones are left out; so are those out of domain.
    let taught = try #require(result.errors.firstMatch(of: /(\d+) rows by the teacher/)?.1)
    let count = try #require(Int(taught))
    #expect((1...30).contains(count))
    try expectSound(scores: small)
    // With another test part the teacher knows rows that are tested.
    let other = folder.path("other")
    let leaking = try Command.run(
      arguments: [
        "train", labels, "--output", other, "--init", model, "--size", "small", "--test-rows", "70",
      ] + teach)
    #expect(leaking.status == 64 && leaking.errors.contains("has learnt from"), "\(leaking.errors)")
    let unscored = try Command.run(
      arguments: [
        "train", labels, "--output", other, "--init", model, "--size", "small", "--test-rows", "40",
        "--teacher", base,
        "--scored", others,
      ])
    #expect(unscored.status == 64 && unscored.errors.contains("alinfik_score"), "\(unscored.errors)")
    let alone = try Command.run(arguments: train + ["--teacher", base, "--force"])
    #expect(alone.status == 64 && alone.errors.contains("--scored"), "\(alone.errors)")
    // The head's own numbers are no scores.
    let raw = folder.path("raw.jsonl")
    _ = try succeed("score", base, others, "--raw", "--no-valuator-key", "--output", raw)
    let mixed = try Command.run(
      arguments: [
        "train", labels, "--output", other, "--init", model, "--size", "small", "--test-rows", "40",
        "--teacher", base,
        "--scored", raw,
      ])
    #expect(mixed.status == 64 && mixed.errors.contains("not the teacher's scores"), "\(mixed.errors)")
    // Nor is that of a long text's windows, for its label would be of the first.
    let long = try folder.file(
      "long.jsonl", #"{"text": "\#(String(repeating: "a cat by the moon, ", count: 300))"}"# + "\n")
    let windows = folder.path("windows.jsonl")
    _ = try succeed("score", base, long, "--output", windows)
    let pooled = try Command.run(
      arguments: [
        "train", labels, "--output", other, "--init", model, "--size", "small", "--test-rows", "40",
        "--teacher", base, "--scored", windows,
      ])
    #expect(pooled.status == 64 && pooled.errors.contains("not the teacher's scores"), "\(pooled.errors)")
    // What the teacher knew is no longer new to its pupil.
    let card = try JSONValue.read(path: small + "/alinfik.json")
    let known = try JSONValue.read(path: base + "/alinfik.json")["rows"]?["training"]?.array?.count ?? 0
    #expect(try #require(card["rows"]?["taught"]?.array?.count) >= (Int(taught) ?? 0) && known > 0)
  }

  /// What a valuator is told to multiply in belongs to it, and what is measured of it is measured so.
  @Test func aPrecisionIsTheValuators() throws {
    let labels = folder.path("labels.h5")
    _ = try succeed("label", "--model", model, "--target", target, "--sample", sample, "--output", labels)
    let refused = try Command.run(
      "train", labels, "--output", folder.path("no"), "--init", model, "--size", "small", "--precision",
      "int8")
    #expect(refused.status == 64 && refused.errors.contains("int8 is for text encoders"), "\(refused.errors)")
    for precision in ["f32", "bf16"] {
      _ = try succeed(
        "train", labels, "--output", folder.path(precision), "--init", model, "--first-layers", "1",
        "--precision", precision, "--test-rows", "40")
      try expectSound(valuator: folder.path(precision))
    }
    let cards = try ["f32", "bf16"].map { try JSONValue.read(path: folder.path($0) + "/alinfik.json") }
    #expect(cards.map { $0["precision"]?.string } == ["f32", "bf16"])
    #expect(cards[0]["calibration"] != nil && cards[0]["calibration"] != cards[1]["calibration"])
    // Of a text encoder, with the slow way to the same scores told.
    let int8 = folder.path("int8")
    _ = try succeed(
      "train", labels, "--output", int8, "--tokenizer", model, "--layers", "1", "--hidden-size", "16",
      "--heads",
      "2", "--epochs", "1", "--precision", "int8")
    let scores = try ["", "baseline"].map { kernels in
      try Command.run(
        arguments: ["score", int8, sample],
        environment: kernels.isEmpty ? [:] : ["ALINFIK_INSTRUCTION_SET": kernels])
    }
    #expect(scores.allSatisfy { $0.status == 0 })
    #expect(
      scores[1].errors.contains("warning: this processor has no instructions for int8"), "\(scores[1].errors)"
    )
    func values(_ run: Command.Result) throws -> [Double] {
      try run.output.split(separator: "\n").compactMap {
        try JSONValue.parse(Array($0.utf8))["alinfik_score"]?.double
      }
    }
    let (here, plain) = (try values(scores[0]), try values(scores[1]))
    #expect(here.count == 120 && zip(here, plain).allSatisfy { abs($0 - $1) <= 1e-3 * (1 + abs($0)) })
  }

  /// Labels kept target by target tell which of them a text helps.
  @Test func groupsOfTargetsAreExplained() throws {
    let targets = try folder.file(
      "targets.jsonl",
      (0..<14).map { i in
        let text = i % 2 == 0 ? "the cat sat on the mat \(i)." : "9 8 7 6 5 4 3 2 1 \(i)"
        return #"{"id": "t\#(i)", "text": "\#(text)"}"#
      }.joined(separator: "\n"))
    let (labels, valuator) = (folder.path("labels.h5"), folder.path("valuator"))
    _ = try succeed(
      "label", "--model", model, "--target", targets, "--sample", sample, "--output", labels, "--projection",
      "random", "--rank", "8", "--per-target")
    _ = try succeed(
      "train", labels, "--output", valuator + "/", "--init", model, "--size", "small", "--test-rows", "40")
    try expectSound(valuator: valuator)
    let input = #"{"text": "a cat by the moon."}"#
    let explained = try succeed("explain", valuator, "--format", "json", input: input)
    let groups = try #require(JSONValue.parse(Array(explained.output.utf8))["target_groups"]?.array)
    let members = groups.map { $0["targets"]?.array?.compactMap(\.string) ?? [] }
    #expect(members.count == 2 && Set(members.flatMap { $0 }).count == 14)
    // Sentences stand with sentences, numbers with numbers.
    for group in members {
      #expect(Set(group.map { Int($0.dropFirst())! % 2 }).count == 1, "\(members)")
    }
    #expect(groups.allSatisfy { $0["value"]?.double?.isFinite == true && $0["test_spearman"]?.double != nil })
    #expect(try succeed("explain", valuator, input: input).output.contains("worth "))
  }

  @Test func anAuditFindsWhatWasChanged() throws {
    let (labels, valuator) = (folder.path("labels.h5"), folder.path("valuator"))
    _ = try succeed("label", "--model", model, "--target", target, "--sample", sample, "--output", labels)
    _ = try succeed(
      "train", labels, "--output", valuator, "--init", model, "--size", "small", "--test-rows", "40")
    let audit = try succeed(
      "audit", labels, "--model", model, "--target", target, "--valuator", valuator, "-n", "60", "--json")
    let json = try JSONValue.parse(Array(audit.output.utf8))
    #expect(json["rows"]?.int == 60 && json["wrong"]?.int == 0 && json["same_model"]?.bool == true)
    #expect(try #require(json["wrong_share_at_most"]?.double) < 0.05)
    #expect(try #require(json["valuator"]?["rows"]?.int) > 5)
    // Labels for other rows than the file says: the same file with its samples turned around.
    let lines = try String(contentsOfFile: sample, encoding: .utf8).split(separator: "\n")
    let turned = try folder.file("turned.jsonl", lines.reversed().joined(separator: "\n"))
    let forged = folder.path("forged.h5")
    _ = try succeed("label", "--model", model, "--target", target, "--sample", turned, "--output", forged)
    try LabelFileEditing.copyLabels(from: labels, to: forged)
    let caught = try Command.run("audit", forged, "--model", model, "--target", target, "-n", "60")
    #expect(caught.status == 65 && caught.errors.contains("wrong: row"), "\(caught.errors)")
    let json2 = try Command.run("audit", forged, "--model", model, "--target", target, "-n", "120", "--json")
    let found = try JSONValue.parse(Array(json2.output.utf8))
    #expect(found["wrong_rows"]?.array?.count == found["wrong"]?.int)
    let whole = try succeed("audit", labels, "--model", model, "--target", target, "-n", "5000", "--json")
    #expect(
      try JSONValue.parse(Array(whole.output.utf8))["wrong_share_at_most"]?.double == 0,
      "every row was looked at")
    let stranger = try folder.tinyModel("stranger")
    _ = try folder.file(
      "stranger/tokenizer_config.json",
      #"{"eos_token": "</s>", "unk_token": "<unk>", "note": "another hash"}"#)
    let unknown = try Command.run("audit", labels, "--model", stranger, "--target", target)
    #expect(unknown.status == 64 && unknown.errors.contains("--other-model"), "\(unknown.errors)")
    let another = try folder.file("another.jsonl", #"{"text": "quite another one"}"#)
    let refused = try Command.run("audit", labels, "--model", model, "--target", another)
    #expect(refused.status == 64 && refused.errors.contains("another target"), "\(refused.errors)")
  }

  private func expectSound(valuator: String) throws {
    let card = try JSONValue.read(path: valuator + "/alinfik.json")
    #expect(card["sign"]?.string == "positive lowers target loss")
    #expect(card["rows"]?["test"]?.array?.count == 40)
    for file in ["alinfik.json", "rows.jsonl", "training.jsonl", "README.md"] {
      let bytes = try Data(contentsOf: URL(fileURLWithPath: valuator + "/" + file))
      #expect(bytes.range(of: Data("river".utf8)) == nil, "\(file): no text of the samples is carried away")
    }
    for left in ["tmp", "features.partial", "checkpoint.partial"] {
      #expect(!FileManager.default.fileExists(atPath: valuator + "." + left))
    }
  }

  private func expectSound(scores valuator: String) throws {
    let input = """
      {"note": {"kept":  [1, 2.50]}, "text": "a cat by the moon.", "alinfik_score": 99}
      {"text": "\\u0063at", "id": 12345678901234567890}
      nonsense
      {"prompt": "who", "completion": "the dog"}

      """
    let scored = try succeed("score", valuator, "--on-error", "mark", input: input)
    let lines = scored.output.split(separator: "\n").map(String.init)
    #expect(lines.count == 4, "\(scored.output)")
    #expect(lines[0].contains(#""note": {"kept":  [1, 2.50]}"#) && !lines[0].contains("99}"))
    #expect(lines[1].contains(#""text": "\u0063at", "id": 12345678901234567890"#))
    #expect(lines[2].contains("alinfik_error") && !lines[2].contains("alinfik_score"))
    for line in [lines[0], lines[1], lines[3]] {
      let score = try JSONValue.parse(Array(line.utf8))["alinfik_score"]?.double
      #expect(score?.isFinite == true, "\(line)")
    }
    let greedy = try Command.run("score", valuator, "--coverage", "0.999", input: input)
    #expect(greedy.status == 64 && greedy.errors.contains("coverage"), "\(greedy.errors)")
    let one = try succeed("score", valuator, "--on-error", "mark", "--threads", "1", input: input)
    #expect(one.output == scored.output, "workers do not change a byte")
    let failed = try Command.run("score", valuator, input: input)
    #expect(failed.status == 65 && failed.errors.contains(":3"), "\(failed.errors)")
  }

  private func expectSound(explanations valuator: String) throws {
    // A labelled row itself, another text, and one that is no record.
    let line = try String(contentsOfFile: sample, encoding: .utf8).split(separator: "\n")
    let known = try JSONValue.parse(
      Array(
        try String(contentsOfFile: valuator + "/rows.jsonl", encoding: .utf8)
          .split(separator: "\n")[0].utf8))
    let id = try #require(known["id"]?.string)
    let own = String(try #require(line.first { $0.contains(#""\#(id)""#) }))
    let input = own + "\n" + #"{"text": "a dog by the sun.", "source": "new"}"# + "\n"
    let explained = try succeed("explain", valuator, "--nearest", "2", "--format", "json", input: input)
    let lines = try explained.output.split(separator: "\n").map { try JSONValue.parse(Array($0.utf8)) }
    #expect(lines.count == 2 && lines[0]["id"]?.string == id)
    let nearest = try #require(lines[0]["nearest"]?.array)
    #expect(nearest.count == 2 && nearest[0]["text"]?.isNull == true)
    #expect(abs(try #require(nearest[0]["likeness"]?.double) - 1) < 1e-5)
    let labels = Set(nearest.compactMap { $0["label"]?.double })
    #expect(labels.contains(try #require(known["label"]?.double)), "the row itself is among the nearest")
    let plan = try succeed("explain", valuator, "--dry-run", "--json", input: "").output
    #expect(try JSONValue.parse(Array(plan.utf8))["labelled_rows"]?.int ?? 0 > 0, "\(plan)")
    let words = try succeed("explain", valuator, input: input).output
    #expect(words.contains("most like these labelled rows") && words.contains(id))
    // What was good before a bad line is answered.
    let bad = try Command.run(
      "explain", valuator, "--nearest", "2", "--format", "json", input: input + "nonsense\n")
    #expect(bad.status == 65 && bad.errors.contains(":3"), "\(bad.errors)")
    #expect(bad.output == explained.output)
  }

  private func expectSound(report: String) throws {
    let json = try JSONValue.read(path: report + "/report.json")
    let methods = json["methods"]?.array?.compactMap { $0["name"]?.string } ?? []
    for name in [
      "LinFiK", "LoGra influence", "TRAK", "TracIn", "In-run Shapley", "EK-FAC", "RelatIF", "ALinFiK",
      "Representation", "KNN-Shapley", "BM25", "TF-IDF", "Length", "Model loss", "Random",
    ] {
      #expect(methods.contains(name), "\(methods)")
    }
    #expect(json["rows"]?.array?.count == 40, "only rows that the valuator has not seen are compared")
    #expect(json["ceiling"]?["rows"]?.int == 30)
    let html = try String(contentsOfFile: report + "/report.html", encoding: .utf8)
    #expect(html.contains("<svg") && html.contains("ALinFiK") && !html.contains("src=\"http"))
    let tracin = json["methods"]?.array?.first { $0["name"]?.string == "TracIn" }
    #expect(tracin?["not_drawn"]?.string?.contains("by definition") == true)
  }

  /// TracIn and TRAK over two checkpoints of a training; TracIn is what `label --kind tracin` says.
  @Test func checkpointsAreCompared() throws {
    let (trained, report, labels) = (folder.path("t"), folder.path("r"), folder.path("tracin.h5"))
    _ = try succeed(
      "finetune", "--model", model, "--data", sample, "--output", trained, "--batch-rows", "20",
      "--learning-rate", "1e-2", "--save-at", "3")
    let checkpoints = ["--checkpoint", "\(trained)-step-3:0.01", "--checkpoint", "\(trained):0.005"]
    let inputs = ["--model", model, "--target", target, "--sample", sample]
    let compared = try Command.run(
      arguments: ["compare"] + inputs + checkpoints + [
        "--output", report, "--rank", "4", "--oracle-rows", "0",
      ])
    #expect(compared.status == 0, "\(compared.errors)")
    let labelled = try Command.run(
      arguments: ["label"] + inputs + checkpoints + ["--kind", "tracin", "--output", labels])
    #expect(labelled.status == 0, "\(labelled.errors)")
    let methods = try #require(try JSONValue.read(path: report + "/report.json")["methods"]?.array)
    func values(_ name: String) throws -> [Double] {
      try #require(methods.first { $0["name"]?.string == name }?["values"]?.array).compactMap(\.double)
    }
    let expected = try LabelFile(path: labels).labels
    let largest = Double(expected.map(abs).max()!)
    for (value, label) in zip(try values("TracIn"), expected) {
      #expect(abs(value - Double(label)) < 1e-5 * largest)
    }
    let plain = try Command.run(
      arguments: ["compare"] + inputs
        + ["--output", folder.path("p"), "--rank", "4", "--oracle-rows", "0", "--without-texts"])
    #expect(plain.status == 0, "\(plain.errors)")
    let alone = try #require(
      try JSONValue.read(path: folder.path("p") + "/report.json")["methods"]?.array?
        .first { $0["name"]?.string == "TRAK" }?["values"]?.array
    ).compactMap(\.double)
    #expect(try alone.count == 120 && alone != values("TRAK"), "checkpoints change TRAK")
    let rank = try Command.run(
      arguments: ["compare"] + inputs + ["--output", folder.path("q"), "--rank", "5000"])
    #expect(rank.status == 64 && rank.errors.contains("--rank 5000"), "\(rank.errors)")
    #expect(!FileManager.default.fileExists(atPath: folder.path("q")))
  }

  @Test func changedValuatorIsRefused() throws {
    let (labels, valuator) = (folder.path("labels.h5"), folder.path("valuator"))
    _ = try succeed("label", "--model", model, "--target", target, "--sample", sample, "--output", labels)
    _ = try succeed(
      "train", labels, "--output", valuator, "--tokenizer", model, "--layers", "1", "--hidden-size", "16",
      "--heads",
      "2", "--epochs", "1")
    let weights = URL(fileURLWithPath: valuator + "/model.safetensors")
    var bytes = try Data(contentsOf: weights)
    bytes[bytes.count - 1] ^= 1
    try bytes.write(to: weights)
    let result = try Command.run("score", valuator, input: #"{"text": "a cat."}"#)
    #expect(result.status == 65 && result.errors.contains("model.safetensors"), "\(result.errors)")
    #expect(result.output.isEmpty)
  }

  @Test func missingPartsAreNamed() throws {
    let nowhere = try Command.run("score", folder.path("nowhere"), input: "{}")
    #expect(nowhere.status == 66 && nowhere.errors.contains("nowhere"), "\(nowhere.errors)")
    let notLabels = try folder.file("labels.h5", "this is no HDF5 file")
    let train = try Command.run("train", notLabels, "--output", folder.path("v"), "--tokenizer", model)
    #expect(train.status == 65 && train.errors.contains("labels.h5"), "\(train.errors)")
    #expect(!FileManager.default.fileExists(atPath: folder.path("v")))
  }
}
