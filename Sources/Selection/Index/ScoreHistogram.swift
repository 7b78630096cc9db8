/// Mean and deviation of scores, each taken as the nearest float (seven significant digits).
///
/// Floats of the same first 16 bits (sign, exponent and 7 bits of the mantissa) are evenly spaced; of each such bin the number of scores
/// is kept, and the sums of their steps within it and of the steps' squares. All are whole numbers, so what is told from them is the same
/// in whatever order the rows come. 1.5 MB; exact sums up to 2^31 rows.
package struct ScoreHistogram: Sendable {
  private struct Bin: Sendable {
    var count = 0
    var steps = 0
    var squaredSteps = 0
  }

  private var bins = [Bin](repeating: Bin(), count: 1 << 16)
  package private(set) var count = 0

  package init() {}

  package mutating func add(_ score: Double) {
    let most = Double(Float.greatestFiniteMagnitude)
    let bits = Float(max(-most, min(most, score))).bitPattern
    let (bin, step) = (Int(bits >> 16), Int(bits & 0xFFFF))
    bins[bin].count += 1
    bins[bin].steps += step
    bins[bin].squaredSteps += step * step
    count += 1
  }

  /// 0 without a score.
  package var mean: Double { moments.mean }

  /// The standard deviation; 0 where all scores are the same float.
  package var deviation: Double { moments.deviation }

  private var moments: (mean: Double, deviation: Double) {
    let used = bins.indices.filter { bins[$0].count > 0 }
    guard let first = used.first else { return (0, 0) }
    // Around one bin's mean, so that scores that lie close together lose no digits.
    let origin = middle(of: first)
    let total = Double(count)
    let shift = used.reduce(0.0) { $0 + Double(bins[$1].count) * (middle(of: $1) - origin) } / total
    let centre = origin + shift
    let squares = used.reduce(0.0) { sum, index in
      let distance = middle(of: index) - centre
      return sum + Double(bins[index].count) * distance * distance + spread(within: index)
    }
    return (centre, (squares / total).squareRoot())
  }

  /// A bin's first float, and the distance of the next; both below zero where the bin's sign is.
  private func grid(of index: Int) -> (start: Double, step: Double) {
    let start = Float(bitPattern: UInt32(index) << 16)
    return (Double(start), Double(start.ulp) * (start.sign == .minus ? -1 : 1))
  }

  private func middle(of index: Int) -> Double {
    let (start, step) = grid(of: index)
    return start + step * (Double(bins[index].steps) / Double(bins[index].count))
  }

  /// The sum of squared distances from the bin's own mean: `step² (n Σ k² - (Σ k)²) / n`, the bracket exactly.
  private func spread(within index: Int) -> Double {
    let bin = bins[index]
    let left = bin.count.multipliedFullWidth(by: bin.squaredSteps)
    let right = bin.steps.multipliedFullWidth(by: bin.steps)
    let (low, borrows) = left.low.subtractingReportingOverflow(right.low)
    let high = left.high - right.high - (borrows ? 1 : 0)
    let step = grid(of: index).step
    return step * step * (Double(high) * 0x1p64 + Double(low)) / Double(bin.count)
  }
}
