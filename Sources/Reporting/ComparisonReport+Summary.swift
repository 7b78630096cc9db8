import RankStatistics

extension ComparisonReport {
  /// The reference label, where it was run.
  var reference: ComparedMethod? { methods.first { $0.role == .reference && $0.isDrawn } }

  /// The valuator on trial, where one was run.
  var valuator: ComparedMethod? { methods.first { $0.role == .valuator && $0.isDrawn } }

  /// The fidelity of a method.
  func fidelity(of name: String) -> Fidelity? { fidelity.first { $0.method == name } }

  /// True where more than one source is large enough to be looked at alone; else "within a source" says nothing
  /// that "overall" does not.
  var hasSources: Bool { agreement.sources.count > 1 }

  /// The baseline with the largest correlation, whichever way round it ranks.
  var bestBaseline: Fidelity? { strongestBaseline { $0.spearman.value } }

  /// The same within sources.
  var bestBaselineWithin: Fidelity? { strongestBaseline { $0.withinSource.value } }

  private func strongestBaseline(by value: (Fidelity) -> Double?) -> Fidelity? {
    let names = Set(methods.filter { $0.role == .baseline }.map(\.name))
    return fidelity.filter { names.contains($0.method) && value($0) != nil }
      .max { abs(value($0)!) < abs(value($1)!) }
  }

  /// What the numbers say, in the order a reader asks: is it true, is it better than something cheap, does it
  /// see more than the source, what does it cost, and is the reference itself true.
  func summarySentences() -> [String] {
    guard let reference else {
      return ["No reference label was computed, so nothing here says which method is right."]
    }
    guard let valuator, let fidelity = fidelity(of: valuator.name) else {
      return [withoutValuator(reference)] + [oracleSentence(reference)].compactMap { $0 } + smallSample()
    }
    let sentences = [
      fidelitySentence(valuator, fidelity, reference), baselineSentence(valuator, fidelity),
      withinSentence(valuator, fidelity), ceilingSentence(valuator, fidelity, reference),
      costSentence(valuator, reference), oracleSentence(reference),
    ]
    return sentences.compactMap { $0 } + smallSample()
  }

  private func withoutValuator(_ reference: ComparedMethod) -> String {
    let best = fidelity.first.map {
      " \($0.method) comes closest to \(reference.name), with a Spearman correlation of \(text($0.spearman))."
    }
    return "No valuator was given; the methods are held against \(reference.name).\(best ?? "")"
  }

  private func fidelitySentence(
    _ valuator: ComparedMethod, _ fidelity: Fidelity, _ reference: ComparedMethod
  ) -> String {
    guard let value = fidelity.spearman.value else {
      return "\(valuator.name) gives every row the same value, or none: it ranks nothing."
    }
    let seen = facts.seenCount == 0 ? "" : " it has never seen"
    if let interval = fidelity.spearman.interval, interval.lower <= 0 {
      let chance = value < 0 && interval.upper < 0 ? "the wrong way round" : "no better than chance"
      return "On \(NumberText.count(rows.count)) rows\(seen), \(valuator.name) orders rows \(chance):"
        + " its Spearman correlation with \(reference.name) is \(text(fidelity.spearman))."
    }
    let closeness = value >= 0.8 ? "much" : value >= 0.5 ? "roughly" : "only loosely"
    return "On \(NumberText.count(rows.count)) rows\(seen), \(valuator.name) orders rows \(closeness) like"
      + " \(reference.name), with a Spearman correlation of \(text(fidelity.spearman))."
  }

