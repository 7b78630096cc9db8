import Formats
import Foundation
import Records
import TensorKernels

/// Some rows of a label file labelled again: whether the file is what it says it is.
package struct LabelAudit: Sendable {
  package let file: LabelFile
  /// Rows of the file that were labelled again, ascending.
  package let rows: [Int]
  package let records: [Record]
  /// Of each of these rows: what the file says, and what the model says now.
  package let stored: [Float]
  package let measured: [Float]
  /// Whether the model is the one that the file names.
  package let isSameModel: Bool

  /// Labels that differ by more than this share of the labels' deviation are not the same: processors round otherwise, by
  /// some 1e-5 of it.
  package static let tolerance = 1e-3

  /// Whether nothing is left to chance.
  package var isWhole: Bool { rows.count == file.count }
  package var areSameBits: Bool { zip(stored, measured).allSatisfy { $0.bitPattern == $1.bitPattern } }

  /// The rows whose label is another one.
  package var wrong: [Int] {
    let limit = Self.tolerance * deviation
    return zip(rows, zip(stored, measured)).filter { abs(Double($1.0 - $1.1)) > limit }.map(\.0)
  }

  /// The largest difference, in deviations of the labels as measured.
  package var largestDifference: Double {
    let largest = zip(stored, measured).map { abs(Double($0 - $1)) }.max() ?? 0
    return deviation > 0 ? largest / deviation : 0
  }

  /// Of the labels as measured: those of the file are what is in doubt.
  private var deviation: Double {
    let n = Double(measured.count)
    let mean = measured.reduce(0) { $0 + Double($1) } / n
    return (measured.reduce(0) { $0 + (Double($1) - mean) * (Double($1) - mean) } / n).squareRoot()
  }

  /// Draws `count` rows at random and labels them again, with the options that the file names.
  ///
  /// - Parameter target: the files that the labels' target was read from.
  /// - Throws: `LabelError.audit` where the file has no records or its projection depends on all its rows, `LabelError.options`
  ///   where the target, or without `allowsOtherModel` the model, is another one.
  package init(
    _ file: LabelFile, modelPath: String, allowsOtherModel: Bool, target: [String], fields: RecordOptions,
    count: Int, seed: UInt64,
    workers: Int, progress: @escaping @Sendable (LabelProgress) -> Void,
    isCancelled: @escaping @Sendable () -> Bool
  ) throws {
    let configuration = try Self.configuration(of: file)
    guard let precision = Precision(rawValue: file.attributes.precision) else {
      throw LabelError.audit(file.path, "its precision '\(file.attributes.precision)' is not known")
    }
    var generator = SeededGenerator(seed: seed, stream: "audit")
    let chosen = Array(file.labels.indices.shuffled(using: &generator).prefix(count)).sorted()
    guard let records = try file.records(of: chosen) else {
      throw LabelError.audit(
        file.path, "it has no /records, so its rows cannot be read as the model read them")
    }
    let model = try LoadedModel(path: modelPath, precision: precision)
    isSameModel = model.sha256 == file.attributes.modelSHA256
    guard isSameModel || allowsOtherModel else {
      throw LabelError.options(
        "\(modelPath) is not the model of the labels in \(file.path) (SHA-256 \(model.sha256.prefix(12))..., there "
          + "\(file.attributes.modelSHA256.prefix(12))...); --other-model audits with it all the same")
    }
    let encoder = model.sampleEncoder(maximumTokens: configuration.maximumTokens)
    let targets = try PreparedRows(paths: target, options: fields, encoder: encoder)
    guard targets.sha256 == file.attributes.targetSHA256 else {
      throw LabelError.options(
        "\(file.path): its labels are for another target than \(target.joined(separator: ", ")), or the tokenizer is another"
      )
    }
    let run = try LabelRun(
      model: model, targets: targets, samples: try PreparedRows(records, encoder: encoder),
      configuration: configuration)
    self.file = file
    rows = chosen
    self.records = records
    stored = chosen.map { file.labels[$0] }
    measured = try run.labels(workers: workers, progress: progress, isCancelled: isCancelled)
  }

  /// What the labels were made with, as the file says.
  private static func configuration(of file: LabelFile) throws -> LabelConfiguration {
    let attributes = file.attributes
    guard let kind = LabelKind(rawValue: attributes.kind) else {
      throw LabelError.audit(file.path, "labels of kind '\(attributes.kind)' are not known")
    }
    guard CurvatureKind(for: kind) == nil, kind != .tracin else {
      throw LabelError.audit(
        file.path,
        "its '\(kind.rawValue)' labels were made with more than the model and the target (curvature or checkpoints); "
          + "only dot, cosine and layer-cosine can be made again from a few rows")
    }
    if let origin = attributes.extra["relabelled_from"] {
      throw LabelError.audit(file.path, "its labels were made from \(origin), not from gradients as they are")
    }
    var configuration = LabelConfiguration()
    configuration.kind = kind
    configuration.layers = attributes.extra["layers"] ?? "*"
    configuration.seed = attributes.seed
    configuration.maximumTokens = attributes.maxTokens
    switch attributes.projection {
    case "none": configuration.projection = .none
    case "random": configuration.projection = .random(rank: attributes.rank)
    default:
      throw LabelError.audit(
        file.path,
        "its projection (\(attributes.projection)) was made from all its rows; only labels without one, or with "
          + "--projection random, can be made again from a few")
    }
    return configuration
  }
}
