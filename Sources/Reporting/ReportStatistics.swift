import RankStatistics

/// The statistics of one report: the same rows, sources, seed and settings for every method.
///
/// Two methods are compared on the rows where both have a value.
struct ReportStatistics {
  var sources: [String]
  var seed: UInt64
  var resamples: Int
  var minimumSourceCount: Int
  var topFraction: Double

  /// The rows where every given column has a value, with those values.
  private struct Complete {
    var columns: [[Double]]
    var sources: [String]

    var count: Int { sources.count }

    /// The sources numbered from zero in the order of their names.
    var sourceNumbers: [Int] {
      let names = Dictionary(uniqueKeysWithValues: Set(sources).sorted().enumerated().map { ($1, $0) })
      return sources.map { names[$0]! }
    }
  }

  /// A method against the truth.
  func fidelity(of method: ComparedMethod, truth: [Double?]) -> Fidelity {
    let rows = complete([method.values, truth])
    let within = spearmanWithin(
      rows.columns[0], rows.columns[1], groups: rows.sources, minimumCount: minimumSourceCount)
    return Fidelity(
      method: method.name,
      spearman: estimate(rows) { columns, _ in spearman(columns[0], columns[1]) },
      withinSource: estimate(inLargeSources(rows)) { columns, sources in
        meanSpearmanWithin(columns[0], columns[1], groups: sources, minimumCount: 3)
      },
      sources: within,
      ndcg: estimate(rows) { [topFraction] columns, _ in
        ndcg(columns[0], truth: columns[1], fraction: topFraction)
      },
      recall: estimate(rows) { [topFraction] columns, _ in
        recall(columns[0], truth: columns[1], fraction: topFraction)
      })
  }

  /// The halves of the target against each other.
  func ceiling(of halves: TargetHalves) -> Ceiling {
    let rows = complete([halves.first, halves.second], sources: halves.rows.map { sources[$0] })
    return Ceiling(
      rows: rows.count, spearman: estimate(rows) { columns, _ in spearman(columns[0], columns[1]) },
      withinSource: estimate(inLargeSources(rows)) { columns, sources in
        meanSpearmanWithin(columns[0], columns[1], groups: sources, minimumCount: 3)
      })
  }

  /// The valuator's lead over a baseline that may be read either way round.
  func headToHead(valuator: ComparedMethod, baseline: ComparedMethod, truth: [Double?]) -> HeadToHead {
    let rows = complete([valuator.values, baseline.values, truth])
    let large = inLargeSources(rows)
    let overall = spearman(rows.columns[1], rows.columns[2]) ?? 0
    let sign = overall < 0 ? -1.0 : 1.0
    let lead = estimate(rows) { columns, _ in
      guard let ours = spearman(columns[0], columns[2]) else { return nil }
      return ours - sign * (spearman(columns[1], columns[2]) ?? 0)
    }
    func within(_ column: Int, _ columns: [[Double]], _ sources: [Int]) -> Double? {
      meanSpearmanWithin(columns[column], columns[2], groups: sources, minimumCount: 3)
    }
    let withinSign = (within(1, large.columns, large.sourceNumbers) ?? 0) < 0 ? -1.0 : 1.0
    let withinLead = estimate(large) { columns, sources in
      within(0, columns, sources).map { $0 - withinSign * (within(1, columns, sources) ?? 0) }
    }
    return HeadToHead(
      valuator: valuator.name, baseline: baseline.name, isReversed: sign < 0, spearman: lead,
      withinSource: withinLead)
  }

