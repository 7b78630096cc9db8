import Encoder
import Formats
import Foundation
import RankStatistics

/// Incoming texts beside those of training: the scores, the lengths and the directions in which texts vary most, each by a test of its own.
package struct Drift: Sendable {
  /// One distribution, then and now.
  package struct Test: Sendable, Equatable {
    package let name: String
    /// Kolmogorov and Smirnov's largest distance.
    package let distance: Double
    /// Of such a distance or a larger one by chance, corrected for the number of tests.
    package let probability: Double
    package let stabilityIndex: Double
    package let medianThen: Double
    package let medianNow: Double

    /// Whether the difference is no chance, however small it is.
    package var hasDrifted: Bool { probability < Drift.level }
    package var size: Size { Size(stabilityIndex: stabilityIndex) }
  }

  /// How large a shift is, by the conventional bounds of the stability index (Lewis 1994; Siddiqi 2006).
  package enum Size: String, Sendable {
    case small, moderate, large

    /// Under 0.1 small, to 0.25 moderate, above it large.
    package init(stabilityIndex: Double) {
      self = stabilityIndex < 0.1 ? .small : stabilityIndex <= 0.25 ? .moderate : .large
    }
  }

  package let tests: [Test]
  package let rowsThen: Int
  package let rowsNow: Int
  /// The share called out of domain, where that can be told.
  package let outOfDomain: Double?
  /// The valuator carries only what it learnt from, and of texts alone: alarms come more often than they should.
  package let isOfLearnedRows: Bool

  /// A test with a lower corrected probability is no chance.
  package static let level = 0.05

  /// - Throws: `VerificationError.unknown` where the valuator carries nothing to compare with.
  package init(_ valuator: Valuator, _ incoming: TextMeasures) throws {
    typealias Pair = (name: String, then: [Float], now: [Float])
    var pairs: [Pair] = []
    var points: [[Float]] = []
    if let known = valuator.distributions {
      pairs = [("score", known.outputs, incoming.outputs), ("tokens", known.tokens, incoming.tokens)]
      points = known.points
    } else {
      points = valuator.rows?.coordinates(TrainingDistributions.directions) ?? []
    }
    pairs += zip(points, incoming.points).enumerated().map { ("embedding \($0 + 1)", $1.0, $1.1) }
    guard let first = pairs.first, !incoming.outputs.isEmpty else {
      throw VerificationError.unknown(
        "this valuator", "it carries no distributions of its training texts; train it again with this version"
      )
    }
    isOfLearnedRows = valuator.distributions == nil
    (rowsThen, rowsNow, outOfDomain) = (first.then.count, incoming.outputs.count, incoming.outOfDomain)
    let samples = pairs.map { pair in
      (name: pair.name, then: pair.then.map { Double($0) }, now: pair.now.map { Double($0) }.sorted())
    }
    let found = samples.map { KolmogorovSmirnov(sorted: $0.then, $0.now) }
    let corrected = holmCorrected(found.map(\.probability))
    tests = samples.indices.map { index in
      let (name, then, now) = samples[index]
      func median(_ values: [Double]) -> Double {
        let middle = quantile(ofSorted: values, 0.5)
        return name == "score" ? valuator.card.calibration(middle) : middle
      }
      return Test(
        name: name, distance: found[index].distance, probability: corrected[index],
        stabilityIndex: populationStabilityIndex(reference: then, now), medianThen: median(then),
        medianNow: median(now))
    }
  }

  /// The tests whose distance is no chance, that of the largest stability index first.
  package var drifted: [Test] {
    tests.filter(\.hasDrifted).sorted { $0.stabilityIndex > $1.stabilityIndex }
  }

  /// Those of them whose stability index is above the limit.
  package func drifted(over limit: Double) -> [Test] { drifted.filter { $0.stabilityIndex > limit } }

  /// Whether anything has drifted, and how far, in words.
  package var verdict: String {
    let level = String(format: "corrected p under %.2f", Self.level)
    guard let largest = drifted.first else { return "no drift: no difference is more than chance (\(level))" }
    let found = drifted.map { String(format: "\($0.name) %.3f", $0.stabilityIndex) }
    return "\(largest.size) drift: \(found.joined(separator: ", ")) (stability index; \(level))"
  }

  /// What the stability index of two samples so large would be about if nothing had changed.
  package var chanceIndex: Double { 9 * (1 / Double(rowsThen) + 1 / Double(rowsNow)) }

  package var json: JSONValue {
    [
      "rows": JSONValue(rowsNow), "rows_at_training": JSONValue(rowsThen),
      "of_learned_rows": JSONValue(isOfLearnedRows),
      "out_of_domain": outOfDomain.map { JSONValue($0) } ?? .null,
      "chance_stability_index": JSONValue(chanceIndex),
      "has_drifted": JSONValue(!drifted.isEmpty), "drifted": .array(drifted.map { JSONValue($0.name) }),
      "size": drifted.first.map { JSONValue($0.size.rawValue) } ?? .null, "verdict": JSONValue(verdict),
      "tests": .object(
        tests.map { test in
          (
            key: ByteString(test.name),
            value: [
              "stability_index": JSONValue(test.stabilityIndex), "ks_distance": JSONValue(test.distance),
              "p_corrected": JSONValue(test.probability), "drifted": JSONValue(test.hasDrifted),
              "size": JSONValue(test.size.rawValue), "median_at_training": JSONValue(test.medianThen),
              "median": JSONValue(test.medianNow),
            ]
          )
        }),
    ]
  }
}
