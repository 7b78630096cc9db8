import Foundation

/// A confidence interval.
package struct Interval: Codable, Sendable, Equatable {
  package var lower: Double
  package var upper: Double

  package init(lower: Double, upper: Double) {
    self.lower = lower
    self.upper = upper
  }
}

/// The percentile bootstrap interval (Efron 1979) of a statistic of `count` rows.
///
/// Rows are drawn with replacement `resamples` times; `statistic` gets the drawn row numbers and may answer
/// nil (a draw where it is not defined), and such draws are left out. Quantiles are interpolated linearly.
/// The same seed gives the same interval everywhere. Nil where fewer than half of the draws had a value.
package func bootstrapInterval(
  seed: UInt64, count: Int, resamples: Int = 1000, level: Double = 0.95, statistic: ([Int]) -> Double?
) -> Interval? {
  precondition(level > 0 && level < 1, "bootstrapInterval: the level is in (0, 1), not \(level)")
  guard count > 0, resamples > 0 else { return nil }
  var generator = SplitMix64(state: seed)
  var values: [Double] = []
  var rows = [Int](repeating: 0, count: count)
  for _ in 0..<resamples {
    for place in rows.indices { rows[place] = generator.next(below: count) }
    if let value = statistic(rows), value.isFinite { values.append(value) }
  }
  guard values.count * 2 >= resamples else { return nil }
  values.sort()
  let tail = (1 - level) / 2
  return Interval(lower: quantile(ofSorted: values, tail), upper: quantile(ofSorted: values, 1 - tail))
}

/// A mean over repeated measurements (seeds) with its confidence interval.
package struct MeanWithInterval: Codable, Sendable, Equatable {
  package var mean: Double
  /// Nil for a single measurement.
  package var interval: Interval?
  package var count: Int

  package init(mean: Double, interval: Interval?, count: Int) {
    self.mean = mean
    self.interval = interval
    self.count = count
  }
}

/// The mean of a few measurements and Student's interval, `mean +- t_{n-1} s / sqrt n`. Nil without values.
package func meanWithInterval(_ values: [Double], level: Double = 0.95) -> MeanWithInterval? {
  guard !values.isEmpty else { return nil }
  let count = Double(values.count)
  let mean = values.reduce(0, +) / count
  guard values.count > 1 else { return MeanWithInterval(mean: mean, interval: nil, count: 1) }
  let variance = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / (count - 1)
  let quantile = studentQuantile(level: level, degreesOfFreedom: values.count - 1)
  let halfWidth = quantile * (variance / count).squareRoot()
  let interval = Interval(lower: mean - halfWidth, upper: mean + halfWidth)
  return MeanWithInterval(mean: mean, interval: interval, count: values.count)
}

/// The `t` for which Student's distribution with a whole number of degrees of freedom has the probability
/// `level` between `-t` and `t`, by bisection on the angle `atan(t / sqrt(degrees))`.
package func studentQuantile(level: Double, degreesOfFreedom: Int) -> Double {
  precondition(degreesOfFreedom > 0, "studentQuantile: \(degreesOfFreedom) degrees of freedom")
  precondition(level >= 0 && level < 1, "studentQuantile: the level is in [0, 1), not \(level)")
  var low = 0.0
  var high = Double.pi / 2
  while true {
    let angle = (low + high) / 2
    guard angle > low, angle < high else { break }
    if studentCentralProbability(angle: angle, degreesOfFreedom: degreesOfFreedom) < level {
      low = angle
    } else {
      high = angle
    }
  }
  return tan(low) * Double(degreesOfFreedom).squareRoot()
}

/// The probability between `-t` and `t` for `angle = atan(t / sqrt(degrees))`: the finite series of
/// Abramowitz and Stegun, formulas 26.7.3 (odd degrees) and 26.7.4 (even).
private func studentCentralProbability(angle: Double, degreesOfFreedom: Int) -> Double {
  let isOdd = degreesOfFreedom % 2 == 1
  if degreesOfFreedom == 1 { return 2 * angle / .pi }
  let cosine = cos(angle)
  var term = isOdd ? cosine : 1
  var sum = term
  var power = isOdd ? 1 : 0
  while power + 2 <= degreesOfFreedom - 2 {
    power += 2
    term *= cosine * cosine * Double(power - 1) / Double(power)
    sum += term
  }
  return isOdd ? 2 / .pi * (angle + sin(angle) * sum) : sin(angle) * sum
}

/// The quantile of sorted values, linear between the two neighbours (NumPy's default); there is at least one.
package func quantile(ofSorted values: [Double], _ probability: Double) -> Double {
  precondition(!values.isEmpty && (0...1).contains(probability), "quantile \(probability) of \(values.count)")
  let position = probability * Double(values.count - 1)
  let lower = Int(position)
  let upper = min(lower + 1, values.count - 1)
  return values[lower] + (position - Double(lower)) * (values[upper] - values[lower])
}
