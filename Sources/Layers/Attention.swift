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
  package func forwardScratch(length: Int) -> Int { min(length, queryBlock) * length + 16 }

  /// Floats of arena that `attentionBackward` needs for sequences of at most `length` positions.
  package func backwardScratch(length: Int) -> Int { 2 * forwardScratch(length: length) }
}

/// Queries whose probabilities exist at a time: memory grows with the length, not its square, and a causal mask saves
/// the blocks above the diagonal.
private let queryBlock = 64

/// Scaled dot-product attention within each sequence of a packed batch:
/// `O_h = softmax(Q_h K_h^T / sqrt(d)) V_h`, rows masked above the diagonal when causal.
///
/// q: T x (heads d), k and v: T x (keyValueHeads d), output: T x (heads d); sequence s is rows
/// `offsets[s]..<offsets[s + 1]`.
package func attention(
  query q: MatrixView, key k: MatrixView, value v: MatrixView, offsets: [Int], shape: AttentionShape,
  into output: Matrix, arena: Arena
) {
  forEachBlock(offsets: offsets, shape: shape, arena: arena) { block in
    let p = attentionProbabilities(q, k, block, arena)
    gemm(p.view, .no, v.rows(block.keys).columns(block.keyValueColumns), into: block.part(of: output))
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
  dk.fill(0)
  dv.fill(0)
  forEachBlock(offsets: offsets, shape: shape, arena: arena) { block in
    let kv = block.keyValueColumns
    let upstream = block.part(of: outputGradient)
    let p = attentionProbabilities(q, k, block, arena)
    gemm(p.view, .yes, upstream, into: dv.rows(block.keys).columns(kv), beta: 1)
    let ds = arena.matrix(block.queries.count, block.keys.count)
    gemm(upstream, .no, v.rows(block.keys).columns(kv), .yes, into: ds)
    ck_softmax_backward(ds.pointer, p.pointer, shape.scale, ds.rows, ds.columns)
    gemm(ds.view, .no, k.rows(block.keys).columns(kv), into: block.part(of: dq))
    gemm(ds.view, .yes, block.part(of: q), into: dk.rows(block.keys).columns(kv), beta: 1)
  }
}

/// Some queries of one head and sequence, with the keys that they see.
private struct AttentionBlock {
  let queries: Range<Int>
  let keys: Range<Int>
  let queryColumns: Range<Int>
  let keyValueColumns: Range<Int>
  let shape: AttentionShape

  /// Keys that the block's first query sees; each further one sees one more when causal.
  var firstKept: Int { shape.isCausal ? queries.lowerBound - keys.lowerBound + 1 : keys.count }

  func part(of matrix: Matrix) -> Matrix { matrix.rows(queries).columns(queryColumns) }
  func part(of matrix: MatrixView) -> MatrixView { matrix.rows(queries).columns(queryColumns) }
}

private func forEachBlock(
  offsets: [Int], shape: AttentionShape, arena: Arena, _ body: (AttentionBlock) -> Void
) {
  for (start, end) in zip(offsets, offsets.dropFirst()) {
    for head in 0..<shape.heads {
      for first in stride(from: start, to: end, by: queryBlock) {
        let queries = first..<min(first + queryBlock, end)
        let mark = arena.mark
        body(
          AttentionBlock(
            queries: queries, keys: start..<(shape.isCausal ? queries.upperBound : end),
            queryColumns: shape.queryColumns(head), keyValueColumns: shape.keyValueColumns(ofHead: head),
            shape: shape))
        arena.release(to: mark)
      }
    }
  }
}

private func attentionProbabilities(
  _ q: MatrixView, _ k: MatrixView, _ block: AttentionBlock, _ arena: Arena
) -> Matrix {
  let p = arena.matrix(block.queries.count, block.keys.count)
  gemm(block.part(of: q), .no, k.rows(block.keys).columns(block.keyValueColumns), .yes, into: p)
  ck_softmax(p.pointer, block.shape.scale, block.firstKept, p.rows, p.columns)
  return p
}
