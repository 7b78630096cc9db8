import Foundation
import TestSupport

/// `Tests/Fixtures/statistics/scipy.json`, made by `scripts/fixtures/statistics.py`.
struct SciPyFixture: Decodable {
  struct Case: Decodable {
    var name: String
    var x: [Double]
    var y: [Double]
    var ranks: [Double]
    var pearson: Double
    var spearman: Double
    var gaussianized: [Double]
  }
  struct Top: Decodable {
    var fraction: Double
    var ndcg: Double
    var recall: Double
  }
  struct NormalQuantile: Decodable {
    var p: Double
    var x: Double
  }
  struct StudentQuantile: Decodable {
    var level: Double
    var degrees: Int
    var t: Double
  }
  struct Seeds: Decodable {
    var values: [Double]
    var mean: Double
    var lower: Double
    var upper: Double
  }
  struct Isotonic: Decodable {
    var x: [Double]
    var y: [Double]
    var fitted: [Double]
  }
  struct Samples: Decodable {
    var name: String
    var a: [Double]
    var b: [Double]
    var distance: Double
    var exact: Double
    var stabilityIndex: Double
  }
  struct Kolmogorov: Decodable {
    var z: Double
    var tail: Double
  }
  struct Finding: Decodable {
    var wrong: Int
    var count: Int
    var drawn: Int
    var probability: Double
  }
  var cases: [Case]
  var normalQuantile: [NormalQuantile]
  var studentQuantile: [StudentQuantile]
  var top: [Top]
  var topTies: [Top]
  var seeds: Seeds
  var isotonic: Isotonic
  var samples: [Samples]
  var kolmogorov: [Kolmogorov]
  var finding: [Finding]

  static func read() throws -> SciPyFixture {
    let data = try Data(contentsOf: URL(fileURLWithPath: TestData.fixture("statistics/scipy.json")))
    return try JSONDecoder().decode(SciPyFixture.self, from: data)
  }
}

/// The largest absolute difference, or infinity where the counts differ.
func worstDifference(_ x: [Double], _ y: [Double]) -> Double {
  guard x.count == y.count else { return .infinity }
  return zip(x, y).map { abs($0 - $1) }.max() ?? 0
}
