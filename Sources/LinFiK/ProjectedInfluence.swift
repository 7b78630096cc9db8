import LanguageModels
import Records
import TensorKernels

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
  let keepsGradients: Bool
  private let targetSquaredNorms: [[Double]]
  private let meanSquaredNorms: [Double]

  /// One forward and backward pass over the targets.
  package init(
    of targets: [TokenizedSample], model: any CausalLanguageModel, watched: WatchedLayers,
    projection: LoGraProjection, kind: LabelKind, gradientNorm: Bool, perTarget: Bool, keepsGradients: Bool,
    workers: Int, batchTokens: Int, progress: @escaping @Sendable (_ done: Int) throws -> Void = { _ in }
  ) throws {
    self.model = model
    self.watched = watched
    self.projection = projection
    self.kind = kind
    self.perTarget = perTarget
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
    meanSquaredNorms = Self.layerDots(mean.view, mean.view, projection)
    targetSquaredNorms =
      perTarget
      ? (0..<rows.count).map { index in
        let row = gradients.view.rows(index..<index + 1)
        return Self.layerDots(row, row, projection)
      } : []
    guard meanSquaredNorms.allSatisfy(\.isFinite) else { throw LabelError.notFinite("the target's gradient") }
  }

  package func measure(_ batch: TokenBatch, workspace: Workspace) -> [InfluenceRow] {
    let observer = ProjectedGradients(
      projection: projection, watched: watched, samples: batch.count, precision: model.precision)
    let losses = model.losses(of: batch, workspace: workspace, observer: observer)
    return losses.enumerated().map { sample, loss in
      row(gradient: observer.gradients.view.rows(sample..<sample + 1), loss: loss)
    }
  }

  private func row(gradient: MatrixView, loss: Double) -> InfluenceRow {
    let norms = measuresNorm ? Self.layerDots(gradient, gradient, projection) : []
    var row = InfluenceRow(
      label: kind.label(
        dots: Self.layerDots(meanTarget, gradient, projection), squaredNorms: norms,
        targetSquaredNorms: meanSquaredNorms),
      loss: loss, gradientNorm: measuresNorm ? norms.reduce(0, +).squareRoot() : .nan)
    if perTarget {
      row.perTarget = targetSquaredNorms.indices.map { index in
        let dots = Self.layerDots(targets.rows(index..<index + 1), gradient, projection)
        return Float(
          kind.label(dots: dots, squaredNorms: norms, targetSquaredNorms: targetSquaredNorms[index]))
      }
    }
    if keepsGradients { row.projectedGradient = gradient.values }
    return row
  }

  /// The inner product of two projected gradients (1 x width), layer by layer.
  private static func layerDots(_ a: MatrixView, _ b: MatrixView, _ projection: LoGraProjection) -> [Double] {
    projection.layers.map { dot(a.columns($0.range), b.columns($0.range)) }
  }
}
