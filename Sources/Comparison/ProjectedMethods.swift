import Foundation
import LanguageModels
import LinFiK
import Reporting
import TensorKernels

/// The methods that take projected gradients; the compared rows' are made once.
extension ComparisonRun {
  /// LoGra-projected gradients under one model, and what they took.
  struct ProjectedRows {
    let projection: LoGraProjection
    /// Rows x width.
    let samples: Matrix
    /// 1 x width.
    let meanTarget: MatrixView
    let seconds: Double
    let peakBytes: Int?
  }

  func projectedRows(_ model: any CausalLanguageModel) throws -> ProjectedRows {
    let projection = LoGraProjection(watched: watched, rank: configuration.rank, seed: configuration.seed)
    let prepared = try measured {
      try ProjectedInfluence(
        of: targets.sequences, model: model, watched: watched, projection: projection, kind: .dot,
        gradientNorm: false, perTarget: false, keepsGradients: true, workers: configuration.workers,
        batchTokens: LabelDefaults.batchTokens(for: model),
        progress: rowProgress("projected targets", of: targets.count))
    }
    let samples = try measured {
      let gradients = Matrix(rows: self.samples.count, columns: projection.width)
      let progress = rowProgress("projected gradients", of: self.samples.count)
      let rows = try plan.map(workers: configuration.workers, progress: progress) { _, batch, workspace in
        prepared.value.measure(batch, workspace: workspace)
      }
      for (index, row) in rows.enumerated() {
        gradients.rows(index..<index + 1).copy(
          Matrix(rows: 1, columns: projection.width, values: row.projectedGradient).view)
      }
      return gradients
    }
    return ProjectedRows(
      projection: projection, samples: samples.value, meanTarget: prepared.value.meanTarget,
      seconds: samples.seconds,
      peakBytes: [prepared.peakBytes, samples.peakBytes].compactMap { $0 }.max())
  }

  /// LoGra influence with curvature from the compared rows.
  func logra(_ rows: ProjectedRows) throws -> ComparedMethod {
    let projection = rows.projection
    let influence = try measured {
      let fisher = try ProjectedFisher(
        gradients: rows.samples.view, projection: projection, watched: watched, workers: configuration.workers
      )
      let solved = fisher.preconditioned(rows.meanTarget, projection, damping: configuration.dampingFactor)
      return (0..<rows.samples.rows).map { row in
        projection.layers.reduce(0) {
          $0 + dot(solved.columns($1.range), rows.samples.view.rows(row..<row + 1).columns($1.range))
        }
      }
    }
    return ComparedMethod(
      name: "LoGra influence",
      formula:
        "projected gradients (rank \(configuration.rank) a side), inverse of the compared rows' Fisher matrix, "
        + "damping \(configuration.dampingFactor) × mean eigenvalue a layer",
      role: .influence, needs: .gradients, values: influence.value, cost: cost([rows], influence))
  }

  /// TRAK's estimator (Park et al. 2023, arXiv 2303.14186) on gradients of the loss: one kernel over all layers together, its
  /// mean over the checkpoints where some are given.
  func trak(_ rows: ProjectedRows) throws -> ComparedMethod {
    let ensemble =
      configuration.checkpoints.isEmpty
      ? [rows] : try configuration.checkpoints.map { try projectedRows($0.model) }
    let values = try measured {
      try ensemble.map {
        try ProjectedKernel(samples: $0.samples.view, damping: configuration.dampingFactor)
          .values(target: $0.meanTarget)
      }.reduce([Double](repeating: 0, count: samples.count)) {
        zip($0, $1).map { $0 + $1 / Double(ensemble.count) }
      }
    }
    return ComparedMethod(
      name: "TRAK",
      formula:
        "φ(q)ᵀ (ΦᵀΦ + λI)⁻¹ φ(z), φ the projected gradient of all layers (rank \(configuration.rank) a side), "
        + "λ = \(configuration.dampingFactor) × mean squared length, "
        + (configuration.checkpoints.isEmpty
          ? "the model" : "mean over \(ensemble.count) --checkpoint\(ensemble.count > 1 ? "s" : "")"),
      role: .influence, needs: .gradients, values: values.value, cost: cost(ensemble, values))
  }

  private func cost(
    _ rows: [ProjectedRows], _ last: (value: [Double], seconds: Double, peakBytes: Int?)
  ) -> Cost {
    Cost(
      seconds: rows.reduce(last.seconds) { $0 + $1.seconds }, rows: samples.count,
      peakMemoryBytes: (rows.map(\.peakBytes) + [last.peakBytes]).compactMap { $0 }.max(),
      diskBytes: rows.reduce(0) { $0 + 4 * $1.projection.width * samples.count },
      note: "disk: the projected gradients, if kept")
  }
}

/// TRAK's kernel of projected gradients Phi (n x p), in the rows' n x n dual.
package struct ProjectedKernel {
  private let samples: MatrixView
  /// `Phi Phi^T + lambda I`, row-major.
  private let damped: [Double]

  /// - Parameter damping: lambda as a share of the rows' mean squared length.
  package init(samples: MatrixView, damping: Double) {
    self.samples = samples
    let count = samples.rows
    let products = Matrix(rows: count, columns: count)
    gemm(samples, .no, samples, .yes, into: products)
    var kernel = products.view.values.map(Double.init)
    let lambda = damping * (0..<count).reduce(0) { $0 + kernel[$1 * count + $1] } / Double(count)
    for row in 0..<count { kernel[row * count + row] += lambda }
    damped = kernel
  }

  /// `Phi (Phi^T Phi + lambda I)^-1 phi(q) = (Phi Phi^T + lambda I)^-1 Phi phi(q)`, one value a row.
  package func values(target: MatrixView) throws -> [Double] {
    var (kernel, values) = (damped, (0..<samples.rows).map { dot(samples.rows($0..<$0 + 1), target) })
    guard solvePositiveDefinite(&kernel, &values, rightHandSides: 1) else {
      throw LabelError.notFinite("TRAK's kernel")
    }
    return values
  }
}
