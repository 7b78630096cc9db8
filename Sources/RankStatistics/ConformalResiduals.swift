/// The calibration residuals of split-conformal prediction: `|truth - prediction| / spread` of rows that neither the
/// prediction nor the spread was fitted on (Vovk, Gammerman & Shafer 2005; normalised as in Lei et al. 2018).
///
/// For a new row that is exchangeable with them, `prediction +- q spread` holds the truth with probability of at least
/// the coverage, q the quantile below. Nothing is promised for rows of another kind.
package struct ConformalResiduals: Sendable, Equatable {
  /// Ascending, none negative.
  package let sorted: [Double]

  /// Nil where a residual is negative or not finite.
  package init?(_ residuals: [Double]) {
    guard residuals.allSatisfy({ $0.isFinite && $0 >= 0 }) else { return nil }
    sorted = residuals.sorted()
  }

  /// The `ceil((n + 1) coverage)`-th smallest of n residuals; nil where n is too small for this coverage.
  package func quantile(coverage: Double) -> Double? {
    precondition(
      coverage > 0 && coverage < 1, "ConformalResiduals: the coverage is in (0, 1), not \(coverage)")
    let rank = Int((Double(sorted.count + 1) * coverage).rounded(.up))
    return rank <= sorted.count ? sorted[rank - 1] : nil
  }

  /// How many residuals this coverage needs.
  package static func fewest(coverage: Double) -> Int { Int((coverage / (1 - coverage) - 1e-9).rounded(.up)) }
}
