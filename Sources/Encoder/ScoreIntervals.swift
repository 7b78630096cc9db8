import Formats
import Foundation
import RankStatistics

/// How far from its label a score may lie: `value +- q(coverage) spread`, q from residuals of the calibration part.
///
/// They hold for texts like those of training, not where a text is out of domain.
package struct ScoreIntervals: Sendable, Equatable {
  package let spread: SpreadModel
  package let residuals: ConformalResiduals

  package init(spread: SpreadModel, residuals: ConformalResiduals) {
    self.spread = spread
    self.residuals = residuals
  }

  /// The coverage that `score` and `train` use unless told otherwise.
  package static let standardCoverage = 0.9

  /// q of a coverage. Throws where the calibration part was too small for it.
  package func multiplier(coverage: Double) throws -> Double {
    if let value = residuals.quantile(coverage: coverage) { return value }
    throw EncoderError.coverage(
      coverage, needs: ConformalResiduals.fewest(coverage: coverage), has: residuals.sorted.count)
  }
}

/// The expected size of a score's error, in label units, from what is known when it is scored: the head's output r and
/// the tokens read n. `ln spread = bias + w . z`, with z the features `(r, r^2, sqrt n)`, standardised and cut to +-2.5.
package struct SpreadModel: Sendable, Equatable {
  package let bias: Double
  package let weights: [Double]
  package let means: [Double]
  package let deviations: [Double]

  package static let featureCount = 3
  private static let largest = 2.5

  /// Nil where there is not one weight, mean and positive deviation a feature, or a number is not finite.
  package init?(bias: Double, weights: [Double], means: [Double], deviations: [Double]) {
    guard [weights, means, deviations].allSatisfy({ $0.count == Self.featureCount }),
      ([bias] + weights + means + deviations).allSatisfy(\.isFinite), deviations.allSatisfy({ $0 > 0 })
    else { return nil }
    self.bias = bias
    self.weights = weights
    self.means = means
    self.deviations = deviations
  }

  package static func features(raw: Double, tokens: Int) -> [Double] {
    [raw, raw * raw, Double(tokens).squareRoot()]
  }

  /// Features as the weights see them.
  package static func standardised(_ features: [Double], means: [Double], deviations: [Double]) -> [Double] {
    features.indices.map { min(largest, max(-largest, (features[$0] - means[$0]) / deviations[$0])) }
  }

  package func callAsFunction(raw: Double, tokens: Int) -> Double {
    let z = Self.standardised(
      Self.features(raw: raw, tokens: tokens), means: means, deviations: deviations)
    return exp(zip(weights, z).reduce(bias) { $0 + $1.0 * $1.1 })
  }
}

extension ScoreIntervals {
  var json: JSONValue {
    func list(_ values: [Double]) -> JSONValue { .array(values.map { JSONValue($0) }) }
    return [
      "spread": [
        "bias": JSONValue(spread.bias), "weights": list(spread.weights), "means": list(spread.means),
        "deviations": list(spread.deviations),
      ],
      "residuals": list(residuals.sorted),
    ]
  }

  /// Nil where the object is not what `json` gives.
  init?(json: JSONValue) {
    func list(_ value: JSONValue?) -> [Double]? {
      value?.array.flatMap { values in
        let numbers = values.compactMap(\.double)
        return numbers.count == values.count ? numbers : nil
      }
    }
    let model = json["spread"]
    guard let bias = model?["bias"]?.double, let weights = list(model?["weights"]),
      let means = list(model?["means"]), let deviations = list(model?["deviations"]),
      let spread = SpreadModel(bias: bias, weights: weights, means: means, deviations: deviations),
      let values = list(json["residuals"]), let residuals = ConformalResiduals(values)
    else { return nil }
    self.init(spread: spread, residuals: residuals)
  }
}
