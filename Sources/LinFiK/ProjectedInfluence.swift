import LanguageModels
import Records
import TensorKernels

/// A projected Fisher and how much it is damped: what `logra` and `relatif` measure by.
package struct DampedFisher: Sendable {
  package let fisher: ProjectedFisher
  package let damping: Double

  /// Throws where it cannot be inverted.
  package init(_ fisher: ProjectedFisher, damping: Double) throws {
    try fisher.check(damping: damping)
    self.fisher = fisher
    self.damping = damping
  }
}

/// Labels from LoGra-projected gradients: estimates of the exact ones that also know each pair of sample and target.
package struct ProjectedInfluence: InfluenceMeasure {
  package let projection: LoGraProjection
  /// Each target's projected gradient, targets x width.
  package let targets: MatrixView
  /// Their mean, 1 x width.
  package let meanTarget: MatrixView
  let model: any CausalLanguageModel
  let watched: WatchedLayers
  let kind: LabelKind
  let measuresNorm: Bool
  let perTarget: Bool
  let perLayer: Bool
  let keepsGradients: Bool
  private let scoring: ProjectedScoring

  /// One forward and backward pass over the targets.
  ///
  /// - Parameter fisher: for `logra` and `relatif`.
  package init(
    of targets: [TokenizedSample], model: any CausalLanguageModel, watched: WatchedLayers,
    projection: LoGraProjection, kind: LabelKind, fisher: DampedFisher? = nil, gradientNorm: Bool,
    perTarget: Bool, perLayer: Bool = false, keepsGradients: Bool,
    workers: Int, batchTokens: Int, progress: @escaping @Sendable (_ done: Int) throws -> Void = { _ in }
  ) throws {
    self.model = model
    self.watched = watched
    self.projection = projection
    self.kind = kind
    self.perTarget = perTarget
    self.perLayer = perLayer
    self.keepsGradients = keepsGradients
    measuresNorm = gradientNorm || kind.needsNorm
    let plan = BatchPlan(targets, batchTokens: batchTokens)
    let rows = try plan.map(workers: workers, progress: progress) { _, batch, workspace in
      let observer = ProjectedGradients(
        projection: projection, watched: watched, samples: batch.count, precision: model.precision)
      let losses = model.losses(of: batch, workspace: workspace, observer: observer)
      return losses.indices.map { observer.gradients.view.rows($0..<$0 + 1) }
    }
    let gradients = Matrix(rows: rows.count, columns: projection.width)
    let mean = Matrix(rows: 1, columns: projection.width)
    for (index, row) in rows.enumerated() {
      gradients.rows(index..<index + 1).copy(row)
      add(row, times: 1 / Float(rows.count), to: mean)
    }
    self.targets = gradients.view
    meanTarget = mean.view
    scoring = try ProjectedScoring(
      kind: kind, projection: projection, meanTarget: mean.view, targets: perTarget ? gradients.view : nil,
      fisher: fisher)
  }

  package func measure(_ batch: TokenBatch, workspace: Workspace) -> [InfluenceRow] {
    let observer = ProjectedGradients(
      projection: projection, watched: watched, samples: batch.count, precision: model.precision)
    let losses = model.losses(of: batch, workspace: workspace, observer: observer)
    let gradients = observer.gradients.view
    return zip(losses, scoring.rows(gradients, measuresNorm: measuresNorm, perLayer: perLayer)).enumerated()
      .map {
        sample, found in
        var row = found.1
        row.loss = found.0
        if keepsGradients { row.projectedGradient = gradients.rows(sample..<sample + 1).values }
        return row
      }
  }
}
