import Encoder
import RankStatistics
import TensorKernels

extension Trainer {
  /// What `explain` likens texts to: the learned rows, and the groups of targets that they help. Nil where embeddings do not vary.
  func labelledRows(_ trained: TrainedModel) -> LabelledRows? {
    let rows = trained.material.learned.map { dataset.rows[$0] }
    var known = LabelledRows(
      rows: rows.map { row in
        LabelledRows.Row(
          id: row.id, source: row.source, label: row.label,
          text: configuration.includesTexts ? row.record.text.string : nil)
      }, embeddings: trained.embeddings.selecting(trained.material.learned), seed: configuration.seed)
    if let points = known?.points(of: trained.embeddings) {
      known?.clusters = clusters(points, trained.material)
    }
    return known
  }

  /// What incoming texts are held against: rows like those of training that were not learnt from. Nil where they are too few.
  func distributions(_ trained: TrainedModel, _ rows: LabelledRows?) -> TrainingDistributions? {
    let material = trained.material
    let kept = (material.parts.calibration + material.parts.test).sorted().filter {
      !configuration.parts.leftOut.contains(dataset.rows[$0].source)
    }
    return TrainingDistributions(
      outputs: kept.map { trained.outputs[$0] }, tokens: kept.map { material.texts[$0].ids.count },
      points: rows?.points(of: trained.embeddings.selecting(kept)))
  }

  /// Empty where the labels were not kept target by target. How true they are is measured on the test part.
  private func clusters(_ points: MatrixView, _ material: TrainingMaterial) -> [TargetCluster] {
    let (learned, test) = (material.learned, material.parts.test)
    guard !dataset.targetIDs.isEmpty,
      let clustering = TargetClustering(labels: learned.map { dataset.rows[$0].labelsPerTarget })
    else { return [] }
    return clustering.groups.compactMap { group in
      func values(_ rows: [Int]) -> [Double] {
        rows.map { row in
          group.reduce(0) { $0 + Double(dataset.rows[row].labelsPerTarget[$1]) } / Double(group.count)
        }
      }
      guard
        let weights = TargetCluster.weights(points: points.selecting(learned), values: values(learned))
      else { return nil }
      var cluster = TargetCluster(
        targets: group.map { dataset.targetIDs[$0] }, weights: weights, testSpearman: nil)
      let found = test.map { cluster.value(at: points.rows($0..<$0 + 1).values) }
      if test.count >= TestEvaluation.fewestRows { cluster.testSpearman = spearman(found, values(test)) }
      return cluster
    }
  }
}
