import Encoder
import RankStatistics
import TensorKernels

/// Heads of Gaussian units on the frozen features of labelled rows: the one that is kept, and what fewer labels would have
/// given.
struct HeadFitting {
  let reader: LayerFeatures
  /// Of every row.
  let features: MatrixView
  let dataset: DistillationDataset
  let material: TrainingMaterial
  /// What a teacher scored, beside the labels.
  let others: KernelRegression.OtherRows?
  /// Whether the valuator carries texts, and so may carry their features.
  let includesTexts: Bool
  let seed: UInt64
  let isCancelled: @Sendable () -> Bool

  private static let fewestLabels = 64

  struct Fit {
    var head: KernelHead
    var gamma: Float
    var lambda: Double
    /// Each row as predicted by the folds that do not hold it, and how well that ranks them.
    var heldOut: [Double]
    var spearman: Double
  }

  /// The head that some of the learned rows give; gamma and lambda are those whose predictions across folds rank truest,
  /// overall and within sources.
  func fit(_ rows: [Int]) throws -> Fit {
    let labels = rows.map { material.labels[$0] }
    let sources = rows.map { dataset.rows[$0].source }
    guard
      let found = try KernelRegression(
        features: features.selecting(rows), scales: reader.scales, linear: reader.linearCount,
        targets: material.targets(of: rows), others: others,
        texts: rows.map { dataset.rows[$0].sha256 }, centresAreRows: includesTexts, seed: seed,
        quality: { predictions in
          if isCancelled() { throw DistillError.interrupted }
          return (spearman(predictions, labels) ?? -1)
            + (spearmanWithin(predictions, labels, groups: sources).mean ?? 0)
        })
    else { throw DistillError.singular("the head") }
    return Fit(
      head: found.head, gamma: found.gamma, lambda: found.lambda, heldOut: found.heldOut,
      spearman: spearman(found.heldOut, labels) ?? -1)
  }

  /// How true heads are on the test part that 64, 128, ... of the labels give. Nothing is chosen by it.
  /// Empty where a teacher helps, who knows all of them.
  func curve(upTo whole: Fit, _ progress: (TrainingProgress) -> Void) throws -> [TrainingReport.CurvePoint] {
    let test = material.parts.test
    guard others == nil, test.count >= TestEvaluation.fewestRows else { return [] }
    var generator = SeededGenerator(seed: seed, stream: "label-curve")
    let order = material.learned.shuffled(using: &generator)
    let tested = features.selecting(test)
    let truth = test.map { material.labels[$0] }
    let sources = test.map { dataset.rows[$0].source }
    let counts = sequence(first: Self.fewestLabels) { 2 * $0 }.prefix { $0 < order.count }
    return try (counts + [order.count]).map { count in
      let fit = count == order.count ? whole : try fit(order.prefix(count).sorted())
      let outputs = fit.head(tested).map { Double($0) }
      let point = TrainingReport.CurvePoint(
        labels: count, spearman: spearman(outputs, truth),
        withinSource: spearmanWithin(outputs, truth, groups: sources).mean)
      progress(.curve(point))
      return point
    }
  }
}
