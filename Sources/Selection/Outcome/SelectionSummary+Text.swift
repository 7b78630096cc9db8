import Encoder
import Foundation

extension SelectionSummary {
  private static let shownSources = 20

  /// For people.
  package var lines: [String] {
    var lines = [
      "chosen: \(share(chosenRows, of: rows, .rows))"
        + (chosenTokens.map { ", \(share($0, of: tokens ?? 0, .tokens))" } ?? "")
        + "; \(used) of a budget of \(budget.unit.words(budget.amount))"
    ]
    if let meanScore, let lowestScore {
      lines.append(
        String(
          format: "score: mean %.4g of the chosen, %.4g of the pool (deviation %.4g); lowest chosen %.4g",
          meanScore,
          poolMean, poolDeviation, lowestScore))
    }
    lines += cutLines
    let left = RowDecision.allCases.filter { $0 != .chosen && decisions[$0, default: 0] > 0 }
    if !left.isEmpty {
      lines.append("left out: " + left.map { words(decisions[$0]!, $0) }.joined(separator: ", "))
    }
    if let diversity { lines.append(words(diversity)) }
    return lines + sourceLines + [originLine]
  }

  /// `1 of 5 rows`.
  private func share(_ part: Int, of whole: Int, _ unit: Budget.Unit) -> String {
    "\(part) of \(unit.words(whole))"
  }

  private var cutLines: [String] {
    guard let cut else { return [] }
    guard withInterval > 0 else {
      return [String(format: "cut: at a score of %.4g; the scores have no intervals", cut)]
    }
    let chosen = "\(chosenUncertain) chosen \(chosenUncertain == 1 ? "row" : "rows")"
    return [
      String(format: "cut: at a score of %.4g", cut)
        + "; the intervals of \(chosen) and of \(leftOutUncertain) left out cross it"
    ]
  }

  private func words(_ count: Int, _ decision: RowDecision) -> String {
    let words =
      switch decision {
      case .budget: "by the budget"
      case .chosen: "chosen"
      case .duplicate: count == 1 ? "duplicate" : "duplicates"
      case .nearDuplicate: count == 1 ? "near duplicate" : "near duplicates"
      case .sourceCap: "by a source's cap"
      case .belowLeast: "below the least score"
      case .noScore: "without a score"
      case .redundant: "redundant"
      case .tooLarge: "larger than the budget"
      case .outOfDomain: "out of domain"
      }
    return "\(count) \(words)"
  }

  private func words(_ report: DiversityReport) -> String {
    String(
      format: "diversity: %d %@%@; a chosen row is %.2f like the likest chosen before it",
      report.candidates, report.candidates == 1 ? "candidate" : "candidates",
      report.isBounded ? " (more could have been chosen from: --candidates)" : "", report.meanRedundancy)
      + (report.filled > 0
        ? "; \(Budget.Unit.rows.words(report.filled)) by value alone where the candidates left room" : "")
  }

  private var sourceLines: [String] {
    guard sources.count > 1 else { return [] }
    var lines = sources.prefix(Self.shownSources).map { source in
      let name = source.name.isEmpty ? "(no source)" : source.name.string
      let given = tokens == nil ? "" : ", \(share(source.chosenTokens, of: source.tokens, .tokens))"
      let mean = source.meanScore.map { String(format: ", mean score %.4g", $0) } ?? ""
      return "  \(name): \(share(source.chosenRows, of: source.rows, .rows))\(given)\(mean)"
    }
    let more = sources.count - Self.shownSources
    if more > 0 {
      lines.append("  and \(more == 1 ? "1 more source" : "\(more) more sources") (--json lists all)")
    }
    return lines
  }

  private var originLine: String {
    guard let origin else {
      return
        "origin of the scores: unknown (no NAME.done.json beside the inputs, no alinfik_valuator in them)"
    }
    let rest = unknownOrigins > 0 ? ", of \(Budget.Unit.rows.words(unknownOrigins)) unknown" : ""
    return "origin of the scores: valuator \(origin.key)\(rest)"
  }

  /// What deserves a warning.
  package var warnings: [String] {
    var warnings: [String] = []
    if exceedsData {
      warnings.append(
        "the budget of \(budget.unit.words(budget.amount)) is larger than all that may be chosen (\(used)), which is chosen; --strict refuses that"
      )
    }
    if chosenOutside > 0 {
      warnings.append(
        "chosen though unlike what the valuator was trained on (alinfik_ood): \(share(chosenOutside, of: chosenRows, .rows)), whose scores cannot be relied on; --drop-out-of-domain leaves such out"
      )
    }
    if isDomainUnknown {
      warnings.append(
        "no row says whether it is out of the valuator's domain (alinfik_ood), so --drop-out-of-domain leaves none out"
      )
    }
    if decisions[.noScore, default: 0] > 0 {
      warnings.append(
        "left out without a score (alinfik_error): \(Budget.Unit.rows.words(decisions[.noScore]!))")
    }
    for shortfall in shortfalls.prefix(10) {
      warnings.append(
        "source '\(shortfall.source)' gives \(budget.unit.words(shortfall.given)) of \(shortfall.asked) asked for"
      )
    }
    let more = shortfalls.count - 10
    if more > 0 {
      warnings.append("and \(more == 1 ? "1 more source gives" : "\(more) more sources give") too little")
    }
    return warnings
  }
}
