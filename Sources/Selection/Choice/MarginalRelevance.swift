/// Maximal marginal relevance (Carbonell & Goldstein 1998) by lazy greedy choice (Minoux 1978): the next candidate is the one of the
/// largest
/// ```
/// value(x) - L max(0, max over chosen y of cos(x, y))
/// ```
/// and of equal ones the first. The second term only grows while candidates are chosen, so what one was worth earlier bounds what it is worth
/// now, and only the candidate on top is computed again.
package struct MarginalRelevance {
  private let values: [Double]
  private let diversity: Double
  private let vectors: UnitVectors
  private var heap: MinimumHeap<(worth: Double, candidate: Int)>
  /// Candidates that were chosen, in order.
  private var chosen: [Int] = []
  /// By candidate: the greatest cosine so far, at which of the chosen, and how many of them it was held against.
  private var greatest: [Float]
  private var place: [Int32]
  private var seen: [Int32]
  private var sum = 0.0

  /// - Parameter diversity: L, at least 0.
  package init(values: [Double], diversity: Double, vectors: UnitVectors) {
    precondition(
      values.count == vectors.count, "MarginalRelevance: \(values.count) values, \(vectors.count) vectors")
    (self.values, self.diversity, self.vectors) = (values, diversity, vectors)
    heap = MinimumHeap(values.indices.map { (values[$0], $0) }) {
      ($1.worth, $0.candidate) < ($0.worth, $1.candidate)
    }
    greatest = [Float](repeating: 0, count: values.count)
    place = [Int32](repeating: -1, count: values.count)
    seen = [Int32](repeating: 0, count: values.count)
  }

  /// The candidate that is worth most now, which is then no candidate any more; nil where none is left.
  package mutating func next() -> Int? {
    while let (worth, candidate) = heap.first {
      update(candidate)
      let now = values[candidate] - diversity * Double(greatest[candidate])
      if now < worth {
        heap.replaceFirst((now, candidate))
      } else {
        heap.removeFirst()
        return candidate
      }
    }
    return nil
  }

  /// Chooses what `next` gave: what is like it is worth less from now on.
  package mutating func choose(_ candidate: Int) {
    sum += Double(greatest[candidate])
    chosen.append(candidate)
  }

  /// The number, among the chosen, of what the candidate is likest to; nil where it is like none as far as that was asked.
  package func likest(to candidate: Int) -> Int? { place[candidate] < 0 ? nil : Int(place[candidate]) }

  /// The mean likeness of the chosen, each to the likest that was chosen before it.
  package var meanRedundancy: Double { sum / Double(max(1, chosen.count)) }

  private mutating func update(_ candidate: Int) {
    for other in Int(seen[candidate])..<chosen.count {
      let cosine = vectors.cosine(candidate, chosen[other])
      if cosine > greatest[candidate] { (greatest[candidate], place[candidate]) = (cosine, Int32(other)) }
    }
    seen[candidate] = Int32(chosen.count)
  }
}
