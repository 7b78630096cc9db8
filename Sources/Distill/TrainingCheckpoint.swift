import Formats
import Foundation
import TensorKernels

/// A fine-tuning as it stood after an epoch, in a file beside the valuator's name: one that was killed goes on from there and
/// ends with the same bits.
struct TrainingCheckpoint {
  /// The numbers of a training beside its weights; floats keep their bits as JSON.
  struct Numbers {
    var epoch: Int
    var steps: Int
    var generator: UInt64
    var order: [Int]
    var keptEpoch: Int
    var keptSpearman: Double
    var bestOutputs: [Double]
    var log: [JSONValue]
  }

  let path: String
  /// What decides a training: another one's checkpoint is not gone on with.
  let configuration: JSONValue

  private static let format = "alinfik-training"
  private static let metadataKey = "alinfik"

  /// Writes it beside its name and renames.
  func save(_ numbers: Numbers, _ weights: [(name: String, storage: FloatStorage)]) throws {
    let json: JSONValue = [
      "format": JSONValue(Self.format), "configuration": configuration, "epoch": JSONValue(numbers.epoch),
      "steps": JSONValue(numbers.steps), "generator": JSONValue(String(numbers.generator)),
      "order": .array(numbers.order.map { JSONValue($0) }), "kept_epoch": JSONValue(numbers.keptEpoch),
      "kept_spearman": JSONValue(numbers.keptSpearman),
      "best_outputs": .array(numbers.bestOutputs.map { JSONValue($0) }), "log": .array(numbers.log),
    ]
    try SafetensorsWriter.write(
      to: path,
      tensors: weights.map {
        (
          $0.name, [$0.storage.count],
          Array(UnsafeBufferPointer(start: $0.storage.base, count: $0.storage.count))
        )
      }, metadata: [(key: Self.metadataKey, value: String(decoding: json.serialized(), as: UTF8.self))],
      force: true)
  }

  /// Reads the weights into their places and returns the numbers; nil where there is no checkpoint. Throws where it is of
  /// another training, or damaged.
  func load(
    _ weights: [(name: String, storage: FloatStorage)],
    fitting counts: (rows: Int, validation: Int, epochs: Int)
  ) throws -> Numbers? {
    guard FileManager.default.fileExists(atPath: path) else { return nil }
    let file = try SafetensorsFile(path: path)
    guard let text = file.metadata[Self.metadataKey], let json = try? JSONValue.parse(Array(text.utf8)),
      json["format"]?.string == Self.format, let numbers = Self.numbers(json)
    else { throw FormatError.malformed(place: path, reason: "it is no unfinished training; remove it") }
    try refuseOtherConfiguration(configuration, than: json["configuration"] ?? .null, path: path)
    guard numbers.order.sorted() == Array(0..<counts.rows), numbers.bestOutputs.count == counts.validation,
      (0...counts.epochs).contains(numbers.epoch), (0...numbers.epoch).contains(numbers.keptEpoch),
      numbers.steps >= 0
    else {
      throw FormatError.malformed(place: path, reason: "its numbers do not fit this training; remove it")
    }
    for (name, storage) in weights {
      let values = try file.floats(named: name, shape: [storage.count])
      storage.base.update(from: values, count: storage.count)
    }
    return numbers
  }

  private static func numbers(_ json: JSONValue) -> Numbers? {
    guard let epoch = json["epoch"]?.int, let steps = json["steps"]?.int,
      let generator = json["generator"]?.string.flatMap({ UInt64($0) }),
      let order = json["order"]?.array?.compactMap(\.int), let keptEpoch = json["kept_epoch"]?.int,
      let keptSpearman = json["kept_spearman"]?.double,
      let bestOutputs = json["best_outputs"]?.array?.compactMap(\.double), let log = json["log"]?.array
    else { return nil }
    return Numbers(
      epoch: epoch, steps: steps, generator: generator, order: order, keptEpoch: keptEpoch,
      keptSpearman: keptSpearman, bestOutputs: bestOutputs, log: log)
  }
}
