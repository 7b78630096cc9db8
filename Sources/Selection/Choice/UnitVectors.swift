/// Vectors of length one, whose cosines are asked for.
package struct UnitVectors: Sendable {
  private typealias Lanes = SIMD16<Float>

  package let count: Int
  private let lanesEach: Int
  /// Vector after vector, zeros behind the last number of each.
  private var lanes: [Lanes]

  /// Zeros, to be set and then normalized.
  package init(count: Int, width: Int) {
    self.count = count
    lanesEach = (width + Lanes.scalarCount - 1) / Lanes.scalarCount
    lanes = [Lanes](repeating: .zero, count: count * lanesEach)
  }

  package mutating func set(_ vector: Int, _ numbers: some Sequence<Float>) {
    for (place, number) in numbers.enumerated() {
      lanes[vector * lanesEach + place / Lanes.scalarCount][place % Lanes.scalarCount] = number
    }
  }

  /// Moves the mean to zero; sums go in the vectors' order.
  package mutating func centre() {
    for lane in 0..<lanesEach {
      var sum = Lanes.zero
      for vector in 0..<count { sum += lanes[vector * lanesEach + lane] }
      let mean = sum / Float(max(1, count))
      for vector in 0..<count { lanes[vector * lanesEach + lane] -= mean }
    }
  }

  /// Gives each the length one; zeros stay.
  package mutating func normalize() {
    for vector in 0..<count {
      let length = max(cosine(vector, vector).squareRoot(), .leastNormalMagnitude)
      for lane in 0..<lanesEach { lanes[vector * lanesEach + lane] /= length }
    }
  }

  /// Of two that are normalized.
  package func cosine(_ left: Int, _ right: Int) -> Float {
    var sum = Lanes.zero
    for lane in 0..<lanesEach {
      sum.addProduct(lanes[left * lanesEach + lane], lanes[right * lanesEach + lane])
    }
    return sum.sum()
  }
}
