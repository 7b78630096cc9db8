import RankStatistics
import Testing

@Suite("Two samples, many tests, and rows that are drawn")
struct DriftStatisticsTests {
  @Test("Kolmogorov-Smirnov's distance and exact probability equal SciPy's")
  func kolmogorovSmirnov() throws {
    for samples in try SciPyFixture.read().samples {
      let test = KolmogorovSmirnov(sorted: samples.a, samples.b)
      #expect(abs(test.distance - samples.distance) < 1e-12, "\(samples.name)")
      #expect(abs(test.probability - samples.exact) <= 1e-9 * samples.exact + 1e-14, "\(samples.name)")
      let turned = KolmogorovSmirnov(sorted: samples.b, samples.a)
      #expect(abs(turned.probability - test.probability) < 1e-12, "\(samples.name)")
    }
    #expect(KolmogorovSmirnov(sorted: [1, 2, 2], [1, 2, 2]) == KolmogorovSmirnov(sorted: [1], [1]))
  }

  @Test("the limit for many rows equals SciPy's, and follows on what is exact")
  func limit() throws {
    for point in try SciPyFixture.read().kolmogorov {
      #expect(abs(kolmogorovTail(point.z) - point.tail) < 1e-10, "\(point.z)")
    }
    // 3162 x 3162 pairs are counted, 3163 x 3163 are not.
    func probability(_ count: Int) -> Double {
      let values = (0..<count).map { Double($0) / Double(count) }
      return KolmogorovSmirnov(sorted: values, values.map { $0 + 0.03 }).probability
    }
    #expect(abs(probability(3162) - probability(3163)) < 0.01)
    #expect(probability(3163) > 0.05 && probability(3163) < 0.2)
  }

  @Test("the stability index equals its definition in NumPy")
  func stabilityIndex() throws {
    for samples in try SciPyFixture.read().samples {
      let index = populationStabilityIndex(reference: samples.a, samples.b)
      #expect(abs(index - samples.stabilityIndex) < 1e-10, "\(samples.name)")
    }
    let same = (0..<100).map(Double.init)
    #expect(populationStabilityIndex(reference: same, same) == 0)
    #expect(populationStabilityIndex(reference: [7, 7], [7, 7]) == 0)
  }

  /// R: p.adjust(c(0.01, 0.02, 0.03, 0.04, 0.05), "holm"), and in another order.
  @Test("Holm's correction is R's")
  func holm() {
    func isNear(_ x: [Double], _ y: [Double]) -> Bool { worstDifference(x, y) < 1e-12 }
    #expect(isNear(holmCorrected([0.01, 0.02, 0.03, 0.04, 0.05]), [0.05, 0.08, 0.09, 0.09, 0.09]))
    #expect(isNear(holmCorrected([0.04, 0.01, 0.03, 0.005]), [0.06, 0.03, 0.06, 0.02]))
    #expect(holmCorrected([0.9, 0.8]) == [1, 1])
    #expect(holmCorrected([]).isEmpty)
  }

  @Test("the probability of drawing a wrong row is the hypergeometric one")
  func finding() throws {
    for point in try SciPyFixture.read().finding {
      let found = findingProbability(wrong: point.wrong, of: point.count, drawn: point.drawn)
      #expect(abs(found - point.probability) < 1e-9, "\(point)")
    }
    #expect(findingProbability(wrong: 2, of: 10, drawn: 9) == 1)
  }
}
