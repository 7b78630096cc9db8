import CKernels
import TensorKernels

/// `y = W2 gelu(W1 x + b1) + b2 + r`, some rows at a time, so that what is between the layers stays in the cache: forward alone.
///
/// x, r and y: T x width; W1: hidden x width, W2: width x hidden, packed alike.
package struct FeedForward: Sendable {
  private let up: PackedWeight
  private let upBias: MatrixView
  private let down: PackedWeight
  private let downBias: MatrixView

  package init(up: PackedWeight, upBias: MatrixView, down: PackedWeight, downBias: MatrixView) {
    precondition(
      up.outputs == down.inputs && up.inputs == down.outputs && up.numbers == down.numbers
        && upBias.columns == up.outputs && downBias.columns == down.outputs && upBias.rows == 1
        && downBias.rows == 1,
      "FeedForward: \(up.outputs) x \(up.inputs) and \(down.outputs) x \(down.inputs)")
    (self.up, self.upBias, self.down, self.downBias) = (up, upBias, down, downBias)
  }

  /// - Parameter residual: other memory than y.
  package func callAsFunction(_ x: MatrixView, residual: MatrixView, into y: Matrix) {
    precondition(
      [(x.rows, x.columns), (residual.rows, residual.columns), (y.rows, y.columns)]
        .allSatisfy { $0 == (x.rows, up.inputs) } && residual.pointer != UnsafePointer(y.pointer),
      "FeedForward: \(x.rows) x \(x.columns) into \(y.rows) x \(y.columns) for width \(up.inputs)")
    up.withKernelArguments { code, upWeight in
      down.withKernelArguments { _, downWeight in
        var task = ck_feed_forward_task(
          numbers: code, rows: x.rows, width: up.inputs, hidden: up.outputs, x: x.pointer,
          up_bias: upBias.pointer, down_bias: downBias.pointer, residual: residual.pointer,
          x_stride: x.stride, residual_stride: residual.stride, up: upWeight, down: downWeight,
          y: y.pointer, y_stride: y.stride)
        ck_feed_forward(&task)
      }
    }
  }
}
