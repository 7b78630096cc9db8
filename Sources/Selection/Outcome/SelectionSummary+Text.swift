import Encoder
import Foundation

extension SelectionSummary {
  private static let shownSources = 20

  /// For people.
  package var lines: [String] {
    var lines = [
      "chosen: \(chosenRows) of \(rows) rows"
        + (chosenTokens.map { ", \($0) of \(tokens ?? 0) tokens" } ?? "")
        + "; \(used) of \(budget.amount) \(budget.unit) are used"
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
      lines.append("left out: " + left.map { "\(decisions[$0]!) \(words($0))" }.joined(separator: ", "))
    }
    if let diversity { lines.append(words(diversity)) }
    return lines + sourceLines + [originLine]
  }

  private var cutLines: [String] {
    guard let cut else { return [] }
    guard withInterval > 0 else {
      return [String(format: "cut: at a score of %.4g; the scores have no intervals", cut)]
    }
    return [
      String(
        format:
          "cut: at a score of %.4g; the intervals of %d chosen rows and of %d that were left out cross it",
        cut,
        chosenUncertain, leftOutUncertain)
    ]
  }

  private func words(_ decision: RowDecision) -> String {
    switch decision {
    case .budget: "by the budget"
    case .chosen: "chosen"
    case .duplicate: "duplicates"
    case .nearDuplicate: "near duplicates"
    case .sourceCap: "by their source's cap"
    case .belowLeast: "below the least score"
    case .noScore: "without a score"
    case .redundant: "redundant"
    case .tooLarge: "larger than the budget"
    case .outOfDomain: "out of domain"
    }
  }

  private func words(_ report: DiversityReport) -> String {
    String(
      format: "diversity: %d candidates%@; a chosen row is %.2f like the likest chosen before it",
      report.candidates,
      report.isExact ? "" : " (more could have been chosen from: --candidates)", report.meanRedundancy)
  }

  private var sourceLines: [String] {
    guard sources.count > 1 else { return [] }
    var lines = sources.prefix(Self.shownSources).map { source in
      let name = source.name.isEmpty ? "(no source)" : source.name.string
      let given = tokens == nil ? "" : ", \(source.chosenTokens) of \(source.tokens) tokens"
      let mean = source.meanScore.map { String(format: ", mean score %.4g", $0) } ?? ""
      return "  \(name): \(source.chosenRows) of \(source.rows) rows\(given)\(mean)"
    }
    if sources.count > Self.shownSources {
      lines.append("  and \(sources.count - Self.shownSources) more sources (--json lists them)")
    }
    return lines
  }

  private var originLine: String {
    guard let origin else {
      return
        "origin of the scores: unknown (no NAME.done.json beside the inputs, no alinfik_valuator in them)"
    }
    let rest = unknownOrigins > 0 ? ", of \(unknownOrigins) rows unknown" : ""
    return "origin of the scores: valuator \(origin.valuator.prefix(ScoreOrigin.keyDigits))\(rest)"
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
        "\(chosenOutside) of \(chosenRows) chosen rows are unlike what the valuator was trained on (alinfik_ood): their scores cannot be relied on; --drop-out-of-domain leaves them out"
      )
    }
    if isDomainUnknown {
      warnings.append(
        "no row says whether it is out of the valuator's domain (alinfik_ood), so --drop-out-of-domain leaves none out"
      )
    }
    if decisions[.noScore, default: 0] > 0 {
      warnings.append("\(decisions[.noScore]!) rows have no score (alinfik_error) and were left out")
    }
    for shortfall in shortfalls.prefix(10) {
      warnings.append(
        "source '\(shortfall.source)' gives \(shortfall.given) \(budget.unit), \(shortfall.asked) were asked for"
      )
    }
    if shortfalls.count > 10 { warnings.append("and \(shortfalls.count - 10) more sources give too little") }
    return warnings
  }
}
