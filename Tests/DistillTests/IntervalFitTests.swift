import Encoder
import Foundation
import RankStatistics
import TensorKernels
import Testing

import Distill

@Suite struct IntervalFitTests {
  /// A label is a rising function of the raw output with noise that grows with it, and more for longer texts.
  private func rows(_ count: Int, seed: UInt64) -> (raw: [Double], tokens: [Int], labels: [Double]) {
    var generator = SeededGenerator(seed: seed)
    var rows: (raw: [Double], tokens: [Int], labels: [Double]) = ([], [], [])
    for _ in 0..<count {
      let raw = generator.normal()
      let tokens = 10 + Int(generator.uniform() * 200)
      rows.raw.append(raw)
      rows.tokens.append(tokens)
      rows.labels.append(
        3 * raw + exp(0.8 * raw) * (tokens > 100 ? 2 : 0.5) * generator.normal() + 7)
    }
    return rows
  }

  @Test(arguments: [0.8, 0.9]) func intervalsHoldAsOftenAsTheyClaim(_ coverage: Double) throws {
    let fitted = rows(400, seed: 1)
    let intervals = try #require(
      ScoreIntervals.fit(raw: fitted.raw, tokens: fitted.tokens, labels: fitted.labels))
    let map = try #require(IsotonicMap.fit(inputs: fitted.raw, outputs: fitted.labels))
    let multiplier = try intervals.multiplier(coverage: coverage)
    let fresh = rows(4000, seed: 2)
    let held = fresh.raw.indices.count { row in
      let half = multiplier * intervals.spread(raw: fresh.raw[row], tokens: fresh.tokens[row])
      return abs(fresh.labels[row] - map(fresh.raw[row])) <= half
    }
    #expect(abs(Double(held) / 4000 - coverage) < 0.03)
  }

  @Test func widthFollowsTheText() throws {
    let fitted = rows(400, seed: 3)
    let spread = try #require(
      ScoreIntervals.fit(raw: fitted.raw, tokens: fitted.tokens, labels: fitted.labels)
    ).spread
    #expect(spread(raw: 1, tokens: 100) > 1.5 * spread(raw: -1, tokens: 100))
    #expect(spread(raw: 0, tokens: 200) > 1.5 * spread(raw: 0, tokens: 20))
  }

  @Test func fewRowsGiveNone() {
    let few = rows(ScoreIntervals.fewestRows - 1, seed: 4)
    #expect(ScoreIntervals.fit(raw: few.raw, tokens: few.tokens, labels: few.labels) == nil)
  }
}
