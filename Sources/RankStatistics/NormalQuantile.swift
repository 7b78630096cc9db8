import Foundation

/// The inverse of the standard normal distribution function, to about 1e-15 relative.
///
/// A rational first guess (Abramowitz and Stegun, formula 26.2.23, off by at most 4.5e-4), then two Halley
/// steps on `erfc(-x / sqrt 2) / 2 - p`, which triple the digits each. Computed in the lower tail, where `erfc`
/// keeps its relative precision, and mirrored. 0 and 1 give the infinities.
package func normalQuantile(_ probability: Double) -> Double {
  precondition(probability >= 0 && probability <= 1, "normalQuantile: \(probability) is no probability")
  if probability > 0.5 { return -normalQuantile(1 - probability) }
  if probability == 0.5 { return 0 }
  if probability == 0 { return -.infinity }
  let t = (-2 * log(probability)).squareRoot()
  let numerator = 2.515517 + t * (0.802853 + t * 0.010328)
  let denominator = 1 + t * (1.432788 + t * (0.189269 + t * 0.001308))
  var x = numerator / denominator - t
  for _ in 0..<2 {
    let excess = erfc(-x / 2.0.squareRoot()) / 2 - probability
    let step = excess * (2 * Double.pi).squareRoot() * exp(x * x / 2)
    x -= step / (1 + x * step / 2)
  }
  return x
}

/// Each value replaced by the normal quantile of `(rank - 1/2) / n`: the same order, a normal shape, no
/// outliers. Equal values share their average rank.
package func rankGaussianize(_ values: [Double]) -> [Double] {
  ranks(values).map { normalQuantile(($0 - 0.5) / Double(values.count)) }
}
