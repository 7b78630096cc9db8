import LanguageModels
import Records

/// A model of TracIn's sum, and the learning rate eta_c it was reached with.
package struct Checkpoint: Sendable {
  package let model: any CausalLanguageModel
  /// `ModelLoader.sha256`
  package let sha256: String
  package let learningRate: Double

  /// Throws `LabelError.options` where its layers or vocabulary are not those of `reference`.
  package init(path: String, learningRate: Double, like reference: any CausalLanguageModel) throws {
    guard learningRate > 0, learningRate.isFinite else {
      throw LabelError.options("--checkpoint \(path):\(learningRate): a learning rate above 0 is wanted")
    }
    model = try ModelLoader.load(path: path, precision: reference.precision)
    guard model.linearLayers == reference.linearLayers, model.vocabularySize == reference.vocabularySize
    else { throw LabelError.options("\(path): this checkpoint has other layers or tokens than --model") }
    sha256 = try ModelLoader.sha256(path: path)
    self.learningRate = learningRate
  }
}

/// TracIn (Pruthi et al. 2020, arXiv 2002.08484): `sum_c eta_c <G_c, g_c(z)>` over checkpoints c, each with its own target
/// gradient G_c. A row's loss is the last checkpoint's.
package struct CheckpointInfluence: InfluenceMeasure {
  private let parts: [(learningRate: Double, measure: ExactInfluence)]

  /// One forward and backward pass over the targets for each checkpoint.
  package init(
    _ checkpoints: [Checkpoint], targets: [TokenizedSample], watched: WatchedLayers, perTarget: Bool = false,
    perLayer: Bool = false, workers: Int, batchTokens: Int,
    progress: @escaping @Sendable (_ done: Int) throws -> Void = { _ in }
  ) throws {
    precondition(!checkpoints.isEmpty, "CheckpointInfluence: no checkpoint")
    let passes = perTarget ? 2 : 1
    parts = try checkpoints.enumerated().map { index, checkpoint in
      let first = index * targets.count * passes
      let target = try MeanGradient(
        of: targets, model: checkpoint.model, watched: watched, workers: workers, batchTokens: batchTokens,
        progress: { try progress(first + $0) })
      let others =
        try perTarget
        ? MeanGradient.ofEach(
          targets, model: checkpoint.model, watched: watched, workers: workers, batchTokens: batchTokens,
          progress: { try progress(first + targets.count + $0) })
        : []
      return (
        checkpoint.learningRate,
        ExactInfluence(
          model: checkpoint.model, watched: watched, target: target, others: others, kind: .tracin,
          gradientNorm: false, perLayer: perLayer)
      )
    }
  }

  package func measure(_ batch: TokenBatch, workspace: Workspace) -> [InfluenceRow] {
    let rows = parts.map { $0.measure.measure(batch, workspace: workspace) }
    return (0..<batch.count).map { sample in
      func sum(_ value: (InfluenceRow) -> Double) -> Double {
        zip(parts, rows).reduce(0) { $0 + $1.0.learningRate * value($1.1[sample]) }
      }
      var row = InfluenceRow(
        label: sum(\.label), loss: rows[rows.count - 1][sample].loss, gradientNorm: .nan)
      row.perTarget = rows[0][sample].perTarget.indices.map { place in
        Float(sum { Double($0.perTarget[place]) })
      }
      row.perLayer = rows[0][sample].perLayer.indices.map { place in
        Float(sum { Double($0.perLayer[place]) })
      }
      return row
    }
  }
}
