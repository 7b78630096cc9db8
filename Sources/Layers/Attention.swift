import CKernels
import TensorKernels

/// The shape of multi-head attention: `heads` query heads of width `headWidth`, in groups that share one of
/// `keyValueHeads` key and value heads (grouped-query attention, Ainslie et al. 2023); causal or not.
package struct AttentionShape: Sendable {
  package let heads: Int
  package let keyValueHeads: Int
  package let headWidth: Int
  package let isCausal: Bool

  package init(heads: Int, keyValueHeads: Int, headWidth: Int, isCausal: Bool) {
    precondition(
      keyValueHeads > 0 && heads % keyValueHeads == 0, "\(heads) heads over \(keyValueHeads) key-value heads")
    self.heads = heads
    self.keyValueHeads = keyValueHeads
    self.headWidth = headWidth
    self.isCausal = isCausal
  }

  package var queryWidth: Int { heads * headWidth }
  package var keyValueWidth: Int { keyValueHeads * headWidth }
  var scale: Float { 1 / Float(headWidth).squareRoot() }

  func queryColumns(_ head: Int) -> Range<Int> { head * headWidth..<(head + 1) * headWidth }

  func keyValueColumns(ofHead head: Int) -> Range<Int> { queryColumns(head / (heads / keyValueHeads)) }

  /// Floats of arena that `attention` needs for sequences of at most `length` positions.
  package func forwardScratch(length: Int) -> Int { length * length + 16 }

  /// Floats of arena that `attentionBackward` needs for sequences of at most `length` positions.
  package func backwardScratch(length: Int) -> Int { 2 * (length * length + 16) }
}

/// Scaled dot-product attention within each sequence of a packed batch:
/// `O_h = softmax(Q_h K_h^T / sqrt(d)) V_h`, rows masked above the diagonal when causal.
///
/// q: T x (heads d), k and v: T x (keyValueHeads d), output: T x (heads d); sequence s is rows
/// `offsets[s]..<offsets[s + 1]`.
package func attention(
  query q: MatrixView, key k: MatrixView, value v: MatrixView, offsets: [Int], shape: AttentionShape,
  into output: Matrix, arena: Arena
) {
  forEachHead(offsets: offsets, shape: shape, arena: arena) { rows, head in
    let kv = shape.keyValueColumns(ofHead: head)
    let p = attentionProbabilities(q, k, rows: rows, head: head, shape: shape, arena: arena)
    gemm(p.view, .no, v.rows(rows).columns(kv), into: output.rows(rows).columns(shape.queryColumns(head)))
  }
}

/// Backward of `attention`. The probabilities are computed again, not kept: they are the one activation that
/// grows with the square of the length.
///
/// With P the probabilities and dO the output's gradient: `dV = P^T dO`, `dP = dO V^T`,
/// `dS = P (dP - rowsum(P dP)) / sqrt(d)`, `dQ = dS K`, `dK = dS^T Q`. dq, dk and dv are written.
package func attentionBackward(
  query q: MatrixView, key k: MatrixView, value v: MatrixView, outputGradient: MatrixView, offsets: [Int],
  shape: AttentionShape, queryGradient dq: Matrix, keyGradient dk: Matrix, valueGradient dv: Matrix,
  arena: Arena
) {
  let group = shape.heads / shape.keyValueHeads
  forEachHead(offsets: offsets, shape: shape, arena: arena) { rows, head in
    let columns = shape.queryColumns(head)
    let kv = shape.keyValueColumns(ofHead: head)
    let upstream = outputGradient.rows(rows).columns(columns)
    // The first head of a group writes the shared key and value gradients, the others add to them.
    let beta: Float = head % group == 0 ? 0 : 1
    let p = attentionProbabilities(q, k, rows: rows, head: head, shape: shape, arena: arena)
    gemm(p.view, .yes, upstream, into: dv.rows(rows).columns(kv), beta: beta)
    let ds = arena.matrix(rows.count, rows.count)
    gemm(upstream, .no, v.rows(rows).columns(kv), .yes, into: ds)
    ck_softmax_backward(ds.pointer, p.pointer, shape.scale, rows.count, rows.count)
    gemm(ds.view, .no, k.rows(rows).columns(kv), into: dq.rows(rows).columns(columns))
    gemm(ds.view, .yes, q.rows(rows).columns(columns), into: dk.rows(rows).columns(kv), beta: beta)
  }
}

private func forEachHead(
  offsets: [Int], shape: AttentionShape, arena: Arena, _ body: (_ rows: Range<Int>, _ head: Int) -> Void
) {
  for (start, end) in zip(offsets, offsets.dropFirst()) where end > start {
    for head in 0..<shape.heads {
      let mark = arena.mark
      body(start..<end, head)
      arena.release(to: mark)
    }
  }
}

private func attentionProbabilities(
  _ q: MatrixView, _ k: MatrixView, rows: Range<Int>, head: Int, shape: AttentionShape, arena: Arena
) -> Matrix {
  let p = arena.matrix(rows.count, rows.count)
  gemm(
    q.rows(rows).columns(shape.queryColumns(head)), .no,
    k.rows(rows).columns(shape.keyValueColumns(ofHead: head)),
    .yes, into: p)
  ck_softmax(p.pointer, shape.scale, shape.isCausal ? 1 : 0, rows.count, rows.count)
  return p
}
