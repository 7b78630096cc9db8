import RankStatistics

/// What the valuator said of each row beside its score.
package struct Forecast: Sendable {
  /// How often low ... high should hold the label.
  package var coverage: Double
  package var low: [Double]
  package var high: [Double]
  /// Rows unlike those of training, of which the intervals promise nothing.
  package var isOutside: [Bool]

  package init(coverage: Double, low: [Double], high: [Double], isOutside: [Bool]) {
    self.coverage = coverage
    self.low = low
    self.high = high
    self.isOutside = isOutside
  }
}

/// How true a valuator of so many labels was on its test rows.
package struct LabelCurvePoint: Codable, Sendable, Equatable {
  package var labels: Int
  package var spearman: Double?
  package var withinSource: Double?

  package init(labels: Int, spearman: Double?, withinSource: Double?) {
    self.labels = labels
    self.spearman = spearman
    self.withinSource = withinSource
  }
}

/// How far the valuator's scores are to be relied on, row by row.
package struct ValuatorFinding: Codable, Sendable, Equatable {
  /// The mean score and the mean label of rows with neighbouring scores.
  package struct Bin: Codable, Sendable, Equatable {
    package var score: Double
    package var label: Double
    package var count: Int
  }

  /// How often the intervals of a source's rows held the label.
  package struct Held: Codable, Sendable, Equatable {
    package var source: String
    package var count: Int
    package var share: Double
  }

  /// A row that the valuator and the reference place far apart; places count from 1, the highest.
  package struct Disagreement: Codable, Sendable, Equatable {
    package var row: Int
    package var score: Double
    package var label: Double
    package var scorePlace: Int
    package var labelPlace: Int
  }

  package var bins: [Bin]
  package var coverage: Double?
  /// Over all rows, those out of domain among them.
  package var held: Double?
  package var heldInside: Double?
  package var heldBySource: [Held]
  package var outsideCount: Int
  /// Rows placed too high, farthest first, then those placed too low.
  package var overrated: [Disagreement]
  package var underrated: [Disagreement]
  /// By rising labels; empty where it was not measured.
  package var labelCurve: [LabelCurvePoint]

  static let binCount = 10
  static let shownDisagreements = 5
}

extension ValuatorFinding {
  /// Nil with fewer rows than there are bins.
  init?(
    rows: [ComparedRow], scores: [Double], labels: [Double], forecast: Forecast?,
    labelCurve: [LabelCurvePoint] = []
  ) {
    guard rows.count >= Self.binCount else { return nil }
    self.labelCurve = labelCurve
    let order = topIndices(scores, count: scores.count).reversed() as [Int]
    bins = (0..<Self.binCount).map { bin in
      let members = order[bin * order.count / Self.binCount..<(bin + 1) * order.count / Self.binCount]
      func mean(_ values: [Double]) -> Double {
        members.reduce(0) { $0 + values[$1] } / Double(members.count)
      }
      return Bin(score: mean(scores), label: mean(labels), count: members.count)
    }
    func share(_ members: [Int], _ forecast: Forecast) -> Double? {
      guard !members.isEmpty else { return nil }
      let held = members.count { forecast.low[$0] <= labels[$0] && labels[$0] <= forecast.high[$0] }
      return Double(held) / Double(members.count)
    }
    coverage = forecast?.coverage
    held = forecast.flatMap { share(Array(rows.indices), $0) }
    heldInside = forecast.flatMap { forecast in
      share(rows.indices.filter { !forecast.isOutside[$0] }, forecast)
    }
    heldBySource =
      forecast.map { forecast in
        Dictionary(grouping: rows.indices, by: { rows[$0].source }).compactMap { source, members in
          share(members, forecast).map { Held(source: source, count: members.count, share: $0) }
        }.sorted { $0.source < $1.source }
      } ?? []
    outsideCount = forecast?.isOutside.count { $0 } ?? 0
    let (scorePlaces, labelPlaces) = (Self.places(scores), Self.places(labels))
    let apart = rows.indices.sorted {
      (scorePlaces[$0] - labelPlaces[$0], $0) < (scorePlaces[$1] - labelPlaces[$1], $1)
    }
    func disagreement(_ row: Int) -> Disagreement {
      Disagreement(
        row: row, score: scores[row], label: labels[row], scorePlace: scorePlaces[row],
        labelPlace: labelPlaces[row])
    }
    overrated = apart.prefix(Self.shownDisagreements).filter { scorePlaces[$0] < labelPlaces[$0] }.map(
      disagreement)
    underrated = apart.suffix(Self.shownDisagreements).reversed().filter { scorePlaces[$0] > labelPlaces[$0] }
      .map(disagreement)
  }

  /// The place of each value, 1 for the highest; equal values share the one in their middle.
  private static func places(_ values: [Double]) -> [Int] {
    ranks(values.map { -$0 }).map { Int($0.rounded()) }
  }
}
