import Encoder
import Foundation
import RankStatistics

/// The test part, read once: how well some rankings agree with its labels, which are of what is read at once (first windows).
struct TestEvaluation {
  let dataset: DistillationDataset
  let material: TrainingMaterial
  let vocabularySize: Int

  /// The valuator, and beside it what costs less: words alone, a frozen encoder with a ridge head or by its nearest
  /// neighbours, the mean label of the row's source, that and a slope over length (both know the source's name, which
  /// the valuator does not), and length alone with the sign that fits the training rows.
  func methods(valuator: [Double], frozen: FrozenEncoder, seed: UInt64) -> [TrainingReport.Method] {
    [
      ("valuator", valuator), ("TF-IDF + ridge", words), ("frozen encoder + ridge", frozen.ridge),
      ("nearest neighbours", frozen.neighbours), ("source mean", sourceMeans),
      ("source and length", sourcesAndLengths), ("length", lengths),
    ].map { measure($0, $1, seed: seed) }
  }

  /// How the intervals of a coverage held, beside those that the mean label of a row's source would need.
  func intervals(_ outputs: [Double], card: ValuatorCard, words: WordStarts) throws -> TrainingReport
    .Intervals?
  {
    guard let intervals = card.intervals, !material.parts.test.isEmpty else { return nil }
    let coverage = ScoreIntervals.standardCoverage
    guard let multiplier = intervals.residuals.quantile(coverage: coverage) else { return nil }
    let means = sourceMeans
    let errors = material.parts.calibration.map { abs(dataset.rows[$0].label - means[$0]) }
    let sourceHalf = ConformalResiduals(errors)?.quantile(coverage: coverage)
    let test = material.parts.test
    let rows = test.map { row -> (source: String, isHeld: Bool, half: Double) in
      let half = multiplier * intervals.spread(raw: outputs[row], tokens: material.texts[row].ids.count)
      let error = abs(dataset.rows[row].label - card.calibration(outputs[row]))
      return (dataset.rows[row].source, error <= half, half)
    }
    func share(_ rows: [(source: String, isHeld: Bool, half: Double)]) -> Double {
      Double(rows.count { $0.isHeld }) / Double(rows.count)
    }
    let width = 2 * rows.reduce(0) { $0 + $1.half } / Double(rows.count)
    return TrainingReport.Intervals(
      coverage: coverage, held: share(rows),
      bySource: Dictionary(grouping: rows, by: \.source).map { ($0.key, share($0.value)) }
        .sorted { $0.0 < $1.0 },
      meanWidth: width, sourceMeanWidth: sourceHalf.map { 2 * $0 },
      outside: card.domain.map { domain in
        func share(_ rows: [Int]) -> Double {
          Double(rows.count { domain.isOutside(material.texts[$0].ownIDs, words: words) == true })
            / Double(rows.count)
        }
        let bySource = Dictionary(grouping: test, by: { dataset.rows[$0].source })
        return (share(test), bySource.map { ($0.key, share($0.value)) }.sorted { $0.0 < $1.0 })
      })
  }

  /// Fewer test rows say nothing; nor do those of a source, of whether the valuator tells its rows apart.
  static let fewestRows = 20
  private static let fewTrainingRows = 100
  /// Of the deviation over all rows; below it scores of a source are as good as constant.
  private static let leastSpread = 0.05

  /// What a user must know before using the valuator.
  func warnings(_ methods: [TrainingReport.Method], outputs: [Double]) -> [String] {
    var warnings: [String] = []
    let valuator = methods[0]
    if let own = valuator.spearman,
      let best = methods.dropFirst().max(by: { $0.spearman ?? -1 < $1.spearman ?? -1 }),
      let other = best.spearman,
      other > own
    {
      warnings.append(
        "on the test rows '\(best.name)' ranks better"
          + String(format: " (%.3f) than the valuator (%.3f)", other, own))
    }
    if material.parts.training.count < Self.fewTrainingRows {
      warnings.append("\(material.parts.training.count) training rows teach little; label some hundred")
    }
    if material.parts.test.count < Self.fewestRows {
      warnings.append("\(material.parts.test.count) test rows say nothing of how true it is")
    }
    func deviation(_ rows: [Int]) -> Double {
      let mean = rows.reduce(0) { $0 + outputs[$1] } / Double(rows.count)
      return (rows.reduce(0) { $0 + (outputs[$1] - mean) * (outputs[$1] - mean) } / Double(rows.count))
        .squareRoot()
    }
    let test = material.parts.test
    let bySource = Dictionary(grouping: test, by: { dataset.rows[$0].source })
    for (source, rows) in bySource.sorted(by: { $0.key < $1.key }) where rows.count >= Self.fewestRows {
      if bySource.count > 1, deviation(rows) < Self.leastSpread * deviation(test) {
        warnings.append(
          "scores within '\(source)' are near constant: they say what source a text is like, no more")
      }
    }
    return warnings
  }

  private func measure(_ name: String, _ scores: [Double], seed: UInt64) -> TrainingReport.Method {
    let test = material.parts.test
    let chosen = test.map { scores[$0] }
    let truth = test.map { dataset.rows[$0].label }
    return TrainingReport.Method(
      name: name, spearman: spearman(chosen, truth),
      interval: bootstrapInterval(seed: seed, count: test.count) { draw in
        spearman(draw.map { chosen[$0] }, draw.map { truth[$0] })
      },
      withinSource: spearmanWithin(chosen, truth, groups: test.map { dataset.rows[$0].source }),
      ndcg: test.isEmpty ? nil : ndcg(chosen, truth: truth, fraction: 0.1),
      recall: test.isEmpty ? nil : recall(chosen, truth: truth, fraction: 0.1))
  }

  /// The penalty is chosen on the validation rows.
  private var words: [Double] {
    func fit(_ rows: [Int], _ lambda: Double) -> TFIDFRegression {
      TFIDFRegression(
        texts: rows.map { material.texts[$0].ids }, targets: material.targets(of: rows),
        vocabulary: vocabularySize, lambda: lambda)
    }
    let best = material.bestOnValidation([0.1, 0.3, 1, 3]) { lambda in
      let fit = fit(material.parts.training, lambda)
      return material.parts.validation.map { fit(material.texts[$0].ids) }
    }!
    let regression = fit(material.learned, best.candidate)
    return material.texts.map { regression($0.ids) }
  }

  private var sourceMeans: [Double] {
    var sums: [String: (total: Double, count: Double)] = [:]
    var all = (total: 0.0, count: 0.0)
    for row in material.learned.map({ dataset.rows[$0] }) {
      sums[row.source, default: (0, 0)].total += row.label
      sums[row.source, default: (0, 0)].count += 1
      all = (all.total + row.label, all.count + 1)
    }
    return dataset.rows.map { row in
      let sum = sums[row.source] ?? all
      return sum.total / sum.count
    }
  }

  private var sourcesAndLengths: [Double] {
    zip(dataset.rows, material.texts).map { row, text in
      material.targets.expected(source: row.source, rootLength: text.rootLength)
    }
  }

  private var lengths: [Double] {
    let training = material.learned
    let counts = dataset.rows.map { Double($0.record.text.bytes.count) }
    let trend = spearman(training.map { counts[$0] }, training.map { dataset.rows[$0].label }) ?? 1
    return trend < 0 ? counts.map { -$0 } : counts
  }
}
