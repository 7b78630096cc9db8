import Encoder
import Formats
import Foundation
import LanguageModels
import LinFiK
import Reporting
import TensorKernels

/// The valuator, and what it must beat.
extension ComparisonRun {
  /// The valuator's scores. Its preparation is what its labels and its training took.
  func alinfik(labelSecondsPerRow: Double?) throws -> (method: ComparedMethod, forecast: Forecast?) {
    guard let valuator else { preconditionFailure("no valuator to run") }
    // Of first windows, which is what the labels beside them are of.
    let scores = try measured {
      try valuator.scores(of: samples.records, workers: configuration.workers)
    }
    let rows = valuator.card.rows
    let labelled = rows.training.count + rows.validation.count + rows.calibration.count
    let training = valuator.card.metrics["training_seconds"]?.double
    let method = ComparedMethod(
      name: "ALinFiK", formula: "the trained valuator: an encoder that predicts the label from the text",
      role: .valuator, needs: .text, values: scores.value.map(\.value),
      cost: Cost(
        seconds: scores.seconds, rows: samples.count,
        preparationSeconds: training.flatMap { seconds in
          labelSecondsPerRow.map { seconds + $0 * Double(labelled) }
        },
        peakMemoryBytes: scores.peakBytes, note: "preparation: labelling \(labelled) rows, and training"))
    return (method, forecast(scores.value, valuator.card))
  }

  private func forecast(_ scores: [Valuator.Score], _ card: ValuatorCard) -> Forecast? {
    let coverage = ScoreIntervals.standardCoverage
    guard let multiplier = try? card.intervals?.multiplier(coverage: coverage) else { return nil }
    let halves = scores.map { multiplier * ($0.spread ?? 0) }
    return Forecast(
      coverage: coverage, low: zip(scores, halves).map { $0.value - $1 },
      high: zip(scores, halves).map { $0.value + $1 }, isOutside: scores.map { $0.isOutside == true })
  }

  func bm25() -> ComparedMethod {
    baseline("BM25", "mean over q of BM25(q, z), k1 = 1.2, b = 0.75", .text) {
      BM25().values(rows: samples.records.map(\.text.string), targets: targets.records.map(\.text.string))
    }
  }

  func tfidf() -> ComparedMethod {
    baseline("TF-IDF", "mean over q of the cosine between TF-IDF vectors of z and q", .text) {
      TFIDF.values(rows: samples.records.map(\.text.string), targets: targets.records.map(\.text.string))
    }
  }

  func length() -> ComparedMethod {
    baseline("Length", "bytes of text", .text) { samples.records.map { Double($0.text.count) } }
  }

  /// The model's own loss on the row, forward only.
  func modelLoss() throws -> ComparedMethod {
    let model = model.model
    return try baseline("Model loss", "mean token loss of z", .model) {
      let progress = rowProgress("Model loss", of: samples.count)
      return try plan.map(workers: configuration.workers, progress: progress) { _, batch, workspace in
        model.losses(of: batch, workspace: workspace)
      }
    }
  }

  func random() -> ComparedMethod {
    baseline("Random", "a uniform random number", .nothing) {
      var generator = SeededGenerator(seed: configuration.seed, stream: "random")
      return samples.records.map { _ in generator.uniform() }
    }
  }

  private func baseline(
    _ name: String, _ formula: String, _ needs: ComparedMethod.Need, _ body: () throws -> [Double]
  ) rethrows -> ComparedMethod {
    let run = try measured(body)
    return ComparedMethod(
      name: name, formula: formula, role: .baseline, needs: needs, values: run.value,
      cost: Cost(seconds: run.seconds, rows: samples.count, peakMemoryBytes: run.peakBytes))
  }
}
