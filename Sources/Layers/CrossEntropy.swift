import CKernels
import TensorKernels

/// One term of a loss: the hidden state in `row` should predict `token`; its loss counts `weight` for `sample`.
package struct PredictedToken: Sendable {
  package let row: Int
  package let token: Int
  package let sample: Int
  package let weight: Double

  package init(row: Int, token: Int, sample: Int, weight: Double) {
    self.row = row
    self.token = token
    self.sample = sample
    self.weight = weight
  }
}

/// The output head with its cross-entropy, some positions at a time, so that logits for a whole batch never exist
/// and positions outside the loss cost nothing.
///
/// `loss_s = sum_t w_t (logsumexp(W h_t) - (W h_t)_token)` over the predictions t of sample s.
/// hidden: T x d, head W: V x d. When `hiddenGradient` (T x d) is given it is written:
/// `dh_t = w_t W^T (softmax(W h_t) - onehot)`, zero where nothing is predicted. Returns the samples' losses.
package func headCrossEntropy(
  hidden: MatrixView, head: MatrixView, predictions: [PredictedToken], samples: Int, hiddenGradient: Matrix?,
  arena: Arena
) -> [Double] {
  var losses = [Double](repeating: 0, count: samples)
  hiddenGradient?.fill(0)
  let mark = arena.mark
  let chunk = min(headChunk, predictions.count)
  let states = arena.matrix(chunk, hidden.columns)
  let logits = arena.matrix(chunk, head.rows)
  for start in stride(from: 0, to: predictions.count, by: headChunk) {
    let part = predictions[start..<min(start + headChunk, predictions.count)]
    let states = states.rows(0..<part.count)
    let logits = logits.rows(0..<part.count)
    for (i, prediction) in part.enumerated() {
      states.rows(i..<i + 1).copy(hidden.rows(prediction.row..<prediction.row + 1))
    }
    gemm(states.view, .no, head, .yes, into: logits)
    for (i, prediction) in part.enumerated() {
      let gradientWeight = hiddenGradient == nil ? 0 : Float(prediction.weight)
      losses[prediction.sample] +=
        prediction.weight
        * ck_cross_entropy(logits.pointer + i * logits.stride, head.rows, prediction.token, gradientWeight)
    }
    guard let hiddenGradient else { continue }
    gemm(logits.view, .no, head, into: states)
    for (i, prediction) in part.enumerated() {
      hiddenGradient.rows(prediction.row..<prediction.row + 1).copy(states.view.rows(i..<i + 1))
    }
  }
  arena.release(to: mark)
  return losses
}

/// Positions whose logits exist at a time.
private let headChunk = 128

/// Floats of arena that `headCrossEntropy` needs.
package func headCrossEntropyScratch(width: Int, vocabulary: Int) -> Int {
  headChunk * (width + vocabulary) + 32
}
