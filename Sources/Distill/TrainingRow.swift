import Foundation
import TensorKernels

/// A row as training reads it.
package struct TrainingRow: Sendable {
  package let ids: [Int]
  package let target: Double

  package init(ids: [Int], target: Double) {
    self.ids = ids
    self.target = target
  }

  /// A random run of the text's tokens between its first and last (`[CLS]`, `[SEP]`), at least two fifths of them,
  /// its target moved by what the length lost: a part of a text is of the same source as the whole.
  package func cropped(slope: Double, using generator: inout SeededGenerator) -> TrainingRow {
    let inner = ids.count - 2
    let kept = max(Self.shortestCrop, Int(Double(inner) * (0.4 + 0.6 * generator.uniform())))
    let offset = generator.uniform()
    guard kept < inner else { return self }
    let start = 1 + Int(offset * Double(inner - kept + 1))
    let part = [ids[0]] + ids[start..<start + kept] + [ids[ids.count - 1]]
    let change = Double(part.count).squareRoot() - Double(ids.count).squareRoot()
    return TrainingRow(ids: part, target: target + slope * change)
  }

  /// Fewer tokens hardly show what a text is.
  private static let shortestCrop = 16
}
