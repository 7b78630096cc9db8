import Foundation

/// Quantiles of a stream in bounded memory, each within half a percent of a value of that rank (DDSketch; Masson, Rim & Lee, VLDB 2019).
///
/// Values are counted by the power of γ = (1 + α) / (1 − α) that they lie at, α = 0.005, positive and negative ones apart. Counts do
/// not depend on the order of the stream, and two sketches are added count by count. Magnitudes below 1e-12 count as zero, so at
/// most some tens of thousands of counts exist for whatever doubles hold; for values within six powers of ten 1,400.
package struct QuantileSketch: Sendable, Equatable {
  /// By signed place: 0 is zero, p > 0 the positive magnitude of place p, −p the negative one.
  private var counts: [Int: Int] = [:]
  package private(set) var count = 0
  package private(set) var least = Double.infinity
  package private(set) var greatest = -Double.infinity

  /// The largest relative error of a quantile.
  package static let accuracy = 0.005
  private static let logGamma = log((1 + accuracy) / (1 - accuracy))
  private static let smallest = 1e-12
  private static let firstPower = Int((log(smallest) / logGamma).rounded(.up)) - 1

  package init() {}

  package mutating func add(_ value: Double) {
    precondition(value.isFinite, "QuantileSketch: \(value) is not finite")
    counts[Self.place(value), default: 0] += 1
    count += 1
    least = min(least, value)
    greatest = max(greatest, value)
  }

  package mutating func add(_ other: QuantileSketch) {
    for (place, count) in other.counts { counts[place, default: 0] += count }
    count += other.count
    least = min(least, other.least)
    greatest = max(greatest, other.greatest)
  }

  /// Some quantiles, `probabilities` ascending in 0...1 (the ends are exact); nil without a value.
  package func quantiles(_ probabilities: [Double]) -> [Double]? {
    guard count > 0 else { return nil }
    var result: [Double] = []
    var passed = 0
    for (place, held) in counts.sorted(by: { $0.key < $1.key }) {
      passed += held
      while result.count < probabilities.count,
        Double(passed) > probabilities[result.count] * Double(count - 1)
      {
        result.append(min(greatest, max(least, Self.value(place))))
      }
    }
    if probabilities.first == 0 { result[0] = least }
    if probabilities.last == 1 { result[result.count - 1] = greatest }
    return result
  }

  /// The share of the values in each of `bins` bins of equal width over `range`; what lies outside counts in the first or last.
  package func histogram(over range: ClosedRange<Double>, bins: Int) -> [Double] {
    precondition(
      bins > 0 && range.upperBound > range.lowerBound, "QuantileSketch: \(bins) bins over \(range)")
    var shares = [Double](repeating: 0, count: bins)
    for (place, held) in counts.sorted(by: { $0.key < $1.key }) {
      let share = (Self.value(place) - range.lowerBound) / (range.upperBound - range.lowerBound)
      // Held within the bins as a double: what lies far outside is no Int.
      let bin = min(Double(bins - 1), max(0, (share * Double(bins)).rounded(.down)))
      shares[Int(bin)] += Double(held) / Double(count)
    }
    return shares
  }

  /// γ^(p − 1) < |value| ≤ γ^p is place p, counted from the smallest.
  private static func place(_ value: Double) -> Int {
    let magnitude = abs(value)
    guard magnitude >= smallest else { return 0 }
    let place = max(1, Int((log(magnitude) / logGamma).rounded(.up)) - firstPower)
    return value < 0 ? -place : place
  }

  /// The value whose relative distance to both ends of its place is α.
  private static func value(_ place: Int) -> Double {
    guard place != 0 else { return 0 }
    let power = Double(abs(place) + firstPower)
    let magnitude = exp(power * logGamma) * (1 - accuracy)
    return place < 0 ? -magnitude : magnitude
  }
}
