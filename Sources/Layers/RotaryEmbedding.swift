import CKernels
import Foundation
import TensorKernels

/// Rotary position embedding (Su et al. 2021) by the Hugging Face convention: feature i of a head turns with
/// feature i + d/2, by the angle `position * theta^(-2i/d)`.
package struct RotaryEmbedding: Sendable {
  private let cosine: MatrixView
  private let sine: MatrixView
  private let half: Int

  /// Tables for positions `0..<positions` of heads of even width `headWidth`.
  package init(headWidth: Int, theta: Double, positions: Int) {
    precondition(headWidth % 2 == 0, "RotaryEmbedding: odd head width \(headWidth)")
    half = headWidth / 2
    let cosine = Matrix(rows: positions, columns: half)
    let sine = Matrix(rows: positions, columns: half)
    for i in 0..<half {
      let frequency = pow(theta, -2 * Double(i) / Double(headWidth))
      for position in 0..<positions {
        cosine[position, i] = Float(cos(Double(position) * frequency))
        sine[position, i] = Float(sin(Double(position) * frequency))
      }
    }
    self.cosine = cosine.view
    self.sine = sine.view
  }

  /// Turns each head of each row of x (T x heads d) in place, positions counted from each sequence's start.
  package func rotate(_ x: Matrix, offsets: [Int]) { apply(x, offsets: offsets, direction: 1) }

  /// Backward of `rotate`: turns back, since a rotation's transpose is its inverse.
  package func rotateBack(_ x: Matrix, offsets: [Int]) { apply(x, offsets: offsets, direction: -1) }

  private func apply(_ x: Matrix, offsets: [Int], direction: Float) {
    for (start, end) in zip(offsets, offsets.dropFirst()) {
      precondition(
        end - start <= cosine.rows, "RotaryEmbedding: \(end - start) positions, tables for \(cosine.rows)")
      ck_rope(
        x.pointer + start * x.stride, x.stride, cosine.pointer, sine.pointer, direction, end - start,
        x.columns / (2 * half), half)
    }
  }
}
