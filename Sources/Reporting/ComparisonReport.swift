import RankStatistics

/// A comparison of methods that value the same rows: what `report.json` holds and `report.html` draws.
///
/// Made by `make(rows:methods:oracle:facts:)`; every statistic in it follows from its rows, methods and oracle.
package struct ComparisonReport: Codable, Sendable, Equatable {
  package var format = "alinfik-comparison"
  package var schemaVersion = 1
  package var facts: RunFacts
  /// What the numbers say, in sentences computed from them.
  package var summary: [String]
  /// What the numbers do not say.
  package var caveats: [String]
  package var rows: [ComparedRow]
  package var methods: [ComparedMethod]
  /// Every drawn method but the reference, best Spearman first.
  package var fidelity: [Fidelity]
  /// Nil where it was not measured.
  package var ceiling: Ceiling?
  package var headToHead: [HeadToHead]
  /// What the reference says of each source, highest median first; empty without a reference.
  package var sourceWorth: [SourceWorth]
  package var agreement: Agreement
  /// Nil without a valuator or a reference.
  package var valuatorFinding: ValuatorFinding?
  package var oracle: OracleFinding?
  package var extremes: [Extremes]
  package var breakEven: [BreakEven]
}

/// What was run, on what, with what.
package struct RunFacts: Codable, Sendable, Equatable {
  /// One piece of software and its version.
  package struct Version: Codable, Sendable, Equatable {
    package var name: String
    package var version: String

    package init(name: String, version: String) {
      self.name = name
      self.version = version
    }
  }

  package var model: String
  package var modelSHA256: String
  package var targetDescription: String
  package var targetSHA256: String
  package var targetCount: Int
  /// Rows in the sample files.
  package var sampleCount: Int
  /// Rows left out because the valuator has seen them.
  package var seenCount: Int
  package var seed: UInt64
  package var maxTokens: Int?
  package var threads: Int
  package var blasKernel: String
  package var versions: [Version]
  package var date: String?
  package var command: String

  package init(
    model: String, modelSHA256: String, targetDescription: String, targetSHA256: String, targetCount: Int,
    sampleCount: Int, seenCount: Int, seed: UInt64, maxTokens: Int?, threads: Int, blasKernel: String,
    versions: [Version], date: String? = nil, command: String
  ) {
    self.model = model
    self.modelSHA256 = modelSHA256
    self.targetDescription = targetDescription
    self.targetSHA256 = targetSHA256
    self.targetCount = targetCount
    self.sampleCount = sampleCount
    self.seenCount = seenCount
    self.seed = seed
    self.maxTokens = maxTokens
    self.threads = threads
    self.blasKernel = blasKernel
    self.versions = versions
    self.date = date
    self.command = command
  }

  /// Written as `model_sha256` and read back through the encoder's snake-case rule.
  private enum CodingKeys: String, CodingKey {
    case model, targetDescription, targetCount, sampleCount, seenCount, seed, maxTokens, threads, blasKernel
    case versions, date, command
    case modelSHA256 = "modelSha256"
    case targetSHA256 = "targetSha256"
  }
}

/// One row that the methods valued.
package struct ComparedRow: Codable, Sendable, Equatable {
  package var id: String
  package var source: String
  /// The beginning of the text, where the report may show texts.
  package var excerpt: String?

  package init(id: String, source: String, excerpt: String? = nil) {
    self.id = id
    self.source = source
    self.excerpt = excerpt
  }
}

/// The one-step oracle as measured: the model really stepped on some rows, and back.
package struct Oracle: Sendable {
  /// Which rows, as positions in the report's rows.
  package var rows: [Int]
  /// `L(Q; theta) - L(Q; theta - eta g(z))`: positive where the step lowered the target loss.
  package var actual: [Double]
  /// `eta <G, g(z)>`, the same by first-order Taylor expansion.
  package var predicted: [Double]
  package var stepSize: Double

  package init(rows: [Int], actual: [Double], predicted: [Double], stepSize: Double) {
    self.rows = rows
    self.actual = actual
    self.predicted = predicted
    self.stepSize = stepSize
  }
}

