import Foundation

/// The two-sample Kolmogorov-Smirnov test: the largest distance D between two samples' distribution functions, and the probability of one
/// as large or larger where both samples come of one distribution.
///
/// With ties (token counts) chance gives large distances less often than the probability says: it errs to the safe side.
package struct KolmogorovSmirnov: Sendable, Equatable {
  package let distance: Double
  package let probability: Double

  /// Up to this many pairs of values the probability is exact.
  private static let mostPairs = 10_000_000

  /// - Parameters: both samples ascending, neither empty, without NaN.
  package init(sorted x: [Double], _ y: [Double]) {
    precondition(!x.isEmpty && !y.isEmpty, "KolmogorovSmirnov: \(x.count) values against \(y.count)")
    let gap = Self.gap(x, y)
    distance = Double(gap) / (Double(x.count) * Double(y.count))
    probability =
      gap == 0
      ? 1
      : x.count * y.count <= Self.mostPairs
        ? Self.exact(gap, x.count, y.count) : Self.asymptotic(distance, x.count, y.count)
  }

  /// `n m D`, a whole number: the largest `|i m - j n|` with i values of x and j of y at most some value.
  private static func gap(_ x: [Double], _ y: [Double]) -> Int {
    var (i, j, largest) = (0, 0, 0)
    while i < x.count && j < y.count {
      let value = min(x[i], y[j])
      while i < x.count, x[i] == value { i += 1 }
      while j < y.count, y[j] == value { j += 1 }
      largest = max(largest, abs(i * y.count - j * x.count))
    }
    return largest
  }

  /// Every order of n and m values is as probable. `p(i, j)`, that the first i and j have been at least so far apart somewhere, is 1
  /// where they are, else `i / (i + j) p(i - 1, j) + j / (i + j) p(i, j - 1)` (after Hodges 1958).
  private static func exact(_ gap: Int, _ n: Int, _ m: Int) -> Double {
    var row = [Double](repeating: 0, count: m + 1)
    for i in 0...n {
      for j in 0...m where i + j > 0 {
        if abs(i * m - j * n) >= gap {
          row[j] = 1
        } else {
          let share = Double(i) / Double(i + j)
          row[j] = share * row[j] + (j > 0 ? (1 - share) * row[j - 1] : 0)
        }
      }
    }
    return row[m]
  }

  /// Kolmogorov's limit: `2 sum_k (-1)^(k - 1) exp(-2 k^2 z^2)`, `z = D sqrt(n m / (n + m))`.
  private static func asymptotic(_ distance: Double, _ n: Int, _ m: Int) -> Double {
    let z = distance * (Double(n) * Double(m) / Double(n + m)).squareRoot()
    return kolmogorovTail(z)
  }
}

/// How often Kolmogorov's limit distribution exceeds z.
package func kolmogorovTail(_ z: Double) -> Double {
  // Below, the alternating series converges slowly and the result is 1 to eleven digits.
  guard z > 0.2 else { return 1 }
  var (sum, sign) = (0.0, 1.0)
  for k in 1...100 {
    let term = exp(-2 * Double(k * k) * z * z)
    sum += sign * term
    if term < 1e-17 { break }
    sign = -sign
  }
  return min(1, max(0, 2 * sum))
}
