import Encoder
import Formats

/// Chooses by value and novelty (`MarginalRelevance`), a row's value being its key in deviations of the pool's scores.
///
/// No row below the cut of value alone by more than L deviations can be chosen, for each row that value alone chooses stays worth more.
/// The rows above are the candidates, at most `candidateFactor` times as many as value alone chooses; some 700 bytes each in memory. That
/// is the choice from all rows where the candidates fill the budget. Where they end before, other rows fill the rest by value alone, and
/// the report says that it is not exact.
struct DiverseSelection {
  let configuration: SelectionConfiguration
  let index: SelectionIndex
  let embeddings: CandidateEmbeddings
  /// L.
  let diversity: Double

  /// - Parameter plain: what value alone chooses, with the limits it kept and the first row it left out.
  func select(
    _ verdicts: inout RowVerdicts,
    plain: (selection: Selection, limits: Allowance.Limits, firstLeftOut: RankedRow?)
  ) throws -> Selection {
    // Where everything is chosen, nothing is traded.
    guard let firstLeftOut = plain.firstLeftOut else { return plain.selection }
    let deviation = index.histogram.deviation
    guard deviation > 0 else {
      throw SelectionError.options(
        "--diversity sets likeness against the deviation of the scores, and all scores are the same")
    }
    let (rows, hasAll) = try candidates(
      above: firstLeftOut.key - diversity * deviation, chosen: plain.selection.chosen.count, verdicts)
    let wasChosen = rows.map { verdicts[$0.row].decision == .chosen }
    verdicts.reset()
    var allowance = Allowance(configuration, limits: plain.limits)
    var relevance = MarginalRelevance(
      values: rows.map { $0.key / deviation }, diversity: diversity, vectors: try embeddings.vectors(of: rows)
    )
    while !allowance.isFull, let candidate = relevance.next() {
      let verdict = try allowance.take(rows[candidate])
      verdicts[rows[candidate].row] = verdict
      if verdict.decision == .chosen { relevance.choose(candidate) }
      if embeddings.isCancelled() { throw SelectionError.interrupted }
    }
    let filled = try fill(&allowance, without: Set(rows.map(\.row)), &verdicts)
    var redundant = index.sources.map { _ in 0 }
    for (candidate, row) in rows.enumerated() where wasChosen[candidate] {
      guard verdicts[row.row].decision == .budget, let other = relevance.likest(to: candidate) else {
        continue
      }
      verdicts[row.row] = (.redundant, other)
      redundant[row.source] += 1
    }
    var selection = Selection(allowance)
    selection.cut = nil
    // Rows that are no candidates are left out by the budget.
    selection.exceedsData = selection.exceedsData && rows.count + filled == index.runs.count
    for (source, count) in redundant.enumerated() {
      selection.refused[source][Int(RowDecision.redundant.rawValue)] = count
    }
    selection.shortfalls = GreedySelection(configuration: configuration, index: index).shortfalls(allowance)
    selection.diversity = DiversityReport(
      candidates: rows.count, isBounded: !hasAll, filled: filled, deviation: deviation,
      meanRedundancy: relevance.meanRedundancy
    )
    return selection
  }

  /// Takes rows that are no candidates, the best first, while there is room; says how many it took.
  private func fill(
    _ allowance: inout Allowance, without candidates: Set<Int>, _ verdicts: inout RowVerdicts
  ) throws -> Int {
    guard !allowance.isFull, candidates.count < index.runs.count else { return 0 }
    let before = allowance.chosen.count
    try index.runs.forEach { row in
      if !candidates.contains(row.row) { verdicts[row.row] = try allowance.take(row) }
      if embeddings.isCancelled() { throw SelectionError.interrupted }
      return !allowance.isFull
    }
    return allowance.chosen.count - before
  }

  /// The rows that may be chosen, the best first, and those that value alone has chosen for their sources' sake.
  private func candidates(
    above least: Double, chosen: Int, _ verdicts: RowVerdicts
  ) throws -> (rows: [RankedRow], isExact: Bool) {
    // The lesser as a double: the product may be no Int.
    let most = Int(
      min((configuration.candidateFactor * Double(chosen)).rounded(.up), Double(index.runs.count)))
    var rows: [RankedRow] = []
    var isExact = true
    var found = 0
    try index.runs.forEach { row in
      let wasChosen = verdicts[row.row].decision == .chosen
      found += wasChosen ? 1 : 0
      if row.key >= least, rows.count >= most { isExact = false }
      if wasChosen || row.key >= least && rows.count < most { rows.append(row) }
      // One row behind the last candidate is looked at, too: whether it would be one.
      return found < chosen || row.key >= least && isExact
    }
    return (rows, isExact)
  }
}