/// A statistic and its 95 % bootstrap interval over rows; nil where it is not defined.
package struct Estimate: Codable, Sendable, Equatable {
  package var value: Double?
  package var interval: Interval?
}

/// How well a method orders the rows as the reference label does.
package struct Fidelity: Codable, Sendable, Equatable {
  package var method: String
  package var spearman: Estimate
  /// The mean over the sources of Spearman's correlation within one.
  package var withinSource: Estimate
  package var sources: WithinGroupCorrelation
  package var ndcg: Estimate
  package var recall: Estimate
}

/// Labels of the same rows from two disjoint halves of the targets.
package struct TargetHalves: Sendable {
  /// Positions in the report's rows.
  package var rows: [Int]
  package var first: [Double]
  package var second: [Double]

  package init(rows: [Int], first: [Double], second: [Double]) {
    self.rows = rows
    self.first = first
    self.second = second
  }
}

/// How well labels from one half of the targets order rows as those from the other half do: how far the reference is that of
/// these targets alone.
package struct Ceiling: Codable, Sendable, Equatable {
  package var rows: Int
  package var spearman: Estimate
  /// Nil as a value where the rows of no source are enough.
  package var withinSource: Estimate

  /// How well labels from as many other targets would agree with these, by Spearman and Brown's formula for a test of twice the
  /// length, `2 r / (1 + r)`; nil where the halves do not agree at all.
  var otherTargets: Double? { spearman.value.flatMap { $0 > 0 ? 2 * $0 / (1 + $0) : nil } }
}

/// How far the valuator is ahead of a baseline, resampling the same rows for both. A baseline counts with the
/// size of its correlation: which way round to read it is known after a handful of labels.
package struct HeadToHead: Codable, Sendable, Equatable {
  package var valuator: String
  package var baseline: String
  /// The baseline ranks the other way round (low values first).
  package var isReversed: Bool
  package var spearman: Estimate
  package var withinSource: Estimate
}

/// The spread of the reference's values within one source.
package struct SourceWorth: Codable, Sendable, Equatable {
  package var name: String
  package var count: Int
  /// The quantiles 5, 25, 50, 75 and 95 %.
  package var quantiles: [Double]

  package init(name: String, count: Int, quantiles: [Double]) {
    (self.name, self.count, self.quantiles) = (name, count, quantiles)
  }
}

/// Spearman's correlations between all pairs of drawn methods, rows and columns in the order of `names`.
package struct Agreement: Codable, Sendable, Equatable {
  /// The matrix inside one source.
  package struct Source: Codable, Sendable, Equatable {
    package var name: String
    package var count: Int
    package var matrix: [[Double?]]
  }

  package var names: [String]
  package var overall: [[Double?]]
  /// The mean over sources.
  package var withinSource: [[Double?]]
  package var sources: [Source]
  /// Sources with too few rows for a correlation of their own.
  package var leftOut: [String]
}

/// The one-step oracle and each method's Spearman with it.
package struct OracleFinding: Codable, Sendable, Equatable {
  /// One method against the oracle, on the oracle's rows.
  package struct Correlation: Codable, Sendable, Equatable {
    package var method: String
    package var spearman: Estimate
  }

  package var rows: [Int]
  package var actual: [Double?]
  package var predicted: [Double?]
  package var stepSize: Double
  /// In the order of `Agreement.names`.
  package var correlations: [Correlation]
}

/// The rows a method puts first and last.
package struct Extremes: Codable, Sendable, Equatable {
  /// A row (its position in the report's rows) and its value.
  package struct Place: Codable, Sendable, Equatable {
    package var row: Int
    package var value: Double
  }

  package var method: String
  /// Highest value first.
  package var top: [Place]
  /// Lowest value first.
  package var bottom: [Place]
}

/// From how many rows on preparing a method and using it is cheaper than the reference:
/// `n* = preparation / (reference seconds per row - its seconds per row)`.
package struct BreakEven: Codable, Sendable, Equatable {
  package var method: String
  /// Nil where the method is not faster than the reference: then never.
  package var rows: Double?
  package var preparationSeconds: Double
  package var secondsPerRow: Double
  package var referenceSecondsPerRow: Double
}
