import Comparison
import Testing

@Suite("KNN-Shapley")
struct NearestNeighbourShapleyTests {
  private let worths = [0.3, -0.2, 0.9, 0.5, 0.1, 0.7]

  /// What a set of points is worth to the query: the mean over k of its k nearest, the highest worths.
  private func worth(of points: [Int], neighbours: Int) -> Double {
    points.map { worths[$0] }.sorted(by: >).prefix(neighbours).reduce(0, +) / Double(neighbours)
  }

  /// By definition: a point's mean gain over all orders in which points may come.
  private func shapley(neighbours: Int) -> [Double] {
    var values = [Double](repeating: 0, count: worths.count)
    let orders = permutations(Array(worths.indices))
    for order in orders {
      for (place, point) in order.enumerated() {
        values[point] +=
          worth(of: Array(order[...place]), neighbours: neighbours)
          - worth(of: Array(order[..<place]), neighbours: neighbours)
      }
    }
    return values.map { $0 / Double(orders.count) }
  }

  private func permutations(_ items: [Int]) -> [[Int]] {
    guard items.count > 1 else { return [items] }
    return items.indices.flatMap { first in
      var rest = items
      let item = rest.remove(at: first)
      return permutations(rest).map { [item] + $0 }
    }
  }

  @Test("the closed form is the mean over all orders", arguments: [1, 2, 5, 9])
  func equalsDefinition(neighbours: Int) {
    let expected = shapley(neighbours: neighbours)
    let values = NearestNeighbourShapley(neighbours: neighbours).values(worths: worths)
    for (value, expected) in zip(values, expected) { #expect(abs(value - expected) < 1e-12) }
    // What all points are worth together is shared out.
    let whole = worth(of: Array(worths.indices), neighbours: neighbours)
    #expect(abs(values.reduce(0, +) - whole) < 1e-12)
  }
}
