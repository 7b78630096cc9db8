import Encoder
import Formats

/// What a selection came to.
package struct SelectionSummary: Sendable {
  /// What one source gave and lost.
  package struct Source: Sendable, Equatable {
    package var name: ByteString
    package var rows: Int
    package var tokens: Int
    package var chosenRows: Int
    package var chosenTokens: Int
    /// Rows that were left out, by reason.
    package var leftOut: [RowDecision: Int]
    /// Of the chosen rows, by row; nil where there is none.
    package var meanScore: Double?
  }

  package var budget: Budget
  package var used: Int
  package var rows: Int
  package var chosenRows: Int
  package var chosenBytes: Int
  /// Nil where some row's tokens are not known.
  package var tokens: Int?
  package var chosenTokens: Int?
  /// Rows by what became of them.
  package var decisions: [RowDecision: Int] = [:]
  /// Those that give the most first.
  package var sources: [Source]
  package var lowestScore: Double?
  package var meanScore: Double?
  package var poolMean: Double
  package var poolDeviation: Double
  /// The score at the cut, nil where nothing was cut by score alone; and how many rows' intervals cross it.
  package var cut: Double?
  package var chosenUncertain: Int
  package var leftOutUncertain: Int
  package var withInterval: Int
  package var chosenOutside: Int
  /// Whether rows out of domain were to be left out, and none says if it is.
  package var isDomainUnknown: Bool
  package var shortfalls: [Selection.Shortfall]
  package var diversity: DiversityReport?
  package var origin: ScoreOrigin?
  package var unknownOrigins: Int
  /// Whether the budget is larger than all that may be chosen, which is chosen then.
  package var exceedsData: Bool
  /// Bytes that were sorted on disk.
  package var scratchBytes: Int

  init(
    configuration: SelectionConfiguration, index: SelectionIndex, selection: Selection, written: WrittenRows,
    scratchBytes: Int
  ) {
    budget = configuration.budget
    used = selection.used
    rows = written.rows.reduce(0, +)
    chosenRows = selection.chosen.count
    chosenBytes = selection.chosen.reduce(0) { $0 + $1.bytes }
    tokens = index.hasTokens ? index.sum(\.tokens) : nil
    chosenTokens = index.hasTokens ? selection.chosen.reduce(0) { $0 + $1.tokens } : nil
    for decision in RowDecision.allCases { decisions[decision] = written.rows[Int(decision.rawValue)] }
    sources = Self.sources(index, selection)
    lowestScore = selection.chosen.map(\.score).min()
    meanScore =
      selection.chosen.isEmpty
      ? nil : selection.chosen.reduce(0) { $0 + $1.score } / Double(selection.chosen.count)
    (poolMean, poolDeviation) = (index.histogram.mean, index.histogram.deviation)
    cut = selection.cut
    chosenUncertain = written.chosenUncertain
    leftOutUncertain = written.leftOutUncertain
    withInterval = written.withInterval
    chosenOutside = written.chosenOutside
    isDomainUnknown = configuration.dropsOutOfDomain && !index.tellsDomain
    shortfalls = selection.shortfalls
    diversity = selection.diversity
    origin = index.origins.known
    unknownOrigins = index.origins.unknownRows
    exceedsData = selection.exceedsData
    self.scratchBytes = scratchBytes
  }

  private static func sources(_ index: SelectionIndex, _ selection: Selection) -> [Source] {
    var sources = zip(index.sources, selection.refused).map { source, refused in
      var leftOut = source.excluded
      for decision in RowDecision.allCases where refused[Int(decision.rawValue)] > 0 {
        leftOut[decision] = refused[Int(decision.rawValue)]
      }
      // The rest, once what was chosen is known.
      leftOut[.budget] = source.rows - leftOut.values.reduce(0, +)
      return Source(
        name: source.name, rows: source.rows, tokens: source.tokens, chosenRows: 0, chosenTokens: 0,
        leftOut: leftOut)
    }
    for row in selection.chosen {
      sources[row.source].chosenRows += 1
      sources[row.source].leftOut[.budget]! -= 1
      sources[row.source].chosenTokens += row.tokens
      sources[row.source].meanScore = (sources[row.source].meanScore ?? 0) + row.score
    }
    for place in sources.indices {
      sources[place].meanScore = sources[place].meanScore.map { $0 / Double(sources[place].chosenRows) }
    }
    return sources.sorted {
      ($1.chosenTokens, $1.chosenRows, $0.name) < ($0.chosenTokens, $0.chosenRows, $1.name)
    }
  }
}

// MARK: - As JSON

extension SelectionSummary {
  package var json: JSONValue {
    func number(_ value: Int?) -> JSONValue { value.map { JSONValue($0) } ?? .null }
    func number(_ value: Double?) -> JSONValue { value.map { JSONValue($0) } ?? .null }
    let left = RowDecision.allCases.filter { $0 != .chosen }
    return [
      "rows": JSONValue(rows), "tokens": number(tokens),
      "chosen": [
        "rows": JSONValue(chosenRows), "tokens": number(chosenTokens), "bytes": JSONValue(chosenBytes),
        "mean_score": number(meanScore), "lowest_score": number(lowestScore),
        "out_of_domain": JSONValue(chosenOutside),
      ],
      "budget": [
        "unit": JSONValue(budget.unit.rawValue), "amount": JSONValue(budget.amount), "used": JSONValue(used),
        "exceeds_data": JSONValue(exceedsData),
      ],
      "cut": [
        "score": number(cut), "with_interval": JSONValue(withInterval),
        "chosen_crossing": number(cut == nil ? nil : chosenUncertain),
        "left_out_crossing": number(cut == nil ? nil : leftOutUncertain),
      ],
      "left_out": .object(
        left.map { (key: ByteString($0.name), value: JSONValue(decisions[$0, default: 0])) }),
      "pool": ["mean_score": JSONValue(poolMean), "deviation": JSONValue(poolDeviation)],
      "sources": .array(
        sources.map { source in
          [
            "source": .string(source.name), "rows": JSONValue(source.rows),
            "tokens": number(tokens == nil ? nil : source.tokens),
            "chosen_rows": JSONValue(source.chosenRows),
            "chosen_tokens": number(tokens == nil ? nil : source.chosenTokens),
            "mean_score": number(source.meanScore),
            "left_out": .object(
              left.compactMap { decision in
                let count = source.leftOut[decision, default: 0]
                return count > 0 ? (key: ByteString(decision.name), value: JSONValue(count)) : nil
              }),
          ]
        }),
      "shortfalls": .array(
        shortfalls.map {
          ["source": .string($0.source), "asked": JSONValue($0.asked), "given": JSONValue($0.given)]
        }),
      "diversity": diversity.map { report in
        [
          "candidates": JSONValue(report.candidates), "exact": JSONValue(report.isExact),
          "filled": JSONValue(report.filled),
          "deviation": JSONValue(report.deviation), "mean_redundancy": JSONValue(report.meanRedundancy),
        ]
      } ?? .null,
      "valuator": origin.map { JSONValue($0.key) } ?? .null,
      "unknown_origin": JSONValue(unknownOrigins), "scratch_bytes": JSONValue(scratchBytes),
    ]
  }
}
