import Foundation
import LanguageModels
import LinFiK
import Records
import Reporting
import TensorKernels

/// The methods that take the model's gradients.
extension ComparisonRun {
  /// The one-step oracle's rows, what it measured, and what measuring LinFiK on those rows took.
  struct OracleResult {
    let measured: Oracle
    let labelSeconds: Double
    let labelPeakBytes: Int?
    let rows: Int
  }

  /// Really steps the model on some rows chosen by the seed, and holds LinFiK's prediction for the same targets
  /// beside what happened. Nil where no oracle is asked for.
  func oracle() throws -> OracleResult? {
    let count = min(configuration.oracleRows, samples.count)
    guard count > 0 else { return nil }
    var generator = SeededGenerator(seed: configuration.seed, stream: "oracle rows")
    let chosen = Array(samples.sequences.indices).shuffled(using: &generator).prefix(count).sorted()
    let rows = chosen.map { samples.sequences[$0] }
    let watching = Array(targets.sequences.prefix(configuration.oracleTargets))
    let target = try meanGradient(watching, model: model.model)
    let labels = try measured { try exactLabels(rows, target, model: model.model) }
    let steps = OneStepOracle(
      model: model.model, watched: watched, learningRate: configuration.oracleStep, difference: .central)
    let changes = try steps.values(
      of: rows, targets: watching, workers: configuration.workers,
      batchTokens: LabelDefaults.batchTokens(for: model.model),
      progress: rowProgress("one-step oracle", of: count))
    return OracleResult(
      measured: Oracle(
        rows: chosen, actual: changes.map { $0 * configuration.oracleStep },
        predicted: labels.value.map { $0 * configuration.oracleStep }, stepSize: configuration.oracleStep),
      labelSeconds: labels.seconds, labelPeakBytes: labels.peakBytes, rows: count)
  }

  func meanGradient(
    _ targets: [TokenizedSample], model: any CausalLanguageModel
  ) throws -> MeanGradient {
    try MeanGradient(
      of: targets, model: model, watched: watched, workers: configuration.workers,
      batchTokens: LabelDefaults.batchTokens(for: model),
      progress: rowProgress("target gradients", of: targets.count))
  }

  private func exactLabels(
    _ rows: [TokenizedSample], _ target: MeanGradient, model: any CausalLanguageModel
  ) throws -> [Double] {
    let measure = ExactInfluence(
      model: model, watched: watched, target: target, kind: .dot, gradientNorm: false)
    return try BatchPlan(rows, batchTokens: LabelDefaults.batchTokens(for: model))
      .map(workers: configuration.workers, progress: rowProgress("exact labels", of: rows.count)) {
        _, batch, workspace in measure.measure(batch, workspace: workspace)
      }
      .map(\.label)
  }

  private static let linfikFormula =
    "⟨mean over q of g(q), g(z)⟩, exact: the first-order change of the target loss"

  /// The reference: from the label file where it has every row, else computed here.
  func linfik(_ oracle: OracleResult?) throws -> ComparedMethod {
    if let values = labelledValues() {
      return ComparedMethod(
        name: "LinFiK", formula: Self.linfikFormula, role: .reference, needs: .gradients, values: values,
        cost: oracle.map {
          Cost(
            seconds: $0.labelSeconds, rows: $0.rows, peakMemoryBytes: $0.labelPeakBytes,
            note: "measured on \($0.rows) rows")
        })
    }
    let target = try measured { try meanGradient(targets.sequences, model: model.model) }
    let labels = try measured { try exactLabels(samples.sequences, target.value, model: model.model) }
    return ComparedMethod(
      name: "LinFiK", formula: Self.linfikFormula, role: .reference, needs: .gradients, values: labels.value,
      cost: Cost(
        seconds: labels.seconds, rows: samples.count,
        peakMemoryBytes: [target.peakBytes, labels.peakBytes].compactMap { $0 }.max(),
        note: self.labels == nil ? nil : "computed here: the label file lacks some of the rows"))
  }

  /// The labels of the compared rows, if the label file has them all.
  private func labelledValues() -> [Double]? {
    guard let labels else { return nil }
    let known = Dictionary(
      zip(labels.ids, zip(labels.labels, labels.texts)), uniquingKeysWith: { first, _ in first })
    let values = samples.records.compactMap { record -> Double? in
      guard let (label, text) = known[record.id], text == record.text else { return nil }
      return Double(label)
    }
    return values.count == samples.count ? values : nil
  }

  private static let tracinFormula = "sum over checkpoints c of η_c ⟨g_c(q), g_c(z)⟩"

  /// TracIn over the given checkpoints; of the model alone it is LinFiK, and not drawn.
  func tracin() throws -> ComparedMethod {
    guard configuration.checkpoints.contains(where: { $0.sha256 != model.sha256 }) else {
      return ComparedMethod(
        name: "TracIn", formula: Self.tracinFormula, role: .influence, needs: .gradients,
        notDrawn: "without a --checkpoint TracIn is LinFiK by definition, up to the learning rate")
    }
    let run = try measured {
      let progress = rowProgress("TracIn, targets", of: targets.count * configuration.checkpoints.count)
      let influence = try CheckpointInfluence(
        configuration.checkpoints, targets: targets.sequences, watched: watched,
        workers: configuration.workers, batchTokens: LabelDefaults.batchTokens(for: model.model),
        progress: progress)
      return try plan.map(
        workers: configuration.workers, progress: rowProgress("TracIn", of: samples.count)
      ) { _, batch, workspace in
        influence.measure(batch, workspace: workspace).map(\.label)
      }
    }
    return ComparedMethod(
      name: "TracIn", formula: Self.tracinFormula, role: .influence, needs: .gradients, values: run.value,
      cost: Cost(seconds: run.seconds, rows: samples.count, peakMemoryBytes: run.peakBytes))
  }

  /// First-order in-run Data Shapley: the rows are learnt once, a few at a time, and each gets what its part of its step did.
  func inRunShapley(learningRate: Double) throws -> ComparedMethod {
    let training = InRunShapley(
      model: model.model, watched: watched, learningRate: learningRate, seed: configuration.seed)
    let run = try measured {
      try training.values(
        of: samples.sequences, targets: targets.sequences, workers: configuration.workers,
        batchTokens: LabelDefaults.batchTokens(for: model.model),
        progress: rowProgress("in-run Shapley", of: samples.count))
    }
    return ComparedMethod(
      name: "In-run Shapley",
      formula:
        "η/\(InRunShapley.batchRows) ⟨G, g(z)⟩ at the weights of z's own step, in one pass of gradient descent over the compared "
        + "rows (η = \(learningRate), at most \(InRunShapley.batchRows) rows a step)",
      role: .influence, needs: .gradients, values: run.value,
      cost: Cost(seconds: run.seconds, rows: samples.count, peakMemoryBytes: run.peakBytes))
  }
}
