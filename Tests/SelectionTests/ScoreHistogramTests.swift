import Selection
import Testing

@Suite struct ScoreHistogramTests {
  private func histogram(_ scores: [Double]) -> ScoreHistogram {
    var histogram = ScoreHistogram()
    for score in scores { histogram.add(score) }
    return histogram
  }

  /// Pools that lie within one bin, on both sides of a bin's edge, and around zero.
  @Test(arguments: [(100.0, 0.01), (1.0, 0.001), (0.0, 2.0), (-64.0, 0.1)])
  func momentsAreThoseOfTheScores(_ around: Double, _ width: Double) {
    let scores = (0..<1000).map { around + width * (Double($0 * 7919 % 1000) / 999 - 0.5) }
    let mean = scores.reduce(0, +) / 1000
    let deviation = (scores.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / 1000).squareRoot()
    let found = histogram(scores)
    #expect(abs(found.mean - mean) < 1e-3 * width)
    #expect(abs(found.deviation / deviation - 1) < 1e-3, "\(found.deviation) \(deviation)")
    let reversed = histogram(scores.reversed())
    #expect(reversed.mean == found.mean && reversed.deviation == found.deviation)
  }

  @Test func whatDoesNotVaryHasNoDeviation() {
    #expect(histogram([Double](repeating: -0.7, count: 1001)).deviation == 0)
    #expect(histogram([]).deviation == 0 && histogram([]).mean == 0)
    #expect(histogram([1e300, -1e300]).deviation.isFinite)
  }
}