  /// Won, lost or even, by the interval of the difference on the same resampled rows.
  private func baselineSentence(_ valuator: ComparedMethod, _ fidelity: Fidelity) -> String? {
    guard let best = bestBaseline, let theirs = best.spearman.value, let ours = fidelity.spearman.value
    else { return nil }
    let lead = headToHead.first { $0.baseline == best.method }
    let name = reading(best.method, isReversed: theirs < 0)
    let theirText = NumberText.correlation(abs(theirs))
    let ourText = NumberText.correlation(ours)
    guard let interval = lead?.spearman.interval else {
      return "The best baseline, \(name), reaches \(theirText)."
    }
    let difference = "difference \(inner(lead!.spearman))"
    if interval.lower > 0 {
      return "The best baseline, \(name), reaches \(theirText): \(valuator.name) is ahead of it"
        + " (\(difference))."
    }
    if interval.upper < 0 {
      return "On this data the baseline \(name) ranks better than \(valuator.name):"
        + " \(theirText) against \(ourText) (\(difference)). The valuator is not worth its training here."
    }
    return "On this data the baseline \(name) ranks as well as \(valuator.name):"
      + " \(theirText) against \(ourText), a difference that chance explains (\(difference))."
  }

  private func withinSentence(_ valuator: ComparedMethod, _ fidelity: Fidelity) -> String? {
    guard hasSources, let value = fidelity.withinSource.value else { return nil }
    let within = text(fidelity.withinSource)
    if let interval = fidelity.withinSource.interval, interval.lower <= 0 {
      let overall = (fidelity.spearman.interval?.lower ?? 0) > 0
      return "Within a source it is not shown to rank better than chance: \(within) on average."
        + (overall ? " What it knows is mostly which source a row comes from." : "")
    }
    guard let best = bestBaselineWithin, let theirs = best.withinSource.value else {
      return "Within a single source the correlation is \(within) on average."
    }
    let lead = headToHead.first { $0.baseline == best.method }?.withinSource.interval
    let rival = "\(reading(best.method, isReversed: theirs < 0)) (\(NumberText.correlation(abs(theirs))))"
    let opening = "Within a single source the correlation is \(within) on average"
    if let lead, lead.upper < 0 { return "\(opening), less than that of the baseline \(rival)." }
    if let lead, lead.lower <= 0 { return "\(opening), no clear lead over the baseline \(rival)." }
    return "\(opening), more than the best baseline, \(rival): \(meaning(of: value))"
  }

  /// How far the reference is that of these targets alone, and fidelity as a share of that where it is well known.
  private func ceilingSentence(
    _ valuator: ComparedMethod, _ fidelity: Fidelity, _ reference: ComparedMethod
  ) -> String? {
    guard let ceiling, let value = ceiling.spearman.value, let interval = ceiling.spearman.interval else {
      return nil
    }
    let halves =
      "Labels from two halves of the targets order \(NumberText.count(ceiling.rows)) rows alike with a Spearman"
      + " correlation of \(text(ceiling.spearman))"
    guard let others = ceiling.otherTargets, interval.upper >= 0.5 else {
      return "\(halves): so few targets hardly say what is good for others of their kind; give more."
    }
    let other =
      "\(halves); as many other targets would agree with these to about \(NumberText.correlation(others))."
    guard interval.lower >= 0.8, let ours = fidelity.spearman.value, ours > 0 else { return other }
    return other + " \(valuator.name)’s correlation with \(reference.name) is"
      + " \(NumberText.percent(ours / value)) of that of the halves."
  }

  private func meaning(of withinSource: Double) -> String {
    switch withinSource {
    case ..<0.2: "inside one source its order is barely more than a guess."
    case ..<0.5: "good for keeping or dropping shares of a source, not for judging single rows."
    default: "its order means something inside a source too."
    }
  }

  private func costSentence(_ valuator: ComparedMethod, _ reference: ComparedMethod) -> String? {
    guard let fast = valuator.cost?.secondsPerRow, let slow = reference.cost?.secondsPerRow, fast > 0 else {
      return nil
    }
    let ratio = slow / fast
    let speed =
      ratio >= 1
      ? "\(NumberText.significant(ratio, digits: 2)) times as fast as" : "slower than"
    let times =
      "1000 rows take \(NumberText.duration(fast * 1000)) against \(NumberText.duration(slow * 1000))"
    let payback =
      switch breakEven.first(where: { $0.method == valuator.name }) {
      case .none: ""
      case .some(let known) where known.rows == nil: " It never pays back its labels and training."
      case .some(let known):
        " Its labels and training (\(NumberText.duration(known.preparationSeconds))) are paid back after"
          + " \(NumberText.significant(known.rows, digits: 2)) rows."
      }
    return "\(valuator.name) is \(speed) \(reference.name) (\(times)).\(payback)"
  }

