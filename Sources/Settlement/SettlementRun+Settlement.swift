import Encoder
import Formats
import RankStatistics

extension SettlementRun {
  /// The account of what was read; throws `SettlementError.noSuchProvider` where a report was asked for one that has no row.
  ///
  /// - Parameter inputs: their names, in their order.
  func settlement(origins: ScoreOrigins, inputs: [String]) throws(SettlementError) -> Settlement {
    divideEqually()
    let names = tallies.map(\.name)
    let totals = tallies.map(\.counted.value)
    let range = histogramRange()
    let shares = ShareReplicates(tallies)
    let statements = tallies.indices.map { statement(of: $0, shares: shares, histogram: range) }
    let order = tallies.indices.sorted {
      totals[$0] != totals[$1] ? totals[$0] > totals[$1] : tallies[$0].name < tallies[$1].name
    }
    var settlement = Settlement(
      facts: facts(origins: origins, inputs: inputs), pool: poolStatement(histogram: range),
      providers: order.map { statements[$0] },
      overlaps: overlaps.sorted { one, other in
        (other.value.rows, names[one.key.first], names[one.key.later])
          < (one.value.rows, names[other.key.first], names[other.key.later])
      }.map { pair, sum in
        Overlap(
          first: names[pair.first].string, later: names[pair.later].string, rows: sum.rows, value: sum.value)
      },
      payment: payment(order))
    if let provider = options.provider {
      guard let place = order.firstIndex(where: { names[$0] == ByteString(provider) }) else {
        throw .noSuchProvider(
          provider, by: options.by, some: settlement.providers.prefix(5).map(\.name))
      }
      settlement.restrict(to: place)
    }
    return settlement
  }

  private func facts(origins: ScoreOrigins, inputs: [String]) -> SettlementFacts {
    var likeness: Double?
    if case .near(let threshold) = options.duplicates { likeness = threshold }
    return SettlementFacts(
      alinfikVersion: alinfikVersion, by: options.by, provider: options.provider,
      providerCount: tallies.count,
      weight: options.weight.rawValue, value: options.weight == .tokens ? "v = s · t / 1000" : "v = s",
      duplicates: options.duplicates == .keep ? "keep" : likeness == nil ? "exact" : "near",
      likeness: likeness, countsOutside: options.countsOutside, resamples: options.resamples,
      seed: String(options.seed), valuatorSHA256: origins.known?.valuator,
      pooling: origins.known?.pooling.rawValue,
      rowsOfUnknownValuator: origins.unknownRows, inputs: inputs, recordsSHA256: recordsSHA256)
  }

  /// Where histograms begin and end: between the pool's outermost thousandths, zero among them.
  private func histogramRange() -> ClosedRange<Double> {
    guard let ends = pool.sketch.quantiles([0.001, 0.999]) else { return 0...1 }
    let (low, high) = (min(0, ends[0]), max(0, ends[1]))
    return high > low ? low...high : low...(low + 1)
  }

  private func poolStatement(histogram range: ClosedRange<Double>) -> PoolStatement {
    let copies = tallies.reduce(RowCount()) { $0 + $1.ownCopies + $1.othersCopies }
    let outside = tallies.reduce(RowCount()) { $0 + $1.outside }
    return PoolStatement(
      claimed: claimed, withoutScore: withoutScore, copies: copies, outside: knowsDomain ? outside : nil,
      outsideShare: outsideShare(outside, of: pool.count),
      counted: ValueStatement(pool, histogram: range, knowsDomain),
      histogramRange: [range.lowerBound, range.upperBound])
  }

  private func outsideShare(_ outside: RowCount, of counted: RowCount) -> Double? {
    let rows = counted.rows + (options.countsOutside ? 0 : outside.rows)
    return knowsDomain && rows > 0 ? Double(outside.rows) / Double(rows) : nil
  }

  private func statement(
    of place: Int, shares: ShareReplicates, histogram range: ClosedRange<Double>
  ) -> ProviderStatement {
    let tally = tallies[place]
    var counted = ValueStatement(tally.counted, histogram: range, knowsDomain)
    if tally.counted.count.rows >= SettlementOptions.fewestForInterval {
      let rows = Double(tally.counted.count.rows)
      counted.meanInterval = percentileInterval(tally.bootstrap.means)
      counted.totalInterval = counted.meanInterval.map {
        Interval(lower: rows * $0.lower, upper: rows * $0.upper)
      }
      counted.perThousandTokensInterval = percentileInterval(tally.bootstrap.ratios)
    }
    return ProviderStatement(
      name: tally.name.string, claimed: tally.claimed, withoutScore: tally.withoutScore,
      ownCopies: tally.ownCopies, othersCopies: tally.othersCopies, nearCopies: tally.nearCopies,
      copyIds: tally.copyIds, outside: knowsDomain ? tally.outside : nil,
      outsideShare: outsideShare(tally.outside, of: tally.counted.count), counted: counted,
      share: shares.share(of: place), shareInterval: shares.interval(of: place), sharedRows: tally.sharedRows,
      sharedValue: tally.sharedValue, othersRows: tally.othersRows, othersValue: tally.othersValue,
      totalInEqualParts: tally.counted.value + tally.equalPartsDifference, best: tally.best.rows,
      worst: tally.worst.rows, recordsSHA256: tally.recordsSHA256)
  }

