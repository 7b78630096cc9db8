import CKernels
import Foundation
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

/// The output head with its cross-entropy, some positions and some of the vocabulary at a time, so that logits for a
/// whole batch never exist and positions outside the loss cost nothing.
///
/// `loss_s = sum_t w_t (logsumexp(W h_t) - (W h_t)_token)` over the predictions t of sample s.
/// hidden: T x d, head W: V x d. When `hiddenGradient` (T x d) is given it is written:
/// `dh_t = w_t W^T (softmax(W h_t) - onehot)`, zero where nothing is predicted. When `headGradient` (V x d) is given too,
/// `dW += sum_t w_t (softmax(W h_t) - onehot) h_t^T`. Returns the samples' losses.
///
/// With `softCap` c the logits are `c tanh(W h_t / c)`, and their gradient is multiplied by `1 - tanh^2`.
package func headCrossEntropy(
  hidden: MatrixView, head: WeightMatrix, predictions: [PredictedToken], samples: Int,
  hiddenGradient: Matrix?, headGradient: Matrix? = nil, softCap: Float? = nil, arena: Arena,
  precision: Precision
) -> [Double] {
  var losses = [Double](repeating: 0, count: samples)
  hiddenGradient?.fill(0)
  let most = headChunk(vocabulary: head.rows)
  // Chunks of equal size: a small one at the end would read the whole head for a few positions.
  let chunks = (predictions.count + most - 1) / most
  for index in 0..<chunks {
    let part = predictions[index * predictions.count / chunks..<(index + 1) * predictions.count / chunks]
    let mark = arena.mark
    let states = arena.matrix(part.count, hidden.columns)
    for (i, prediction) in part.enumerated() {
      states.rows(i..<i + 1).copy(hidden.rows(prediction.row..<prediction.row + 1))
    }
    var chunk = HeadChunk(
      part, states: states, head: head, keepsLogits: hiddenGradient != nil, softCap: softCap, arena: arena,
      precision: precision)
    let terms = chunk.forward()
    for (prediction, term) in zip(part, terms) { losses[prediction.sample] += prediction.weight * term }
    if let hiddenGradient {
      let gradient = headGradient == nil ? states : Matrix(rows: states.rows, columns: states.columns)
      chunk.backward(into: gradient, headGradient: headGradient)
      for (i, prediction) in part.enumerated() {
        hiddenGradient.rows(prediction.row..<prediction.row + 1).copy(gradient.view.rows(i..<i + 1))
      }
    }
    arena.release(to: mark)
  }
  return losses
}

/// Positions whose logits exist at a time, at most: about 32 MB of them, and not fewer than a product wants.
private func headChunk(vocabulary: Int) -> Int { max(4, min(36, (8 << 20) / (14 * vocabulary))) * 14 }

/// How much of the vocabulary is worked on while its logits are in the cache.
private let vocabularyBlock = 512

/// Floats of arena that `headCrossEntropy` needs for at most `positions` predictions.
package func headCrossEntropyScratch(
  width: Int, vocabulary: Int, positions: Int, softCaps: Bool = false
) -> Int {
  min(positions, headChunk(vocabulary: vocabulary))
    * (width + (softCaps ? 2 : 1) * vocabulary + vocabulary / vocabularyBlock + 1) + 5 * 16
}

/// The predictions of one chunk of positions. Block after block of the vocabulary, forward keeps `e^(logit - top)`
/// with the largest logit seen so far as top; backward knows the largest of all.
private struct HeadChunk {
  private let predictions: ArraySlice<PredictedToken>
  private let states: Matrix
  private let head: WeightMatrix
  private let blocks: [Range<Int>]
  private let logits: Matrix
  private let keepsLogits: Bool
  private let softCap: Float?
  /// The slope that soft-capping has at each logit.
  private let slopes: Matrix?
  private let precision: Precision
  /// blocks x positions: the top that a block's exponentials are taken from.
  private let blockTop: Matrix
  private var top: [Float]
  private var total: [Double]

  init(
    _ predictions: ArraySlice<PredictedToken>, states: Matrix, head: WeightMatrix, keepsLogits: Bool,
    softCap: Float?, arena: Arena, precision: Precision
  ) {
    self.predictions = predictions
    self.states = states
    self.head = head
    self.keepsLogits = keepsLogits
    self.softCap = softCap
    self.precision = precision
    blocks = stride(from: 0, to: head.rows, by: vocabularyBlock).map {
      $0..<min($0 + vocabularyBlock, head.rows)
    }
    logits = arena.matrix(predictions.count, keepsLogits ? head.rows : min(vocabularyBlock, head.rows))
    slopes = softCap != nil && keepsLogits ? arena.matrix(predictions.count, head.rows) : nil
    blockTop = arena.matrix(blocks.count, predictions.count)
    top = [Float](repeating: -.infinity, count: predictions.count)
    total = [Double](repeating: 0, count: predictions.count)
  }

  private func part(_ block: Range<Int>) -> Matrix {
    logits.columns(keepsLogits ? block : 0..<block.count)
  }

  /// Each prediction's `logsumexp(logits) - logits[token]`.
  mutating func forward() -> [Double] {
    var chosen = [Float](repeating: 0, count: predictions.count)
    for (index, block) in blocks.enumerated() {
      let part = part(block)
      gemm(states.view, .no, head.rows(block), .yes, into: part, precision: precision)
      if let softCap { TensorKernels.softCap(part, cap: softCap, slope: slopes?.columns(block)) }
      for (i, prediction) in predictions.enumerated() where block.contains(prediction.token) {
        chosen[i] = part[i, prediction.token - block.lowerBound]
      }
      ck_exp_block(
        part.pointer, part.stride, &top, &total, blockTop.rows(index..<index + 1).pointer, part.rows,
        part.columns)
    }
    return top.indices.map { log(total[$0]) + Double(top[$0] - chosen[$0]) }
  }

  /// `w (softmax - onehot) W` a row; the states' own memory where the head's gradient is not wanted.
  func backward(into gradient: Matrix, headGradient: Matrix?) {
    for (index, block) in blocks.enumerated() {
      let part = part(block)
      for (i, prediction) in predictions.enumerated() {
        let row = part.rows(i..<i + 1)
        scale(row, by: Float(prediction.weight / total[i]) * exp(blockTop[index, i] - top[i]))
        if block.contains(prediction.token) {
          row[0, prediction.token - block.lowerBound] -= Float(prediction.weight)
        }
      }
      if let slopes { multiply(part, by: slopes.view.columns(block)) }
      if let headGradient {
        gemm(part.view, .yes, states.view, into: headGradient.rows(block), beta: 1, precision: precision)
      }
      gemm(part.view, .no, head.rows(block), into: gradient, beta: index == 0 ? 0 : 1, precision: precision)
    }
  }
}
