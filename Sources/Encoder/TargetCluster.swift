import Formats

/// Targets that the same rows help, and what a text is worth to them: linear in its point among the labelled rows.
package struct TargetCluster: Sendable, Equatable {
  /// Ids.
  package var targets: [String]
  /// Of a point's numbers, then the bias.
  package var weights: [Double]
  /// How well its values ranked the test rows; nil where there were too few.
  package var testSpearman: Double?

  package init(targets: [String], weights: [Double], testSpearman: Double?) {
    self.targets = targets
    self.weights = weights
    self.testSpearman = testSpearman
  }

  /// The mean label against these targets that a text at this point is expected to have.
  package func value(at point: [Float]) -> Double {
    zip(weights, point).reduce(weights.last ?? 0) { $0 + $1.0 * Double($1.1) }
  }
}

extension TargetCluster {
  var json: JSONValue {
    [
      "targets": .array(targets.map { JSONValue($0) }), "weights": .array(weights.map { JSONValue($0) }),
      "test_spearman": testSpearman.map { JSONValue($0) } ?? .null,
    ]
  }

  /// Nil where the object is not what `json` gives for points of so many numbers.
  init?(json: JSONValue, dimensions: Int) {
    guard let targets = json["targets"]?.array?.compactMap(\.string),
      let weights = json["weights"]?.array?.compactMap(\.double), weights.count == dimensions + 1
    else { return nil }
    self.init(targets: targets, weights: weights, testSpearman: json["test_spearman"]?.double)
  }
}
