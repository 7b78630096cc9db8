import Records
import TensorKernels

/// Why a text has its score, as far as the valuator can tell without the language model: where the score stands among the
/// labels, and the labelled rows that the text is most like.
package struct Explanation: Sendable {
  package var score: Valuator.Score
  /// Where the valuator has intervals.
  package var interval: (low: Double, high: Double)?
  /// The share of the labelled rows whose label is below the score.
  package var shareBelow: Double
  package var neighbours: [LabelledRows.Neighbour]
  /// What the text is worth to each cluster of targets, in their order; empty where there are none.
  package var clusterValues: [Double]
  /// The neighbours' mean label, weighted by likeness: what they alone would have said. Nil where none is alike.
  package var neighboursLabel: Double?
}

extension Valuator {
  /// What texts are likened to; throws `EncoderError.missing` where the valuator carries none.
  package func labelledRows() throws -> LabelledRows {
    guard let rows else {
      throw EncoderError.missing(
        "this valuator", "it carries no labelled rows to liken a text to; train it again with this version")
    }
    return rows
  }

  /// Explains each record's score by its `count` nearest labelled rows.
  ///
  /// - Throws: `EncoderError.missing` where the valuator carries no rows (`labelledRows`); `EncoderError.coverage` where its intervals cannot
  ///   have this coverage.
  package func explanations(
    of records: [Record], count: Int, coverage: Double = ScoreIntervals.standardCoverage, workers: Int
  ) throws -> [Explanation] {
    let rows = try labelledRows()
    let texts = try encoding.encodeAll(records, workers: workers)
    let features = try model.features(texts, workers: workers, workspaces: EncoderWorkspaces(workers))
    let scores = scores(try model.outputs(of: features, workers: workers), of: texts)
    let points = rows.points(of: model.embeddings(of: features))
    let multiplier = try card.intervals?.multiplier(coverage: coverage)
    return zip(scores, rows.nearest(to: points, count: count)).enumerated().map { text, found in
      let (score, neighbours) = found
      let half = multiplier.flatMap { multiplier in score.spread.map { multiplier * $0 } }
      let weights = neighbours.map { max(0, $0.likeness) }
      let total = weights.reduce(0, +)
      return Explanation(
        score: score, interval: half.map { (score.value - $0, score.value + $0) },
        shareBelow: rows.shareBelow(score.value), neighbours: neighbours,
        clusterValues: rows.clusters.map { $0.value(at: points.rows(text..<text + 1).values) },
        neighboursLabel: total > 0
          ? zip(weights, neighbours).reduce(0) { $0 + $1.0 * rows.rows[$1.1.row].label } / total : nil)
    }
  }
}
