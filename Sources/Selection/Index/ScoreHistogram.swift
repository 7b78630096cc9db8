/// How many scores there are of each size, to the first 16 bits of a float: three significant digits or so. Counts are whole numbers, so
/// what is told from them is the same in whatever order the rows come.
package struct ScoreHistogram: Sendable {
  private var counts = [Int](repeating: 0, count: 1 << 16)
  package private(set) var count = 0

  package init() {}

  package mutating func add(_ score: Double) {
    let bits = Float(score).bitPattern
    counts[Int((bits >> 31 == 1 ? ~bits : bits | 1 << 31) >> 16)] += 1
    count += 1
  }

  /// The middle of a bin.
  private static func value(_ bin: Int) -> Double {
    let ordered = UInt32(bin) << 16 | 0x8000
    let value = Double(Float(bitPattern: ordered >> 31 == 1 ? ordered & 0x7FFF_FFFF : ~ordered))
    return value.isFinite ? value : (value < 0 ? -1 : 1) * Double(Float.greatestFiniteMagnitude)
  }

  package var mean: Double { sum { $0 } / Double(max(1, count)) }

  /// The standard deviation, within half a per cent.
  package var deviation: Double {
    let mean = mean
    return (sum { ($0 - mean) * ($0 - mean) } / Double(max(1, count))).squareRoot()
  }

  private func sum(_ body: (Double) -> Double) -> Double {
    counts.indices.reduce(0) { counts[$1] == 0 ? $0 : $0 + Double(counts[$1]) * body(Self.value($1)) }
  }
}
