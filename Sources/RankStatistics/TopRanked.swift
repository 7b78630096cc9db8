import Foundation

/// The rows with the `count` largest values, largest first; equal values in row order.
package func topIndices(_ values: [Double], count: Int) -> [Int] {
  precondition(!values.contains { $0.isNaN }, "topIndices: a NaN has no place in an order")
  let sorted = zip(values, values.indices).sorted { $0.0 != $1.0 ? $0.0 > $1.0 : $0.1 < $1.1 }
  return sorted.prefix(count).map { $0.1 }
}

/// How many rows "the top `fraction`" of `count` rows is: rounded to nearest, at least one.
package func topCount(_ count: Int, fraction: Double) -> Int {
  precondition(fraction > 0 && fraction <= 1, "a fraction of the rows is in (0, 1], not \(fraction)")
  return max(1, Int((fraction * Double(count)).rounded()))
}

/// Normalised discounted cumulative gain of the top `fraction` of rows:
/// `sum_{i=1..k} gain(row at place i) / log2(i + 1)`, over the same sum for the best possible order.
///
/// The gain of a row is the rank percentile of its truth, `rank / n` in (0, 1], so that neither the scale nor
/// the outliers of the truth matter. Equal scores stand in row order. A random order is worth about one half,
/// not zero. Nil where there are no rows or a NaN.
package func ndcg(_ scores: [Double], truth: [Double], fraction: Double) -> Double? {
  precondition(scores.count == truth.count, "ndcg: \(scores.count) scores against \(truth.count) truths")
  guard !scores.isEmpty, !scores.contains(where: \.isNaN), !truth.contains(where: \.isNaN) else { return nil }
  let count = topCount(scores.count, fraction: fraction)
  let gains = ranks(truth).map { $0 / Double(truth.count) }
  func gain(of order: [Int]) -> Double {
    order.enumerated().reduce(0) { $0 + gains[$1.element] / log2(Double($1.offset + 2)) }
  }
  return gain(of: topIndices(scores, count: count)) / gain(of: topIndices(truth, count: count))
}

/// The share of the truth's top `fraction` of rows that is also in the scores' top `fraction`; equal values
/// stand in row order on both sides. A random order is worth `fraction`. Nil where there are no rows or a NaN.
package func recall(_ scores: [Double], truth: [Double], fraction: Double) -> Double? {
  precondition(scores.count == truth.count, "recall: \(scores.count) scores against \(truth.count) truths")
  guard !scores.isEmpty, !scores.contains(where: \.isNaN), !truth.contains(where: \.isNaN) else { return nil }
  let count = topCount(scores.count, fraction: fraction)
  let wanted = Set(topIndices(truth, count: count))
  let found = topIndices(scores, count: count).count { wanted.contains($0) }
  return Double(found) / Double(count)
}
