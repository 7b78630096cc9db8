import Encoder
import Formats
import Foundation
import RankStatistics
import Records

/// Records without labels that a truer valuator has scored: a smaller one learns from them beside the labelled ones
/// (self-training; Scudder 1965, distillation by a teacher's outputs).
struct TeachersRows {
  private(set) var records: [Record] = []
  /// As the training rows' targets are: on the normal scale that their labels' ranks give.
  private(set) var targets: [Double] = []
  /// SHA-256 of their texts, and of those that the teacher has seen.
  private(set) var hashes: [String] = []

  /// Rows that had no score, of a source that is left out, were out of the teacher's domain, labelled already, or there before.
  private(set) var leftOut = 0

  /// Beside a label's 1. Between 0.3 and 1 it makes no difference (experiments/valuator-features).
  static let weight = 0.5

  /// Reads what `alinfik score TEACHER --pooling first` wrote, without rows that are labelled, stand there twice, have no score, or lie out of
  /// the teacher's domain.
  ///
  /// - Throws: `DistillError.options` where the scores are of another valuator or way of scoring, the teacher is of another label kind,
  ///   model or target, or has learnt from rows that this valuator is to be tested or calibrated on; `badLabels` for a line that is no scored record.
  init(
    teacher directory: String, scored files: [String], dataset: DistillationDataset,
    material: TrainingMaterial, without leftOutSources: Set<String>
  ) throws {
    let teacher = try Valuator.load(directory: directory)
    try Self.check(teacher.card, directory, dataset, material, leftOutSources)
    let learned = material.learned
    let scale = zip(learned.map { material.labels[$0] }, material.targets(of: learned)).sorted { $0.0 < $1.0 }
    let labelled = Set(dataset.rows.map(\.sha256))
    var seen = labelled
    var scores: [Double] = []
    let parser = RecordParser()
    let origin = ScoreOrigin(
      valuator: try FileHash.sha256(path: directory + "/" + ValuatorFiles.cardName), isRaw: false,
      pooling: .first)
    func refuseOther(_ found: ScoreOrigin?, _ place: String) throws {
      guard let found, !found.agrees(with: origin) else { return }
      throw DistillError.options(
        "\(place): these are not the teacher's scores (they are of \(found.key)); `alinfik score \(directory) --pooling first` gives "
          + "those of \(origin.key)")
    }
    for file in files {
      try refuseOther(try ScoreMark.fitting(file)?.origin, file)
      let lines = try LineReader(path: file)
      while let line = try lines.next() {
        let json: JSONValue
        do { json = try JSONValue.parse(line.bytes) } catch {
          throw DistillError.badLabels("\(file):\(line.number)", "\(error)")
        }
        try refuseOther(
          json[ScoreKey.valuator]?.string.flatMap { ScoreOrigin(key: $0) }, "\(file):\(line.number)")
        leftOut += 1
        guard json[ScoreKey.outOfDomain]?.bool != true, let score = json[ScoreKey.score]?.double else {
          continue
        }
        let record = try parser.record(json, file: file, line: line.number)
        guard !leftOutSources.contains(record.source?.string ?? "") else { continue }
        guard seen.insert(FileHash.sha256(record.text.bytes)).inserted else { continue }
        leftOut -= 1
        records.append(record)
        scores.append(score)
      }
    }
    try Self.checkScores(Array(zip(records, scores)), teacher, files)
    targets = scores.map { interpolated($0, scale) }
    hashes = Array(seen.union(teacher.card.rows.seen).subtracting(labelled)).sorted()
    guard !records.isEmpty else {
      throw DistillError.options(
        "\(files.joined(separator: ", ")): no row has an alinfik_score and is not labelled already; give what "
          + "`alinfik score \(directory) --pooling first` wrote for other records")
    }
  }

  private static func check(
    _ card: ValuatorCard, _ directory: String, _ dataset: DistillationDataset, _ material: TrainingMaterial,
    _ leftOutSources: Set<String>
  ) throws {
    let difference = card.difference(
      kind: dataset.kind, projection: dataset.projection, targetSHA256: dataset.targetSHA256)
    if let what = difference ?? (card.modelSHA256 == dataset.modelSHA256 ? nil : "model") {
      throw DistillError.options("--teacher \(directory) was trained for another \(what) than these labels")
    }
    let learnt = Set(card.rows.training + card.rows.taught)
    let chosen = Set(card.rows.validation)
    let leftOut = dataset.rows.filter { leftOutSources.contains($0.source) }.map(\.sha256)
    let count =
      Set(leftOut + material.hashes.test + material.hashes.calibration).intersection(learnt.union(chosen))
      .count
      + Set(material.hashes.validation).intersection(learnt).count
    guard count == 0 else {
      throw DistillError.options(
        "--teacher \(directory) has learnt from \(count) rows that this valuator is to be tested or calibrated on; train "
          + "both on the same label files with the same --test-rows and --leave-out")
    }
  }
}

extension TeachersRows {
  private static let scoredAgain = 8

  /// Throws where these scores are not what the teacher says in label units.
  private static func checkScores(_ scored: [(Record, Double)], _ teacher: Valuator, _ files: [String]) throws
  {
    // A label is of what is read at once, and so is what stands in its place; of the longest texts other poolings make something
    // else.
    let longest = scored.sorted { $0.0.text.count > $1.0.text.count }.prefix(scoredAgain)
    for ((_, score), own) in zip(longest, try teacher.scores(of: longest.map(\.0))) {
      guard abs(score - own.value) <= 1e-3 * (1 + abs(own.value)) else {
        throw DistillError.options(
          "\(files.joined(separator: ", ")): these are not the teacher's scores (\(score) where it says \(own.value)); give "
            + "what `alinfik score --pooling first` wrote with it, without --raw")
      }
    }
  }
}

/// Linear between the points around x, which ascend; the last value outside.
private func interpolated(_ x: Double, _ points: [(Double, Double)]) -> Double {
  guard let upper = points.firstIndex(where: { $0.0 >= x }) else { return points[points.count - 1].1 }
  guard upper > 0 else { return points[0].1 }
  let (a, b) = (points[upper - 1], points[upper])
  return a.1 + (b.1 - a.1) * (x - a.0) / (b.0 - a.0)
}