  private func payment(_ order: [Int]) -> PaymentStatement? {
    guard let (budget, policy) = options.payment else { return nil }
    let payment = Payment(
      budget: budget, policy: policy, values: order.map { tallies[$0].counted.value },
      tokens: order.map { tallies[$0].counted.count.tokens })
    var statement = PaymentStatement(
      policy: policy.name, words: policy.words, formula: policy.formula, valueDecimals: payment.valueDecimals,
      currency: budget.currency.code,
      decimals: budget.currency.decimals, budgetUnits: budget.units, unspentUnits: payment.unspent,
      amounts: zip(order, payment.amounts).map { place, units in
        .init(provider: tallies[place].name.string, units: units, text: budget.currency.text(units))
      })
    switch policy {
    case .share: statement.valueSum = payment.valueSum
    case .floorSlope(let floor, let slope):
      (statement.floor, statement.slope) = (floor, slope)
      (statement.factor, statement.factorDecimals) = (payment.factor, payment.factorDecimals)
    }
    return statement
  }
}

extension RowCount {
  static func + (left: RowCount, right: RowCount) -> RowCount {
    RowCount(rows: left.rows + right.rows, tokens: left.tokens + right.tokens)
  }
}

extension ValueStatement {
  static let histogramBins = 30

  /// Without intervals.
  init(_ counted: CountedRows, histogram range: ClosedRange<Double>, _ knowsDomain: Bool) {
    let rows = counted.count.rows
    func mean(_ sum: Double, _ count: Double) -> Double? { count > 0 ? sum / count : nil }
    self.init(
      rows: rows, tokens: counted.count.tokens, total: counted.value, totalInterval: nil,
      mean: mean(counted.value, Double(rows)), meanInterval: nil,
      perThousandTokens: mean(counted.value, Double(counted.count.tokens) / 1000),
      perThousandTokensInterval: nil,
      meanScore: mean(counted.scores, Double(rows)),
      scoreQuantiles: counted.sketch.quantiles([0.05, 0.25, 0.5, 0.75, 0.95]),
      scoreHistogram: rows == 0 ? [] : counted.sketch.histogram(over: range, bins: Self.histogramBins),
      negativeRows: counted.negative.rows, negativeShare: mean(Double(counted.negative.rows), Double(rows)),
      negativeValue: counted.negativeValue, untoldRows: knowsDomain ? counted.untold : nil)
  }
}

extension Settlement {
  /// Leaves of all providers one alone, and nothing that names another or shows a row of theirs. By its place: names can be other bytes
  /// and yet the same `String`.
  mutating func restrict(to place: Int) {
    providers = [providers[place]]
    overlaps = []
    payment.map { payment?.amounts = [$0.amounts[place]] }
    payment?.unspentUnits = nil
    // Files are often named after who brought them.
    facts.inputs = nil
  }
}

/// What each provider's total would be, had it brought other rows of the same kind, replicate by replicate.
private struct ShareReplicates {
  private let totals: [Double]
  private let replicates: [[Double?]]
  /// By replicate: all totals above zero.
  private let sums: [Double]
  private let fewRows: [Bool]

  init(_ tallies: [ProviderTally]) {
    totals = tallies.map(\.counted.value)
    fewRows = tallies.map { $0.counted.count.rows < SettlementOptions.fewestForInterval }
    replicates = tallies.map { tally in
      // As many rows as there are: what is resampled is which.
      tally.bootstrap.means.map { mean in mean.map { $0 * Double(tally.counted.count.rows) } }
    }
    let count = replicates.first?.count ?? 0
    var sums = [Double](repeating: 0, count: count)
    for (own, total) in zip(replicates, totals) {
      for place in sums.indices { sums[place] += max(0, own[place] ?? total) }
    }
    self.sums = sums
  }

  func share(of place: Int) -> Double {
    let sum = totals.reduce(0) { $0 + max(0, $1) }
    return sum > 0 ? max(0, totals[place]) / sum : 0
  }

  func interval(of place: Int) -> Interval? {
    guard !fewRows[place] else { return nil }
    return percentileInterval(
      zip(replicates[place], sums).map { total, sum in
        total.flatMap { sum > 0 ? max(0, $0) / sum : nil }
      })
  }
}
