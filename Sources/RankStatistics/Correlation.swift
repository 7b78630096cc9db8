/// The ranks of `values` from 1 (smallest) to n (largest); equal values share the average of their ranks.
/// A NaN has no rank: passing one is a programmer error.
package func ranks(_ values: [Double]) -> [Double] {
  precondition(!values.contains { $0.isNaN }, "ranks: a NaN has no rank")
  // Sorting the values with their places, not the places by their values: half the time.
  let sorted = zip(values, values.indices).sorted { $0.0 < $1.0 }
  var ranks = [Double](repeating: 0, count: values.count)
  var first = 0
  while first < sorted.count {
    var end = first + 1
    while end < sorted.count, sorted[end].0 == sorted[first].0 { end += 1 }
    let shared = Double(first + end + 1) / 2
    for (_, row) in sorted[first..<end] { ranks[row] = shared }
    first = end
  }
  return ranks
}

/// Pearson's correlation `sum (x - mx)(y - my) / sqrt(sum (x - mx)^2 sum (y - my)^2)`, in two passes.
/// Nil where it is not defined: fewer than two rows, a value that is not finite, or a constant input.
package func pearson(_ x: [Double], _ y: [Double]) -> Double? {
  precondition(x.count == y.count, "pearson: \(x.count) values against \(y.count)")
  guard varies(x), varies(y), x.allSatisfy(\.isFinite), y.allSatisfy(\.isFinite) else { return nil }
  let meanX = x.reduce(0, +) / Double(x.count)
  let meanY = y.reduce(0, +) / Double(y.count)
  var xx = 0.0
  var yy = 0.0
  var xy = 0.0
  for row in x.indices {
    let dx = x[row] - meanX
    let dy = y[row] - meanY
    xx += dx * dx
    yy += dy * dy
    xy += dx * dy
  }
  // One root of the product: exactly one for equal ranks. Two roots where the product leaves the range.
  let product = xx * yy
  let scale = product.isNormal ? product.squareRoot() : xx.squareRoot() * yy.squareRoot()
  guard scale > 0, scale.isFinite else { return nil }
  return min(1, max(-1, xy / scale))
}

/// Spearman's correlation: Pearson's of the ranks, ties sharing their average rank (so it equals SciPy's
/// `spearmanr`). Nil where it is not defined: fewer than two rows, a NaN, or a constant input.
package func spearman(_ x: [Double], _ y: [Double]) -> Double? {
  precondition(x.count == y.count, "spearman: \(x.count) values against \(y.count)")
  guard !x.contains(where: \.isNaN), !y.contains(where: \.isNaN) else { return nil }
  return pearson(ranks(x), ranks(y))
}

/// Spearman's correlation inside each group of rows, and the plain mean over the groups.
///
/// A ranking that only sorts the groups (the sources of a corpus) has a high overall correlation and a mean
/// near zero here.
package struct WithinGroupCorrelation: Codable, Sendable, Equatable {
  /// One group of at least the minimum number of rows.
  package struct Group: Codable, Sendable, Equatable {
    package var name: String
    package var count: Int
    /// Nil where the correlation is not defined in this group (one side is constant).
    package var value: Double?

    package init(name: String, count: Int, value: Double?) {
      self.name = name
      self.count = count
      self.value = value
    }
  }

  /// Sorted by name.
  package var groups: [Group]
  /// The mean over the groups that have a value, each weighing the same; nil where there is none.
  package var mean: Double?
  /// The groups with too few rows, sorted by name.
  package var leftOut: [String]

  package init(groups: [Group], leftOut: [String]) {
    self.groups = groups
    self.leftOut = leftOut
    let values = groups.compactMap(\.value)
    self.mean = values.isEmpty ? nil : values.reduce(0, +) / Double(values.count)
  }
}

/// Spearman's correlation of `x` and `y` inside each group; `groups` names the group of every row.
/// Groups of fewer than `minimumCount` rows are left out of the mean and listed.
package func spearmanWithin(
  _ x: [Double], _ y: [Double], groups: [String], minimumCount: Int = 10
) -> WithinGroupCorrelation {
  precondition(
    x.count == y.count && x.count == groups.count,
    "spearmanWithin: \(x.count) values against \(y.count) in \(groups.count) group names")
  let rows = Dictionary(grouping: groups.indices) { groups[$0] }
  var kept: [WithinGroupCorrelation.Group] = []
  var leftOut: [String] = []
  for (name, members) in rows.sorted(by: { $0.key < $1.key }) {
    guard members.count >= minimumCount else {
      leftOut.append(name)
      continue
    }
    let value = spearman(members.map { x[$0] }, members.map { y[$0] })
    kept.append(.init(name: name, count: members.count, value: value))
  }
  return WithinGroupCorrelation(groups: kept, leftOut: leftOut)
}

/// The mean of `spearmanWithin` alone, for groups numbered from zero: what a bootstrap asks for a thousand times.
package func meanSpearmanWithin(
  _ x: [Double], _ y: [Double], groups: [Int], minimumCount: Int = 10
) -> Double? {
  precondition(
    x.count == y.count && x.count == groups.count,
    "meanSpearmanWithin: \(x.count) values against \(y.count) in \(groups.count) groups")
  var members = [(x: [Double], y: [Double])](repeating: ([], []), count: (groups.max() ?? -1) + 1)
  for row in groups.indices {
    members[groups[row]].x.append(x[row])
    members[groups[row]].y.append(y[row])
  }
  let values = members.filter { $0.x.count >= minimumCount }.compactMap { spearman($0.x, $0.y) }
  return values.isEmpty ? nil : values.reduce(0, +) / Double(values.count)
}

/// True where at least two values differ. Comparing the values themselves, because the variance of a
/// constant that is not a binary fraction rounds to something above zero.
private func varies(_ values: [Double]) -> Bool {
  guard let first = values.first else { return false }
  return values.contains { $0 != first }
}
