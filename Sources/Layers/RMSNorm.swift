import CKernels
import TensorKernels

/// Root-mean-square norm (Zhang & Sennrich 2019) of each row: `y = x / sqrt(mean(x^2) + epsilon) * w`.
///
/// x and y: T x d, w: 1 x d. `inverseRMS` (1 x T) is written for `rmsNormBackward`.
package func rmsNorm(
  _ x: MatrixView, weight w: MatrixView, epsilon: Float, into y: Matrix, inverseRMS: Matrix
) {
  precondition(
    w.columns == x.columns && y.rows == x.rows && y.columns == x.columns && inverseRMS.columns >= x.rows,
    "rmsNorm: \(x.rows) x \(x.columns) by weight \(w.columns) into \(y.rows) x \(y.columns)")
  precondition(x.isContiguous && y.isContiguous, "rmsNorm: rows apart")
  ck_rms_norm(y.pointer, inverseRMS.pointer, x.pointer, w.pointer, epsilon, x.rows, x.columns)
}

/// `dw += sum_t dy_t * x_t r_t`, r the inverse root mean square of each row; dw: 1 x d.
package func rmsNormWeightGradient(
  _ x: MatrixView, inverseRMS: MatrixView, outputGradient dy: MatrixView, addingTo dw: Matrix
) {
  precondition(
    dy.rows == x.rows && dy.columns == x.columns && dw.rows == 1 && dw.columns == x.columns,
    "rmsNormWeightGradient: \(x.rows) x \(x.columns), gradient \(dy.rows) x \(dy.columns), weight \(dw.columns)"
  )
  for row in 0..<x.rows {
    let (source, gradient) = (x.pointer + row * x.stride, dy.pointer + row * dy.stride)
    let (sum, scale) = (dw.pointer, inverseRMS.pointer[row])
    for column in 0..<x.columns { sum[column] += gradient[column] * (source[column] * scale) }
  }
}

/// Backward of `rmsNorm`, added to dx: with n = x r and r the inverse root mean square,
/// `dx += r (w dy - n mean(w dy n))`.
package func rmsNormBackward(
  _ x: MatrixView, weight w: MatrixView, inverseRMS: MatrixView, outputGradient dy: MatrixView,
  addingTo dx: Matrix
) {
  precondition(
    dy.rows == x.rows && dy.columns == x.columns && dx.rows == x.rows && dx.columns == x.columns,
    "rmsNormBackward: \(x.rows) x \(x.columns), gradient \(dy.rows) x \(dy.columns)")
  precondition(x.isContiguous && dy.isContiguous && dx.isContiguous, "rmsNormBackward: rows apart")
  ck_rms_norm_backward(dx.pointer, dy.pointer, x.pointer, inverseRMS.pointer, w.pointer, x.rows, x.columns)
}
