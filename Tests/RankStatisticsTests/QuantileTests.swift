import RankStatistics
import Testing

@Suite("Quantiles and intervals")
struct QuantileTests {
  @Test("the normal quantile equals SciPy's from 1e-300 to 1 - 1e-9")
  func normal() throws {
    for point in try SciPyFixture.read().normalQuantile {
      let x = normalQuantile(point.p)
      #expect(abs(x - point.x) <= 1e-9 * max(1, abs(point.x)), "p = \(point.p): \(x) against \(point.x)")
    }
    #expect(normalQuantile(0) == -.infinity)
    #expect(normalQuantile(1) == .infinity)
    #expect(normalQuantile(0.5) == 0)
  }

  @Test("Student's quantile equals SciPy's")
  func student() throws {
    for point in try SciPyFixture.read().studentQuantile {
      let t = studentQuantile(level: point.level, degreesOfFreedom: point.degrees)
      #expect(abs(t - point.t) <= 1e-9 * point.t, "\(point.degrees) degrees: \(t) against \(point.t)")
    }
  }

  @Test("a mean over seeds has Student's interval; one seed has none")
  func seeds() throws {
    let fixture = try SciPyFixture.read().seeds
    let mean = try #require(meanWithInterval(fixture.values))
    let interval = try #require(mean.interval)
    #expect(abs(mean.mean - fixture.mean) < 1e-12)
    #expect(abs(interval.lower - fixture.lower) < 1e-9)
    #expect(abs(interval.upper - fixture.upper) < 1e-9)
    #expect(mean.count == 3)
    #expect(meanWithInterval([0.5]) == MeanWithInterval(mean: 0.5, interval: nil, count: 1))
    #expect(meanWithInterval([]) == nil)
  }

  @Test("the bootstrap interval of a mean has the width theory gives, and follows from the seed")
  func bootstrap() throws {
    let values = (0..<400).map { normalQuantile((Double($0) + 0.5) / 400) }
    func interval(seed: UInt64) -> Interval? {
      bootstrapInterval(seed: seed, count: values.count) { rows in
        rows.reduce(0) { $0 + values[$1] } / Double(rows.count)
      }
    }
    let one = try #require(interval(seed: 1))
    #expect(one == interval(seed: 1))
    #expect(one != interval(seed: 2))
    #expect(one.lower < 0 && one.upper > 0)
    // 2 x 1.96 x 1 / sqrt 400
    #expect(abs((one.upper - one.lower) - 0.196) < 0.02)
  }

  @Test("draws without a value are left out, and no interval is made from few of them")
  func bootstrapDegenerate() throws {
    #expect(bootstrapInterval(seed: 0, count: 0) { _ in 1 } == nil)
    #expect(bootstrapInterval(seed: 0, count: 5) { _ in nil } == nil)
    #expect(bootstrapInterval(seed: 0, count: 5) { _ in .nan } == nil)
    let constant = bootstrapInterval(seed: 0, count: 5) { $0.contains(0) ? 3 : nil }
    #expect(constant == Interval(lower: 3, upper: 3))
  }

  @Test("Gaussianised ranks are symmetric and keep the order")
  func gaussianized() {
    let values = rankGaussianize([10, 1000, -3])
    #expect(values[0] == 0)
    #expect(abs(values[1] + values[2]) < 1e-12)
    #expect(values[1] > 0)
    #expect(rankGaussianize([]) == [])
  }
}
