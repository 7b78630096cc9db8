import Foundation

/// The largest share of wrong rows that is compatible with finding `wrong` among `count` drawn at random: the one-sided
/// Clopper-Pearson bound, p with `P(X <= wrong | count, p) = 1 - confidence`.
///
/// - Parameters: `0 <= wrong <= count`, `0 < confidence < 1`. 1 where nothing was drawn or all are wrong.
package func binomialUpperBound(wrong: Int, of count: Int, confidence: Double = 0.95) -> Double {
  precondition(wrong >= 0 && wrong <= count, "\(wrong) of \(count)")
  guard wrong < count else { return 1 }
  var (low, high) = (Double(wrong) / Double(count), 1.0)
  while high - low > 1e-12 {
    let middle = (low + high) / 2
    if atMost(wrong, of: count, p: middle) > 1 - confidence { low = middle } else { high = middle }
  }
  return high
}

/// `P(X <= k)` of a binomial variable.
private func atMost(_ k: Int, of n: Int, p: Double) -> Double {
  var (logWays, sum) = (0.0, 0.0)
  for hits in 0...k {
    if hits > 0 { logWays += log(Double(n - hits + 1) / Double(hits)) }
    sum += exp(logWays + Double(hits) * log(p) + Double(n - hits) * log1p(-p))
  }
  return sum
}

/// How probable it is that at least one of `wrong` rows among `count` is found by drawing `drawn` of all, none twice:
/// `1 - C(count - wrong, drawn) / C(count, drawn)`.
package func findingProbability(wrong: Int, of count: Int, drawn: Int) -> Double {
  precondition(wrong >= 0 && wrong <= count && drawn >= 0 && drawn <= count, "\(wrong), \(drawn) of \(count)")
  guard drawn <= count - wrong else { return 1 }
  let (few, many) = (min(wrong, drawn), max(wrong, drawn))
  let logMissed = (0..<few).reduce(0.0) { $0 + log1p(-Double(many) / Double(count - $1)) }
  return -expm1(logMissed)
}
