import Formats
import Tokenization

/// A model or an adapter that was trained, as a directory: weights, configuration, tokenizer, and `finetune.json`, which says
/// how it came to be.
package struct TrainedModelDirectory {
  let run: FineTuningRun
  let outcome: FineTuningRun.Outcome
  /// Nil for an adapter, which goes with its model's.
  let tokenizer: Tokenizer?

  private static let record = "finetune.json"
  private static let entries = [
    record, "adapter_config.json", "adapter_model.safetensors", "added_tokens.json", "chat_template.jinja",
    "config.json", "model.safetensors", "special_tokens_map.json", "tokenizer.json", "tokenizer_config.json",
    "vocab.txt",
  ]

  package init(run: FineTuningRun, outcome: FineTuningRun.Outcome, tokenizer: Tokenizer?) {
    self.run = run
    self.outcome = outcome
    self.tokenizer = tokenizer
  }

  /// Throws where something stands under this name that must not be replaced. Worth asking before training.
  package static func refuseExisting(_ directory: String, force: Bool) throws {
    try OutputDirectory(path: directory, entries: entries, force: force).discard()
  }

  /// Writes the directory beside its name and renames.
  package func write(to directory: String, force: Bool) throws {
    let output = try OutputDirectory(path: directory, entries: Self.entries, force: force)
    do {
      let folder = output.temporaryPath
      try run.training.save(to: folder)
      for (name, bytes) in try tokenizer?.carriedFiles(maximumLength: nil) ?? [] {
        try OutputFile.write(bytes, to: folder + "/" + name)
      }
      let record = JSONValue.object(
        [
          (key: "format", value: "alinfik-fine-tuning"),
          (key: "alinfik_version", value: JSONValue(alinfikVersion)),
          (key: "configuration", value: run.description),
          (key: "losses", value: .array(outcome.losses.map { JSONValue($0) })),
          (key: "validation", value: validation(withRows: true)),
        ])
      try OutputFile.write(
        record.serialized(pretty: true) + [UInt8(ascii: "\n")], to: folder + "/" + Self.record)
      try output.commit()
    } catch {
      output.discard()
      throw error
    }
  }

  private func validation(withRows: Bool) -> JSONValue {
    .array(
      outcome.validation.map { losses in
        var members: [(key: ByteString, value: JSONValue)] = [
          ("step", JSONValue(losses.step)), ("loss", JSONValue(losses.mean)),
        ]
        if withRows { members.append(("rows", .array(losses.rows.map { JSONValue($0) }))) }
        return .object(members)
      })
  }

  /// For `--json`.
  package func summary(output: String) -> JSONValue {
    [
      "output": JSONValue(output), "steps": JSONValue(outcome.losses.count),
      "first_loss": outcome.losses.first.map { JSONValue($0) } ?? .null,
      "last_loss": outcome.losses.last.map { JSONValue($0) } ?? .null,
      "validation": validation(withRows: false), "seconds": JSONValue(outcome.seconds),
    ]
  }
}
