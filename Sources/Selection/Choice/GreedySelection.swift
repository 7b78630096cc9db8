import Formats

/// Chooses by rank alone: from the best row down, each that is allowed.
struct GreedySelection {
  let configuration: SelectionConfiguration
  let index: SelectionIndex

  /// Repeated where a source cannot give what is kept for it, for a duplicate gives nothing: the rest goes to others.
  private static let mostRounds = 4

  /// Also gives the limits that were kept in the end, and the best row that the budget had no room for.
  func select(
    _ verdicts: inout RowVerdicts, isCancelled: () -> Bool
  ) throws -> (selection: Selection, limits: Allowance.Limits, firstLeftOut: RankedRow?) {
    var limits = try limits()
    var allowance = try run(limits, &verdicts, isCancelled)
    for _ in 1..<Self.mostRounds {
      let short = limits.minimums.indices.filter { allowance.usedOf[$0] < limits.minimums[$0] }
      if short.isEmpty { break }
      for source in short { limits.minimums[source] = allowance.usedOf[source] }
      verdicts.reset()
      allowance = try run(limits, &verdicts, isCancelled)
    }
    var selection = Selection(allowance)
    if configuration.temperature != nil { selection.cut = nil }
    selection.shortfalls = shortfalls(allowance)
    return (selection, limits, allowance.firstLeftOut)
  }

  /// Sources that gave less than they were asked for.
  func shortfalls(_ allowance: Allowance) -> [Selection.Shortfall] {
    zip(index.sources, allowance.usedOf).compactMap { source, given in
      let asked = amount(configuration.minimums, source) ?? 0
      return given < asked ? .init(source: source.name, asked: asked, given: given) : nil
    }
  }

  /// What of some limits is for a source: its own, else that of all.
  private func amount(_ limits: [SourceLimit], _ source: SelectionIndex.Source) -> Int? {
    let own = limits.last { $0.source.map { ByteString($0) == source.name } ?? false }
    return (own ?? limits.last { $0.source == nil })?.amount.resolved(configuration.budget.amount)
  }

  /// What each source may and must give, as far as it has it. Throws where that cannot be.
  private func limits() throws -> Allowance.Limits {
    let (budget, unit) = (configuration.budget.amount, configuration.budget.unit)
    let caps = index.sources.map { amount(configuration.caps, $0) }
    let minimums = index.sources.map { min(amount(configuration.minimums, $0) ?? 0, $0.available) }
    for (source, (cap, minimum)) in zip(index.sources, zip(caps, minimums)) {
      guard let cap, minimum > cap else { continue }
      throw SelectionError.options(
        "source '\(source.name)' must give \(unit.words(minimum)) (--per-source-min) and may give \(cap) (--per-source-cap)"
      )
    }
    let sum = minimums.reduce(0, +)
    guard sum <= budget else {
      throw SelectionError.options(
        "--per-source-min asks \(unit.words(sum)) of all sources together, and the budget is \(budget)")
    }
    return Allowance.Limits(caps: caps, minimums: minimums)
  }

  private func run(
    _ limits: Allowance.Limits, _ verdicts: inout RowVerdicts, _ isCancelled: () -> Bool
  ) throws -> Allowance {
    var allowance = Allowance(configuration, limits: limits)
    var count = 0
    try index.runs.forEach { row in
      count += 1
      if count % 65_536 == 0, isCancelled() { throw SelectionError.interrupted }
      verdicts[row.row] = try allowance.take(row)
      return !allowance.isFull
    }
    return allowance
  }
}
