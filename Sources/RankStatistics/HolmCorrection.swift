/// The probabilities of several tests corrected for their number (Holm 1979): with the ones below `level` called found, a wrong finding among
/// all tests has at most that probability, however the tests depend on each other.
///
/// The k-th smallest of m is multiplied by m - k + 1, and is at least what a smaller one became.
package func holmCorrected(_ probabilities: [Double]) -> [Double] {
  var corrected = probabilities
  var least = 0.0
  let order = probabilities.indices.sorted { (probabilities[$0], $0) < (probabilities[$1], $1) }
  for (place, test) in order.enumerated() {
    least = max(least, min(1, Double(probabilities.count - place) * probabilities[test]))
    corrected[test] = least
  }
  return corrected
}
