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
      ScoreIntervals.fit(
        raw: fitted.raw, tokens: fitted.tokens, labels: fitted.labels, texts: fitted.raw.map { "\($0)" }))
    let map = try #require(IsotonicMap.fit(inputs: fitted.raw, outputs: fitted.labels))
    let multiplier = try intervals.multiplier(coverage: coverage)
    let fresh = rows(4000, seed: 2)
    let held = fresh.raw.indices.count { row in
      let half = multiplier * intervals.spread(raw: fresh.raw[row], tokens: fresh.tokens[row])
      return abs(fresh.labels[row] - map(fresh.raw[row])) <= half
    }
    #expect(abs(Double(held) / 4000 - coverage) < 0.03)
  }

  /// Few rows, and rows that stand there three times: on the mean of many draws what was promised, not less.
  @Test(arguments: [1, 3]) func fewRowsHoldOnAverage(_ copies: Int) throws {
    var held = 0
    for seed in 0..<60 {
      let once = rows(40, seed: 100 + UInt64(seed))
      func repeated<Value>(_ values: [Value]) -> [Value] {
        values.flatMap { [Value](repeating: $0, count: copies) }
      }
      let (raw, labels) = (repeated(once.raw), repeated(once.labels))
      let intervals = try #require(
        ScoreIntervals.fit(
          raw: raw, tokens: repeated(once.tokens), labels: labels, texts: raw.map { "\($0)" }))
      let map = try #require(IsotonicMap.fit(inputs: raw, outputs: labels))
      let multiplier = try intervals.multiplier(coverage: 0.9)
      let fresh = rows(100, seed: 1000 + UInt64(seed))
      held += fresh.raw.indices.count { row in
        let half = multiplier * intervals.spread(raw: fresh.raw[row], tokens: fresh.tokens[row])
        return abs(fresh.labels[row] - map(fresh.raw[row])) <= half
      }
    }
    #expect(abs(Double(held) / 6000 - 0.9) < 0.04, "\(Double(held) / 6000)")
  }

  @Test func widthFollowsTheText() throws {
    let fitted = rows(400, seed: 3)
    let spread = try #require(
      ScoreIntervals.fit(
        raw: fitted.raw, tokens: fitted.tokens, labels: fitted.labels, texts: fitted.raw.map { "\($0)" })
    ).spread
    #expect(spread(raw: 1, tokens: 100) > 1.5 * spread(raw: -1, tokens: 100))
    #expect(spread(raw: 0, tokens: 200) > 1.5 * spread(raw: 0, tokens: 20))
  }

  @Test func fewRowsGiveNone() {
    let few = rows(ScoreIntervals.fewestRows - 1, seed: 4)
    #expect(
      ScoreIntervals.fit(raw: few.raw, tokens: few.tokens, labels: few.labels, texts: few.raw.map { "\($0)" })
        == nil)
  }
}