  /// Whether the reference label tells the truth about a real step.
  private func oracleSentence(_ reference: ComparedMethod) -> String? {
    guard let oracle, let found = oracle.correlations.first(where: { $0.method == reference.name }),
      let value = found.spearman.value
    else { return nil }
    let measured =
      "Stepping the model for real on \(oracle.rows.count) rows changed the target loss in the order that"
    if oracle.rows.count < 10 {
      return
        "Stepping the model for real on \(oracle.rows.count) rows (Spearman \(inner(found.spearman))) is too"
        + " little to say whether \(reference.name) holds."
    }
    if value >= 0.95 {
      return "\(measured) \(reference.name) predicts (Spearman \(inner(found.spearman))):"
        + " the reference holds."
    }
    if value >= 0.7 {
      return "\(measured) \(reference.name) roughly predicts (Spearman \(inner(found.spearman)));"
        + " below 0.95 the reference is itself a little uncertain."
    }
    return "Stepping the model for real on \(oracle.rows.count) rows did not change the target loss in the"
      + " order that \(reference.name) predicts (Spearman \(inner(found.spearman))): do not trust the reference"
      + " here, nor anything measured against it."
  }

  private func smallSample() -> [String] {
    if rows.count >= 100 { return [] }
    return ["With only \(rows.count) rows the intervals are wide; read differences with care."]
  }

  /// "length", or "length read backwards" where low values go with high labels.
  private func reading(_ name: String, isReversed: Bool) -> String {
    isReversed ? "\(name) read backwards (low values first)" : name
  }

  /// "0.81; 95 % interval 0.78 to 0.84", for inside parentheses.
  private func inner(_ estimate: Estimate) -> String {
    let value = NumberText.correlation(estimate.value)
    guard let interval = estimate.interval else { return value }
    return "\(value); 95 % interval \(NumberText.interval(lower: interval.lower, upper: interval.upper))"
  }

  /// "0.81 (95 % interval 0.78 to 0.84)".
  private func text(_ estimate: Estimate) -> String {
    let value = NumberText.correlation(estimate.value)
    guard let interval = estimate.interval else { return value }
    return "\(value) (95 % interval \(NumberText.interval(lower: interval.lower, upper: interval.upper)))"
  }

  /// What the scores are not, always said.
  func caveatSentences() -> [String] {
    var sentences = [
      "A score is about one step on one document, its loss averaged over its tokens: the first-order change of"
        + " the target loss for the model as it is now. It is not the effect of a whole training run.",
      "Scores do not add up. A sum over rows ignores that rows repeat each other and counts copies twice, so"
        + " the top rows together may be worth less than their scores promise.",
      "Agreement with a label says how well a method imitates the label, not how much better a model becomes.",
    ]
    if methods.contains(where: { $0.name == "BM25" && $0.isDrawn }) {
      sentences.append(
        "BM25 stands beside every number because keyword search is hard to beat: on Bergson's public leaderboard"
          + " (GPT-2, WikiText) it scores 0.220 in LDS where plain gradient products score 0.156.")
    }
    let baselines = Set(methods.filter { $0.role == .baseline }.map(\.name))
    if fidelity.contains(where: { baselines.contains($0.method) && ($0.spearman.value ?? 0) < 0 }) {
      sentences.append(
        "A baseline that correlates negatively is as good as its mirror image, and the summary counts it so.")
    }
    if !agreement.leftOut.isEmpty {
      sentences.append(
        "Sources with fewer than \(Self.minimumSourceCount) rows are not part of the within-source figures: "
          + agreement.leftOut.joined(separator: ", ") + ".")
    }
    sentences.append(
      "Intervals are 95 % bootstrap intervals over the rows of this sample: they hold for rows like these and"
        + " this target, not for other data, and leave out the variation between training seeds.")
    return sentences
  }
}
