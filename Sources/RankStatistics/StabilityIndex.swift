import Foundation

/// The population stability index `sum (q - p) ln(q / p)` over the bins between the reference's deciles: how far a distribution has moved,
/// whatever the number of rows. By convention a shift under 0.1 is small, up to 0.25 moderate and above that large (Lewis 1994, Siddiqi
/// 2006).
///
/// p and q are the shares of both samples in a bin, with half a row added to each bin, so that an empty one is no infinity. Deciles that
/// are equal (of token counts) are one. Of two samples of one distribution it is about `(bins - 1) (1 / n + 1 / m)` (Yurdakul 2018).
///
/// - Parameter reference: ascending, not empty.
package func populationStabilityIndex(reference: [Double], _ values: [Double]) -> Double {
  precondition(!values.isEmpty, "populationStabilityIndex: no values")
  var edges: [Double] = []
  for tenth in 1..<10 {
    let edge = quantile(ofSorted: reference, Double(tenth) / 10)
    if edges.last != edge { edges.append(edge) }
  }
  let (p, q) = (shares(reference, edges), shares(values, edges))
  return zip(p, q).reduce(0) { $0 + ($1.1 - $1.0) * log($1.1 / $1.0) }
}

/// The share of the values in each bin `(edge before, edge]`, half a value added to each.
private func shares(_ values: [Double], _ edges: [Double]) -> [Double] {
  var counts = [Double](repeating: 0.5, count: edges.count + 1)
  for value in values { counts[edges.firstIndex { value <= $0 } ?? edges.count] += 1 }
  let total = counts.reduce(0, +)
  return counts.map { $0 / total }
}
