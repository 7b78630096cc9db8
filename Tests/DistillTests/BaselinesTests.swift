import Foundation
import TensorKernels
import Testing

import Distill

@Suite struct BaselinesTests {
  /// Token 1 raises the target, token 2 lowers it, token 3 is in every text.
  private let texts = [[1, 3], [1, 1, 3], [2, 3], [2, 3, 3], [1, 2, 3], [3, 4]]
  private let targets = [2.0, 2.5, -2, -2.5, 0.1, 0]

  @Test func tfIdfRegressionSolvesItsNormalEquations() {
    let lambda = 0.3
    let fit = TFIDFRegression(texts: texts, targets: targets, vocabulary: 5, lambda: lambda)
    // The same from the definition, densely: predictions K (K + lambda I)^-1 y of centred targets.
    let documents = (0..<5).map { id in Double(texts.count { $0.contains(id) }) }
    let rows = texts.map { text -> [Double] in
      let values = (0..<5).map { id -> Double in
        let count = Double(text.count { $0 == id })
        return count > 0 ? (1 + log(count)) * log(1 + 6 / documents[id]) : 0
      }
      let norm = values.reduce(0) { $0 + $1 * $1 }.squareRoot()
      return values.map { $0 / norm }
    }
    func inner(_ a: [Double], _ b: [Double]) -> Double { zip(a, b).reduce(0) { $0 + $1.0 * $1.1 } }
    let mean = targets.reduce(0, +) / 6
    let kernel = rows.map { a in rows.map { inner(a, $0) } }
    var a = kernel.enumerated().flatMap { i, row in row.enumerated().map { $1 + (i == $0 ? lambda : 0) } }
    var b = targets.map { $0 - mean }
    #expect(solvePositiveDefinite(&a, &b, rightHandSides: 1))
    for (text, row) in zip(texts, kernel) { #expect(abs(fit(text) - (inner(row, b) + mean)) < 1e-6) }
    #expect(fit([1, 3]) > 1 && fit([2, 3]) < -1)
    #expect(abs(fit([0]) - mean) < 1e-12, "a word that was never seen says nothing")
  }

  @Test func nearestNeighboursAreByDirection() {
    let features = Matrix(rows: 5, columns: 2, values: [1, 0, 10, 1, 0, 1, -1, 5, 2, 0.1])
    let predicted = nearestNeighbours(
      features: features.view, of: [0, 2, 4], training: [0, 1, 2, 3], targets: [1, 2, 10, 20], neighbours: 2)
    #expect(predicted == [1.5, 0, 15, 0, 1.5])
  }
}
