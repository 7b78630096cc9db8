import RankStatistics

extension ComparisonReport {
  /// The share of rows that NDCG and recall look at.
  package static let topFraction = 0.1
  /// Sources with fewer rows have no correlation of their own.
  package static let minimumSourceCount = 10

  /// Computes every statistic of the report.
  ///
  /// - Parameters:
  ///   - rows: what was valued, in the order of every method's values.
  ///   - methods: in any order; at most one with the role `reference`, names distinct.
  ///   - forecast: what the valuator said beside its scores; nil where it has no intervals.
  ///   - labelCurve: how true the valuator's training found fewer labels to make it.
  ///   - halves: nil where the targets were not halved.
  ///   - oracle: nil where the model was not stepped.
  ///   - resamples: bootstrap draws; by default 1000, fewer above 2000 rows to stay within a few seconds.
  package static func make(
    rows: [ComparedRow], methods: [ComparedMethod], forecast: Forecast? = nil,
    labelCurve: [LabelCurvePoint] = [], halves: TargetHalves? = nil, oracle: Oracle?,
    facts: RunFacts,
    resamples: Int? = nil
  ) -> ComparisonReport {
    precondition(Set(methods.map(\.name)).count == methods.count, "ComparisonReport: two methods of one name")
    for method in methods where method.isDrawn {
      precondition(
        method.values.count == rows.count,
        "ComparisonReport: \(method.name) has \(method.values.count) values for \(rows.count) rows")
    }
    let draws = resamples ?? min(1000, max(200, 2_000_000 / max(1, rows.count)))
    let statistics = ReportStatistics(
      sources: rows.map(\.source), seed: facts.seed, resamples: draws,
      minimumSourceCount: minimumSourceCount, topFraction: topFraction)
    let drawn = methods.filter(\.isDrawn)
    let reference = drawn.first { $0.role == .reference }
    let fidelity = fidelity(of: drawn, against: reference, statistics)
    let names = [reference?.name].compactMap { $0 } + fidelity.map(\.method)
    let ordered = names.isEmpty ? drawn : names.compactMap { name in drawn.first { $0.name == name } }
    var report = ComparisonReport(
      facts: facts, summary: [], caveats: [], rows: rows, methods: methods, fidelity: fidelity,
      ceiling: halves.map(statistics.ceiling),
      headToHead: headToHead(of: drawn, against: reference, statistics),
      sourceWorth: sourceWorth(of: rows, by: reference),
      agreement: statistics.agreement(of: ordered),
      valuatorFinding: valuatorFinding(rows, drawn, reference, forecast, labelCurve),
      oracle: oracle.map { statistics.finding(of: $0, methods: ordered) },
      extremes: ordered.map { extremes(of: $0, count: 5) },
      breakEven: breakEven(of: drawn, against: reference))
    report.summary = report.summarySentences()
    report.caveats = report.caveatSentences()
    return report
  }

  /// Every method against the reference, best Spearman first, undefined last.
  private static func fidelity(
    of methods: [ComparedMethod], against reference: ComparedMethod?, _ statistics: ReportStatistics
  ) -> [Fidelity] {
    guard let reference else { return [] }
    let unsorted = methods.filter { $0.name != reference.name }.map {
      statistics.fidelity(of: $0, truth: reference.values)
    }
    return unsorted.sorted {
      ($0.spearman.value ?? -2, $1.method) > ($1.spearman.value ?? -2, $0.method)
    }
  }

  /// The valuator against every baseline.
  private static func headToHead(
    of methods: [ComparedMethod], against reference: ComparedMethod?, _ statistics: ReportStatistics
  ) -> [HeadToHead] {
    guard let reference, let valuator = methods.first(where: { $0.role == .valuator }) else { return [] }
    return methods.filter { $0.role == .baseline }.map {
      statistics.headToHead(valuator: valuator, baseline: $0, truth: reference.values)
    }
  }

  /// On the rows that both valued.
  private static func valuatorFinding(
    _ rows: [ComparedRow], _ methods: [ComparedMethod], _ reference: ComparedMethod?, _ forecast: Forecast?,
    _ labelCurve: [LabelCurvePoint]
  ) -> ValuatorFinding? {
    guard let valuator = methods.first(where: { $0.role == .valuator }), let reference else { return nil }
    let (scores, labels) = (valuator.values.compactMap { $0 }, reference.values.compactMap { $0 })
    guard scores.count == rows.count, labels.count == rows.count else { return nil }
    return ValuatorFinding(
      rows: rows, scores: scores, labels: labels, forecast: forecast, labelCurve: labelCurve)
  }

  /// The spread of the reference's values in every source.
  private static func sourceWorth(of rows: [ComparedRow], by reference: ComparedMethod?) -> [SourceWorth] {
    guard let reference else { return [] }
    let members = Dictionary(grouping: rows.indices) { rows[$0].source }
    let spreads = members.compactMap { name, members -> SourceWorth? in
      let values = members.compactMap { reference.values[$0] }.sorted()
      guard !values.isEmpty else { return nil }
      let quantiles = [0.05, 0.25, 0.5, 0.75, 0.95].map { quantile(ofSorted: values, $0) }
      return SourceWorth(name: name, count: values.count, quantiles: quantiles)
    }
    return spreads.sorted { ($0.quantiles[2], $1.name) > ($1.quantiles[2], $0.name) }
  }

  /// The `count` highest and lowest rows of one method.
  private static func extremes(of method: ComparedMethod, count: Int) -> Extremes {
    let valued = method.values.indices.filter { method.values[$0] != nil }
    let values = valued.map { method.values[$0]! }
    let places = topIndices(values, count: values.count).map {
      Extremes.Place(row: valued[$0], value: values[$0])
    }
    let shown = min(count, places.count / 2 + places.count % 2)
    return Extremes(
      method: method.name, top: Array(places.prefix(shown)), bottom: places.suffix(shown).reversed())
  }

  /// Break-even for every method with a preparation, where both sides were timed.
  private static func breakEven(
    of methods: [ComparedMethod], against reference: ComparedMethod?
  ) -> [BreakEven] {
    guard let slow = reference?.cost?.secondsPerRow else { return [] }
    return methods.compactMap { method in
      guard let preparation = method.cost?.preparationSeconds, let fast = method.cost?.secondsPerRow else {
        return nil
      }
      return BreakEven(
        method: method.name, rows: slow > fast ? preparation / (slow - fast) : nil,
        preparationSeconds: preparation, secondsPerRow: fast, referenceSecondsPerRow: slow)
    }
  }
}
