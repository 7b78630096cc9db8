import RankStatistics

/// How the scores of a long text's windows become one.
package enum WindowPooling: String, Sendable, CaseIterable {
  /// The mean, each window by its scored tokens, as the gradient of a mean loss is the mean of its parts' gradients.
  case mean
  /// That of the window with the highest.
  case max
  /// That of the first window, as labels are made; the rest is not read. What is held against labels is scored so.
  case first

  /// Where none is chosen: the mean, but the first for the head's own output, which is to be what sentence-transformers gives,
  /// and that cuts.
  package static func usual(isRaw: Bool) -> WindowPooling { isRaw ? .first : .mean }
}

extension WindowPooling {
  /// One score of a text's windows. The head's outputs are pooled, and go through `map` to label units, so that the order is
  /// theirs; the spread is the mean of the windows', which is what it would be if they all erred alike; it is outside where most
  /// of its tokens are.
  func pooled(_ scores: [Valuator.Score], windows: [EncodedText], map: IsotonicMap) -> Valuator.Score {
    guard scores.count > 1 else { return scores[0] }
    // What is no number must not be outdone by its neighbours.
    if let broken = scores.first(where: { !$0.isFinite }) { return broken }
    var whole = scores.max { $0.raw < $1.raw }!
    let weights = windows.map { Double($0.isScored.count { $0 }) }
    let total = weights.reduce(0, +)
    func mean(_ values: [Double]) -> Double { zip(weights, values).reduce(0) { $0 + $1.0 * $1.1 } / total }
    if self == .mean {
      whole.raw = Float(mean(scores.map { Double($0.raw) }))
      whole.value = map(Double(whole.raw))
      whole.spread = scores.contains { $0.spread == nil } ? nil : mean(scores.map { $0.spread ?? 0 })
      let told = zip(weights, scores).filter { $0.1.isOutside != nil }
      let outside = told.filter { $0.1.isOutside == true }.reduce(0) { $0 + $1.0 }
      whole.isOutside = told.isEmpty ? nil : 2 * outside > told.reduce(0) { $0 + $1.0 }
    }
    whole.tokens = scores.reduce(0) { $0 + $1.tokens }
    whole.isTruncated = scores.contains { $0.isTruncated }
    return whole
  }
}
