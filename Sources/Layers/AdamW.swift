import CKernels
import Foundation
import TensorKernels

/// Adam with decoupled weight decay (Loshchilov & Hutter 2019):
/// `m = b1 m + (1 - b1) g`, `v = b2 v + (1 - b2) g^2`,
/// `w -= rate (m / (1 - b1^step) / (sqrt(v / (1 - b2^step)) + epsilon) + decay w)`.
package struct AdamW: Sendable {
  package var firstMomentDecay: Float = 0.9
  package var secondMomentDecay: Float = 0.999
  package var epsilon: Float = 1e-8

  package init() {}

  /// One step (counted from 1) on one tensor; moments are updated with it.
  package func update(
    _ weight: Matrix, gradient: MatrixView, firstMoment: Matrix, secondMoment: Matrix, step: Int,
    learningRate: Float, weightDecay: Float
  ) {
    let shapes = [gradient, firstMoment.view, secondMoment.view]
    precondition(step > 0, "AdamW: step \(step), counted from 1")
    precondition(
      weight.isContiguous
        && shapes.allSatisfy { $0.rows == weight.rows && $0.columns == weight.columns && $0.isContiguous },
      "AdamW: \(weight.rows) x \(weight.columns) with \(shapes.map { "\($0.rows) x \($0.columns)" })")
    ck_adamw(
      weight.pointer, firstMoment.pointer, secondMoment.pointer, gradient.pointer, learningRate,
      firstMomentDecay, secondMomentDecay, 1 - pow(firstMomentDecay, Float(step)),
      1 - pow(secondMomentDecay, Float(step)), epsilon, weightDecay, weight.rows * weight.columns)
  }
}
