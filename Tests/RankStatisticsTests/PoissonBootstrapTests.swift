import Foundation
import RankStatistics
import Testing

@Suite("Poisson bootstrap")
struct PoissonBootstrapTests {
  /// Skewed values with sizes that they depend on, from a small generator of our own.
  private func rows(_ count: Int, seed: UInt64) -> [(value: Double, size: Double)] {
    var state = seed
    func uniform() -> Double {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return Double(state >> 11) * 0x1p-53
    }
    return (0..<count).map { _ in
      let size = 0.1 + uniform()
      return (-log(1 - uniform()) * 3 - 1 + size, size)
    }
  }

  private func poisson(_ rows: [(value: Double, size: Double)], seed: UInt64 = 7) -> PoissonBootstrap {
    var bootstrap = PoissonBootstrap(seed: seed, replicates: 4000)
    for row in rows { bootstrap.add(value: row.value, size: row.size) }
    return bootstrap
  }

  @Test("its intervals are those of drawing rows with replacement", arguments: [60, 1500])
  func agreesWithTheExactOne(count: Int) throws {
    let rows = rows(count, seed: 11)
    let bootstrap = poisson(rows)
    let mean = try #require(percentileInterval(bootstrap.means))
    let ratio = try #require(percentileInterval(bootstrap.ratios))
    let exactMean = try #require(
      bootstrapInterval(seed: 3, count: count, resamples: 4000) { drawn in
        drawn.reduce(0) { $0 + rows[$1].value } / Double(count)
      })
    let exactRatio = try #require(
      bootstrapInterval(seed: 5, count: count, resamples: 4000) { drawn in
        drawn.reduce(0) { $0 + rows[$1].value } / drawn.reduce(0) { $0 + rows[$1].size }
      })
    for (own, exact) in [(mean, exactMean), (ratio, exactRatio)] {
      let width = exact.upper - exact.lower
      // Two sets of 4,000 replicates differ by chance by some 3 % of the width at each end.
      #expect(abs(own.lower - exact.lower) < 0.1 * width, "\(own) \(exact)")
      #expect(abs(own.upper - exact.upper) < 0.1 * width, "\(own) \(exact)")
    }
  }

  @Test("a sum of Poisson weights would vary too much, which is why there is none")
  func sumsAreNotUsed() throws {
    // All values equal: drawing n rows always gives the same total, and so does n times the mean of a replicate.
    let bootstrap = poisson((0..<500).map { _ in (value: 2, size: 1) })
    let mean = try #require(percentileInterval(bootstrap.means))
    #expect(abs(mean.lower - 2) < 1e-12 && abs(mean.upper - 2) < 1e-12)
  }

  @Test("the seed decides, and streams have seeds of their own")
  func seeds() {
    let rows = rows(30, seed: 1)
    #expect(poisson(rows).means == poisson(rows).means)
    #expect(poisson(rows, seed: 8).means != poisson(rows).means)
    #expect(
      PoissonBootstrap.seed(0, stream: Array("a".utf8)) != PoissonBootstrap.seed(0, stream: Array("b".utf8)))
    #expect(
      PoissonBootstrap.seed(0, stream: Array("a".utf8)) != PoissonBootstrap.seed(1, stream: Array("a".utf8)))
  }

  @Test("a replicate that draws no row has no value; without values there is no interval")
  func emptyReplicates() {
    let one = poisson([(value: 3, size: 1)])
    let without = one.means.count { $0 == nil }
    // 1/e of 4,000.
    #expect((1350...1600).contains(without), "\(without)")
    #expect(one.means.compactMap { $0 }.allSatisfy { $0 == 3 })
    #expect(percentileInterval(poisson([]).means) == nil)
  }
}
