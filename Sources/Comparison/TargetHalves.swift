import LinFiK
import Reporting
import TensorKernels

/// How well the reference agrees with itself.
extension ComparisonRun {
  /// Labels of some rows, chosen by the seed, from two disjoint halves of the targets. Nil where none are asked for or a half
  /// would be empty.
  func targetHalves() throws -> TargetHalves? {
    let count = min(configuration.ceilingRows, samples.count)
    guard count > 0, targets.count > 1 else { return nil }
    var generator = SeededGenerator(seed: configuration.seed, stream: "ceiling")
    let rows = Array(samples.sequences.indices).shuffled(using: &generator).prefix(count).sorted()
    let dealt = targets.sequences.shuffled(using: &generator)
    let middle = dealt.count / 2
    let measure = ExactInfluence(
      model: model.model, watched: watched,
      target: try meanGradient(Array(dealt[..<middle]), model: model.model),
      others: [try meanGradient(Array(dealt[middle...]), model: model.model)], kind: .dot, gradientNorm: false
    )
    let labels = try BatchPlan(
      rows.map { samples.sequences[$0] }, batchTokens: LabelDefaults.batchTokens(for: model.model)
    ).map(workers: configuration.workers, progress: rowProgress("halves of the target", of: count)) {
      _, batch, workspace in measure.measure(batch, workspace: workspace)
    }
    return TargetHalves(
      rows: rows, first: labels.map(\.label), second: labels.map { Double($0.perTarget[0]) })
  }
}
