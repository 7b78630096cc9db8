import Foundation
import RankStatistics
import Testing

@Suite("Quantile sketch")
struct QuantileSketchTests {
  /// Positive, negative, tiny, large and equal values.
  private let values: [Double] =
    (0..<5000).map { place in
      let x = Double((place * 7919) % 5000) / 5000
      return place % 5 == 0 ? 0 : (x - 0.3) * exp(6 * x) * (place % 7 == 0 ? 1e-4 : 1)
    }

  private func sketch(_ values: some Sequence<Double>) -> QuantileSketch {
    var sketch = QuantileSketch()
    for value in values { sketch.add(value) }
    return sketch
  }

  @Test("every quantile is within half a percent of the value of that rank")
  func accuracy() throws {
    let sorted = values.sorted()
    let probabilities = [0, 0.001, 0.05, 0.25, 0.5, 0.75, 0.95, 0.999, 1]
    let found = try #require(sketch(values).quantiles(probabilities))
    for (probability, value) in zip(probabilities, found) {
      let exact = sorted[Int((probability * Double(sorted.count - 1)).rounded(.down))]
      #expect(abs(value - exact) <= 0.005_001 * abs(exact) + 1e-12, "\(probability): \(value) \(exact)")
    }
    #expect(found.first == sorted.first && found.last == sorted.last)
  }

  @Test("neither the order nor the division of a stream matters")
  func order() {
    let whole = sketch(values)
    #expect(sketch(values.reversed()) == whole)
    var parts = sketch(values.prefix(1234))
    parts.add(sketch(values.dropFirst(1234)))
    #expect(parts == whole)
    #expect(QuantileSketch().quantiles([0.5]) == nil)
  }

  @Test("a histogram's shares are those of the values, what lies outside in the outer bins")
  func histogram() {
    let shares = sketch([-50, -1, 0, 0.4, 1.5, 1.6, 99, 2.5]).histogram(over: -1...3, bins: 4)
    #expect(zip(shares, [0.25, 0.25, 0.25, 0.25]).allSatisfy { abs($0 - $1) < 1e-12 }, "\(shares)")
    // What lies so far outside that its bin would be no Int.
    #expect(sketch([-1e30, 0.7, 0.7, 1e30]).histogram(over: 0...1, bins: 2) == [0.25, 0.75])
  }
}
