import Formats
import Foundation
import TensorKernels

/// A fine-tuning as it stood after a step, in a file beside the model's name: one that was stopped goes on from there and
/// ends with the same bits.
struct FineTuningCheckpoint {
  let path: String
  /// Everything that decides a run: another one's checkpoint is not gone on with.
  let configuration: JSONValue

  private static let format = "alinfik-fine-tuning"
  private static let metadataKey = "alinfik"

  /// Writes it beside its name and renames.
  func save(_ outcome: FineTuningRun.Outcome, _ tensors: [(name: String, matrix: Matrix)]) throws {
    let json: JSONValue = [
      "format": JSONValue(Self.format), "configuration": configuration,
      "losses": .array(outcome.losses.map { JSONValue($0) }),
      "validation_steps": .array(outcome.validation.map { JSONValue($0.step) }),
      "validation_losses": .array(outcome.validation.map { .array($0.rows.map { JSONValue($0) }) }),
    ]
    try SafetensorsWriter.write(
      to: path,
      tensors: tensors.map { ($0.name, [$0.matrix.rows, $0.matrix.columns], $0.matrix.view.values) },
      metadata: [(key: Self.metadataKey, value: String(decoding: json.serialized(), as: UTF8.self))],
      force: true)
  }

  /// Reads the tensors into their places and returns what the steps that were done came to; nil where there is no
  /// checkpoint. Throws where it is of another run, or damaged.
  ///
  /// - Parameter validation: how many rows are held out.
  func load(
    _ tensors: [(name: String, matrix: Matrix)], validation: Int
  ) throws -> FineTuningRun.Outcome? {
    guard FileManager.default.fileExists(atPath: path) else { return nil }
    let file = try SafetensorsFile(path: path)
    guard let text = file.metadata[Self.metadataKey], let json = try? JSONValue.parse(Array(text.utf8)),
      json["format"]?.string == Self.format,
      let losses = json["losses"]?.array?.compactMap(\.double),
      let steps = json["validation_steps"]?.array?.compactMap(\.int),
      let heldOut = json["validation_losses"]?.array?.map({ $0.array?.compactMap(\.double) ?? [] }),
      steps.count == heldOut.count, heldOut.allSatisfy({ $0.count == validation })
    else { throw FormatError.malformed(place: path, reason: "it is no unfinished fine-tuning; remove it") }
    try refuseOtherConfiguration(configuration, than: json["configuration"] ?? .null, path: path)
    for (name, matrix) in tensors {
      let values = try file.floats(named: name, shape: [matrix.rows, matrix.columns])
      matrix.pointer.update(from: Array(values), count: values.count)
    }
    return FineTuningRun.Outcome(
      losses: losses, validation: zip(steps, heldOut).map { FineTuningRun.HeldOutLoss(step: $0, rows: $1) })
  }
}
