/// Bootstrap of a stream's ratios in one pass: each row counts w times in each replicate, w drawn from a Poisson distribution with
/// mean one, which is what drawing n of n rows with replacement tends to (Chamandy et al., "Estimating uncertainty for massive
/// data streams", 2012). Rows are not kept: memory is three numbers a replicate, whatever the number of rows.
///
/// A replicate's number of rows varies, where drawing n rows keeps it at n. So nothing is read from sums alone: `means` divides by
/// the replicate's own rows, `ratios` by its own size, and there the two ways agree to the order of 1/n (held against
/// `bootstrapInterval` in the tests).
package struct PoissonBootstrap: Sendable {
  /// How many replicates there are; a multiple of four.
  package let replicates: Int
  /// Four replicates at a time: sums of w, w · value and w · size.
  private var rows: [SIMD4<Double>]
  private var values: [SIMD4<Double>]
  private var sizes: [SIMD4<Double>]
  private var generator: SplitMix64

  /// - Parameter seed: of the draws; every stream wants its own.
  package init(seed: UInt64, replicates: Int = 1000) {
    precondition(replicates > 0 && replicates % 4 == 0, "PoissonBootstrap: \(replicates) replicates")
    self.replicates = replicates
    let zeros = [SIMD4<Double>](repeating: .zero, count: replicates / 4)
    (rows, values, sizes) = (zeros, zeros, zeros)
    generator = SplitMix64(state: seed)
  }

  /// A row with its value and its size (both finite), in the order of the stream.
  package mutating func add(value: Double, size: Double) {
    for place in rows.indices {
      let draw = generator.next()
      let weights = SIMD4<Double>(
        Self.weights[Int(draw & 0xFFFF)], Self.weights[Int(draw >> 16 & 0xFFFF)],
        Self.weights[Int(draw >> 32 & 0xFFFF)], Self.weights[Int(draw >> 48)])
      rows[place] += weights
      values[place] += weights * value
      sizes[place] += weights * size
    }
  }

  /// Each replicate's Σ w value / Σ w; nil where it drew no row.
  package var means: [Double?] { Self.quotients(values, rows) }

  /// Each replicate's Σ w value / Σ w size; nil where it drew no size.
  package var ratios: [Double?] { Self.quotients(values, sizes) }

  private static func quotients(_ above: [SIMD4<Double>], _ below: [SIMD4<Double>]) -> [Double?] {
    zip(above, below).flatMap { above, below in
      (0..<4).map { below[$0] > 0 ? above[$0] / below[$0] : nil }
    }
  }

  /// Poisson weights by a uniform number of 16 bits. Rounded to 65,536ths the probabilities sum to one; mean 1.00005, variance
  /// 1.0002.
  private static let weights: [Double] = {
    let counts = [24109, 24109, 12055, 4018, 1005, 201, 33, 5, 1]
    return counts.enumerated().flatMap { weight, count in [Double](repeating: Double(weight), count: count) }
  }()
}

/// The percentile interval of replicates, as `bootstrapInterval` takes it; nil where fewer than half of them have a value.
package func percentileInterval(_ replicates: [Double?], level: Double = 0.95) -> Interval? {
  precondition(level > 0 && level < 1, "percentileInterval: the level is in (0, 1), not \(level)")
  let values = replicates.compactMap { $0 }.filter(\.isFinite).sorted()
  guard !values.isEmpty, values.count * 2 >= replicates.count else { return nil }
  let tail = (1 - level) / 2
  return Interval(lower: quantile(ofSorted: values, tail), upper: quantile(ofSorted: values, 1 - tail))
}

extension PoissonBootstrap {
  /// A seed of its own for each stream, by its name (FNV-1a).
  package static func seed(_ seed: UInt64, stream: [UInt8]) -> UInt64 {
    var hash: UInt64 = 0xCBF2_9CE4_8422_2325
    for byte in stream { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
    var mixer = SplitMix64(state: seed ^ hash)
    return mixer.next()
  }
}
