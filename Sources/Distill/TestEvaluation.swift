import RankStatistics

/// The test part, read once: how well some rankings agree with its labels.
struct TestEvaluation {
  let dataset: DistillationDataset
  let material: TrainingMaterial

  /// The valuator, and beside it what costs less: a frozen encoder with a ridge head, the mean label of the row's
  /// source, that and a slope over length (both know the source's name, which the valuator does not), and length alone
  /// with the sign that fits the training rows.
  func methods(valuator: [Double], frozen: [Double], seed: UInt64) -> [TrainingReport.Method] {
    [
      measure("valuator", valuator, seed: seed), measure("frozen encoder + ridge", frozen, seed: seed),
      measure("source mean", sourceMeans, seed: seed),
      measure("source and length", sourcesAndLengths, seed: seed), measure("length", lengths, seed: seed),
    ]
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

  private var sourceMeans: [Double] {
    var sums: [String: (total: Double, count: Double)] = [:]
    var all = (total: 0.0, count: 0.0)
    for row in material.parts.training.map({ dataset.rows[$0] }) {
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
    zip(dataset.rows, material.ids).map { row, ids in
      material.targets.expected(source: row.source, rootLength: Double(ids.count).squareRoot())
    }
  }

  private var lengths: [Double] {
    let training = material.parts.training
    let counts = dataset.rows.map { Double($0.text.count) }
    let trend = spearman(training.map { counts[$0] }, training.map { dataset.rows[$0].label }) ?? 1
    return trend < 0 ? counts.map { -$0 } : counts
  }
}
