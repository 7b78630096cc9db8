import CKernels
import Foundation
import TensorKernels

/// Rotary position embedding (Su et al. 2021) by the Hugging Face convention: feature i of a head turns with
/// feature i + d/2, by the angle `position * theta^(-2i/d)`.
package struct RotaryEmbedding: Sendable {
  private let frequencies: [Double]

  /// For heads of even width `headWidth`.
  package init(headWidth: Int, theta: Double) {
    precondition(headWidth % 2 == 0, "RotaryEmbedding: odd head width \(headWidth)")
    frequencies = (0..<headWidth / 2).map { pow(theta, -2 * Double($0) / Double(headWidth)) }
  }

  /// The sines and cosines of the first `positions` positions. Made for each batch, by its longest sequence: a model
  /// may claim a context that nobody uses.
  package func angles(positions: Int) -> RotaryAngles {
    let cosine = Matrix(rows: positions, columns: frequencies.count)
    let sine = Matrix(rows: positions, columns: frequencies.count)
    for position in 0..<positions {
      for (i, frequency) in frequencies.enumerated() {
        cosine[position, i] = Float(cos(Double(position) * frequency))
        sine[position, i] = Float(sin(Double(position) * frequency))
      }
    }
    return RotaryAngles(cosine: cosine.view, sine: sine.view)
  }
}

/// Rotary angles by position, each positions x d/2.
package struct RotaryAngles: Sendable {
  fileprivate let cosine: MatrixView
  fileprivate let sine: MatrixView

  /// Turns each head of each row of x (T x heads d) in place, positions counted from each sequence's start.
  package func rotate(_ x: Matrix, offsets: [Int]) { apply(x, offsets: offsets, direction: 1) }

  /// Backward of `rotate`: turns back, since a rotation's transpose is its inverse.
  package func rotateBack(_ x: Matrix, offsets: [Int]) { apply(x, offsets: offsets, direction: -1) }

  private func apply(_ x: Matrix, offsets: [Int], direction: Float) {
    let half = cosine.columns
    for (start, end) in zip(offsets, offsets.dropFirst()) {
      precondition(
        end - start <= cosine.rows, "RotaryAngles: \(end - start) positions, tables for \(cosine.rows)")
      ck_rope(
        x.pointer + start * x.stride, x.stride, cosine.pointer, sine.pointer, direction, end - start,
        x.columns / (2 * half), half)
    }
  }
}