  /// The correlations of all pairs, overall and within every source.
  func agreement(of methods: [ComparedMethod]) -> Agreement {
    let counts = Dictionary(sources.map { ($0, 1) }, uniquingKeysWith: +)
    let large = counts.filter { $0.value >= minimumSourceCount }.keys.sorted()
    let bySource = large.map { source in
      Agreement.Source(
        name: source, count: counts[source]!,
        matrix: matrix(of: methods) { first, second in
          let rows = sources.indices.filter { sources[$0] == source }
          let pair = complete(
            [rows.map { first[$0] }, rows.map { second[$0] }], sources: rows.map { _ in source })
          return spearman(pair.columns[0], pair.columns[1])
        })
    }
    let within = methods.indices.map { row in
      methods.indices.map { column -> Double? in
        let values = bySource.compactMap { $0.matrix[row][column] }
        return values.isEmpty ? nil : values.reduce(0, +) / Double(values.count)
      }
    }
    let overall = matrix(of: methods) { first, second in
      let pair = complete([first, second])
      return spearman(pair.columns[0], pair.columns[1])
    }
    return Agreement(
      names: methods.map(\.name), overall: overall, withinSource: within, sources: bySource,
      leftOut: counts.filter { $0.value < minimumSourceCount }.keys.sorted())
  }

  /// Every method against the loss changes that were really measured.
  func finding(of oracle: Oracle, methods: [ComparedMethod]) -> OracleFinding {
    precondition(
      oracle.rows.count == oracle.actual.count && oracle.rows.count == oracle.predicted.count,
      "Oracle: \(oracle.rows.count) rows, \(oracle.actual.count) and \(oracle.predicted.count) loss changes")
    let actual = oracle.actual.map { $0.isFinite ? $0 : nil }
    let correlations = methods.map { method in
      let pair = complete(
        [oracle.rows.map { method.values[$0] }, actual], sources: oracle.rows.map { sources[$0] })
      return OracleFinding.Correlation(
        method: method.name, spearman: estimate(pair) { columns, _ in spearman(columns[0], columns[1]) })
    }
    return OracleFinding(
      rows: oracle.rows, actual: actual, predicted: oracle.predicted.map { $0.isFinite ? $0 : nil },
      stepSize: oracle.stepSize, correlations: correlations)
  }

  /// A symmetric matrix of a pairwise statistic.
  private func matrix(
    of methods: [ComparedMethod], _ statistic: ([Double?], [Double?]) -> Double?
  ) -> [[Double?]] {
    var matrix = methods.map { _ in [Double?](repeating: nil, count: methods.count) }
    for row in methods.indices {
      for column in row..<methods.count {
        let value = statistic(methods[row].values, methods[column].values)
        matrix[row][column] = value
        matrix[column][row] = value
      }
    }
    return matrix
  }

  /// A statistic with its bootstrap interval over rows.
  private func estimate(
    _ rows: Complete, _ statistic: ([[Double]], [Int]) -> Double?
  ) -> Estimate {
    let sources = rows.sourceNumbers
    let value = statistic(rows.columns, sources)
    guard value != nil else { return Estimate(value: nil, interval: nil) }
    let interval = bootstrapInterval(seed: seed, count: rows.count, resamples: resamples) { drawn in
      statistic(rows.columns.map { column in drawn.map { column[$0] } }, drawn.map { sources[$0] })
    }
    return Estimate(value: value, interval: interval)
  }

  private func complete(_ columns: [[Double?]], sources: [String]? = nil) -> Complete {
    let sources = sources ?? self.sources
    let kept = sources.indices.filter { row in columns.allSatisfy { $0[row] != nil } }
    return Complete(
      columns: columns.map { column in kept.map { column[$0]! } }, sources: kept.map { sources[$0] })
  }

  /// The rows of sources that are large enough to have a correlation of their own.
  private func inLargeSources(_ rows: Complete) -> Complete {
    let counts = Dictionary(rows.sources.map { ($0, 1) }, uniquingKeysWith: +)
    let kept = rows.sources.indices.filter { counts[rows.sources[$0]]! >= minimumSourceCount }
    return Complete(
      columns: rows.columns.map { column in kept.map { column[$0] } }, sources: kept.map { rows.sources[$0] })
  }
}
