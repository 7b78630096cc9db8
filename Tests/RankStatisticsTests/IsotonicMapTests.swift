import Foundation
import RankStatistics
import Testing

@Suite("Isotonic map")
struct IsotonicMapTests {
  @Test("without averaging and with a vanishing floor the knots carry SciPy's isotonic regression")
  func equalSciPy() throws {
    let fixture = try SciPyFixture.read().isotonic
    let map = try #require(
      IsotonicMap.fit(inputs: fixture.x, outputs: fixture.y, slopeFloor: 1e-12, minimumCount: 1))
    // A knot is a pooled block: its output is the block's fitted value.
    let fitted = fixture.fitted.reduce(into: [Double]()) { distinct, value in
      if let last = distinct.last, abs(last - value) < 1e-12 { return }
      distinct.append(value)
    }
    #expect(worstDifference(map.outputs, fitted) < 1e-9)
  }

  @Test("every order is kept, between the knots and outside them")
  func strictlyIncreasing() throws {
    let fixture = try SciPyFixture.read().isotonic
    let map = try #require(IsotonicMap.fit(inputs: fixture.x, outputs: fixture.y))
    let grid = (-3000...3000).map { Double($0) / 500 }
    let values = grid.map { map($0) }
    #expect(zip(values, values.dropFirst()).allSatisfy { $0 < $1 })
    for (input, output) in zip(map.inputs, map.outputs) { #expect(map(input) == output) }
  }

  @Test("a straight line comes back as itself, inside and beyond")
  func line() throws {
    let x = (0..<50).map { Double($0) / 10 }
    let map = try #require(IsotonicMap.fit(inputs: x, outputs: x.map { 3 * $0 - 2 }))
    for input in [-10, 0, 0.05, 2.345, 4.9, 20] { #expect(abs(map(input) - (3 * input - 2)) < 1e-9) }
  }

  @Test("the fit follows the units of either side")
  func units() throws {
    let fixture = try SciPyFixture.read().isotonic
    let plain = try #require(IsotonicMap.fit(inputs: fixture.x, outputs: fixture.y))
    let scaled = try #require(
      IsotonicMap.fit(inputs: fixture.x.map { $0 * 8 }, outputs: fixture.y.map { $0 * 1024 }))
    for input in [-3, -0.5, 0, 0.3, 2] { #expect(abs(scaled(input * 8) - plain(input) * 1024) < 1e-8) }
  }

  @Test("reversed, constant, tied and single rows still give a strictly increasing map")
  func degenerate() throws {
    let rising = (0..<30).map(Double.init)
    let reversed = try #require(IsotonicMap.fit(inputs: rising, outputs: rising.map { -$0 }))
    #expect(reversed(0) < reversed(29))
    #expect(abs(reversed(14.5) + 14.5) < 1e-9)
    let flat = try #require(IsotonicMap.fit(inputs: rising, outputs: rising.map { _ in 7 }))
    #expect(flat(3) < flat(4))
    #expect(abs(flat(14.5) - 7) < 1e-9)
    let tied = try #require(IsotonicMap.fit(inputs: rising.map { _ in 2 }, outputs: rising))
    #expect(tied.inputs == [2])
    #expect(tied(1) < tied(2) && tied(2) < tied(3))
    let single = try #require(IsotonicMap.fit(inputs: [1], outputs: [5]))
    #expect(single(1) == 5)
    #expect(single(2) > 5)
    #expect(IsotonicMap.fit(inputs: [], outputs: []) == nil)
    #expect(IsotonicMap.fit(inputs: [.nan], outputs: [1]) == nil)
  }

  @Test("the knots survive JSON to the bit, and broken ones are refused")
  func coding() throws {
    let fixture = try SciPyFixture.read().isotonic
    let map = try #require(IsotonicMap.fit(inputs: fixture.x, outputs: fixture.y))
    let data = try JSONEncoder().encode(map)
    #expect(try JSONDecoder().decode(IsotonicMap.self, from: data) == map)
    for broken in [
      #"{"inputs": [], "outputs": [], "outer_slope": 1}"#,
      #"{"inputs": [1, 1], "outputs": [1, 2], "outer_slope": 1}"#,
      #"{"inputs": [1, 2], "outputs": [2, 1], "outer_slope": 1}"#,
      #"{"inputs": [1], "outputs": [1, 2], "outer_slope": 1}"#,
      #"{"inputs": [1], "outputs": [1], "outer_slope": 0}"#,
    ] {
      #expect(throws: DecodingError.self, "\(broken)") {
        try JSONDecoder().decode(IsotonicMap.self, from: Data(broken.utf8))
      }
    }
  }
}
