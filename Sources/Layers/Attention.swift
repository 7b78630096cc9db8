import CKernels
import TensorKernels

/// The shape of multi-head attention: `heads` query heads of width `headWidth`, in groups that share one of
/// `keyValueHeads` key and value heads (grouped-query attention, Ainslie et al. 2023); causal or not.
package struct AttentionShape: Sendable {
  package let heads: Int
  package let keyValueHeads: Int
  package let headWidth: Int
  package let isCausal: Bool
  /// Scores are multiplied by it: `1 / sqrt(d)` where nothing else is given.
  package let scale: Float
  /// A causal query sees itself and the positions before it, so many in all; nil for all of them.
  package let window: Int?
  /// Scaled scores s become `c tanh(s / c)` (soft-capping, Gemma 2); nil for none.
  package let softCap: Float?
  /// From one head's features to the next one's in queries, keys and values; more than `headWidth` where a head's
  /// query, key and value stand together. Outputs are always side by side.
  package let headStride: Int
  /// What the factors of its products are rounded to.
  package let precision: Precision

  package init(
    heads: Int, keyValueHeads: Int, headWidth: Int, isCausal: Bool, scale: Float? = nil, window: Int? = nil,
    softCap: Float? = nil, headStride: Int? = nil, precision: Precision = .f32
  ) {
    precondition(
      keyValueHeads > 0 && heads % keyValueHeads == 0, "\(heads) heads over \(keyValueHeads) key-value heads")
    precondition(window == nil || isCausal && window! > 0, "AttentionShape: a window of \(window ?? 0)")
    self.heads = heads
    self.keyValueHeads = keyValueHeads
    self.headWidth = headWidth
    self.isCausal = isCausal
    self.scale = scale ?? 1 / Float(headWidth).squareRoot()
    self.window = window
    self.softCap = softCap
    self.headStride = headStride ?? headWidth
    self.precision = precision
  }

  package var queryWidth: Int { heads * headWidth }
  package var keyValueWidth: Int { keyValueHeads * headWidth }

  func queryColumns(_ head: Int) -> Range<Int> { head * headStride..<head * headStride + headWidth }

  func keyValueColumns(ofHead head: Int) -> Range<Int> { queryColumns(head / (heads / keyValueHeads)) }

  func outputColumns(_ head: Int) -> Range<Int> { head * headWidth..<(head + 1) * headWidth }

  /// Floats of arena that `attention` needs for sequences of at most `length` positions.
  package func forwardScratch(length: Int) -> Int { min(length, queryBlock) * visible(length) + 16 }

  /// Floats of arena that `attentionBackward` needs for sequences of at most `length` positions.
  package func backwardScratch(length: Int) -> Int {
    (softCap == nil ? 2 : 3) * forwardScratch(length: length)
  }

  /// Keys that a block of queries sees at most.
  private func visible(_ length: Int) -> Int { min(length, window.map { $0 + queryBlock - 1 } ?? length) }
}

/// Queries whose probabilities exist at a time: memory grows with the length, not its square, and a causal mask saves
/// the blocks above the diagonal.
private let queryBlock = 64

/// Scaled dot-product attention within each sequence of a packed batch:
/// `O_h = softmax(Q_h K_h^T / sqrt(d)) V_h`, rows masked above the diagonal when causal, and below its window.
///
/// q: T x (heads d), k and v: T x (keyValueHeads d), output: T x (heads d); sequence s is rows
/// `offsets[s]..<offsets[s + 1]`.
package func attention(
  query q: MatrixView, key k: MatrixView, value v: MatrixView, offsets: [Int], shape: AttentionShape,
  into output: Matrix, arena: Arena
) {
  if shape.window == nil && shape.softCap == nil {
    return wholeAttention(q, k, v, offsets: offsets, shape: shape, into: output)
  }
  forEachBlock(offsets: offsets, shape: shape, arena: arena) { block in
    let p = attentionProbabilities(q, k, block, capSlope: nil, arena)
    gemm(
      p.view, .no, v.rows(block.keys).columns(block.keyValueColumns), into: block.output(of: output),
      precision: shape.precision)
  }
}

/// Where every key is seen, or all up to the query: a sequence in one call, which packs keys and values once a head.
private func wholeAttention(
  _ q: MatrixView, _ k: MatrixView, _ v: MatrixView, offsets: [Int], shape: AttentionShape,
  into output: Matrix
) {
  let (lastQuery, lastKey) = (
    shape.queryColumns(shape.heads - 1), shape.keyValueColumns(ofHead: shape.heads - 1)
  )
  precondition(
    q.rows == output.rows && k.rows == q.rows && v.rows == q.rows && offsets.first == 0
      && offsets.last == q.rows && zip(offsets, offsets.dropFirst()).allSatisfy { $0 <= $1 }
      && output.columns >= shape.queryWidth && q.columns >= lastQuery.upperBound
      && min(k.columns, v.columns) >= lastKey.upperBound,
    "attention: \(q.rows), \(k.rows), \(v.rows) rows into \(output.rows)")
  for (start, end) in zip(offsets, offsets.dropFirst()) where start < end {
    var task = ck_attention_task(
      q: q.pointer + start * q.stride, k: k.pointer + start * k.stride, v: v.pointer + start * v.stride,
      q_stride: q.stride, k_stride: k.stride, v_stride: v.stride,
      out: output.pointer + start * output.stride, out_stride: output.stride, length: end - start,
      heads: shape.heads, group: shape.heads / shape.keyValueHeads, width: shape.headWidth,
      head_stride: shape.headStride, scale: shape.scale, is_causal: shape.isCausal ? 1 : 0,
      rounds: shape.precision == .bf16 ? 1 : 0)
    ck_attention(&task)
  }
}

/// Backward of `attention`. The probabilities are computed again, not kept: they are the one activation that
/// grows with the square of the length.
///
/// With P the probabilities and dO the output's gradient: `dV = P^T dO`, `dP = dO V^T`,
/// `dS = P (dP - rowsum(P dP)) / sqrt(d)`, `dQ = dS K`, `dK = dS^T Q`. dq, dk and dv are written. Soft-capping
/// multiplies dS by its slope, `1 - tanh^2`.
package func attentionBackward(
  query q: MatrixView, key k: MatrixView, value v: MatrixView, outputGradient: MatrixView, offsets: [Int],
  shape: AttentionShape, queryGradient dq: Matrix, keyGradient dk: Matrix, valueGradient dv: Matrix,
  arena: Arena
) {
  dk.fill(0)
  dv.fill(0)
  forEachBlock(offsets: offsets, shape: shape, arena: arena) { block in
    let kv = block.keyValueColumns
    let upstream = block.output(of: outputGradient)
    let slope = shape.softCap == nil ? nil : arena.matrix(block.queries.count, block.keys.count)
    let p = attentionProbabilities(q, k, block, capSlope: slope, arena)
    gemm(p.view, .yes, upstream, into: dv.rows(block.keys).columns(kv), beta: 1, precision: shape.precision)
    let ds = arena.matrix(block.queries.count, block.keys.count)
    gemm(upstream, .no, v.rows(block.keys).columns(kv), .yes, into: ds, precision: shape.precision)
    ck_softmax_backward(ds.pointer, p.pointer, shape.scale, ds.rows, ds.columns)
    if let slope { multiply(ds, by: slope.view) }
    gemm(ds.view, .no, k.rows(block.keys).columns(kv), into: block.part(of: dq), precision: shape.precision)
    gemm(
      ds.view, .yes, block.part(of: q), into: dk.rows(block.keys).columns(kv), beta: 1,
      precision: shape.precision)
  }
}

/// Some queries of one head and sequence, with the keys that they see.
private struct AttentionBlock {
  let queries: Range<Int>
  let keys: Range<Int>
  let head: Int
  let shape: AttentionShape

  var keyValueColumns: Range<Int> { shape.keyValueColumns(ofHead: head) }

  /// Keys that the block's first query sees; each further one sees one more when causal.
  var firstKept: Int { shape.isCausal ? queries.lowerBound - keys.lowerBound + 1 : keys.count }

  func part(of matrix: Matrix) -> Matrix { matrix.rows(queries).columns(shape.queryColumns(head)) }
  func part(of matrix: MatrixView) -> MatrixView { matrix.rows(queries).columns(shape.queryColumns(head)) }
  func output(of matrix: Matrix) -> Matrix { matrix.rows(queries).columns(shape.outputColumns(head)) }
  func output(of matrix: MatrixView) -> MatrixView { matrix.rows(queries).columns(shape.outputColumns(head)) }

  /// Sets what lies before each query's window.
  func fillBeforeWindow(of scores: Matrix, with value: Float) {
    guard let window = shape.window else { return }
    for (row, query) in queries.enumerated() {
      let hidden = query - window + 1 - keys.lowerBound
      if hidden > 0 { (scores.pointer + row * scores.stride).update(repeating: value, count: hidden) }
    }
  }
}

private func forEachBlock(
  offsets: [Int], shape: AttentionShape, arena: Arena, _ body: (AttentionBlock) -> Void
) {
  for (start, end) in zip(offsets, offsets.dropFirst()) {
    for head in 0..<shape.heads {
      for first in stride(from: start, to: end, by: queryBlock) {
        let queries = first..<min(first + queryBlock, end)
        let firstKey = shape.window.map { max(start, first - $0 + 1) } ?? start
        let keys = firstKey..<(shape.isCausal ? queries.upperBound : end)
        let mark = arena.mark
        body(AttentionBlock(queries: queries, keys: keys, head: head, shape: shape))
        arena.release(to: mark)
      }
    }
  }
}

/// Where scores are soft-capped, the cap's slope is written to `capSlope`, if that is given.
private func attentionProbabilities(
  _ q: MatrixView, _ k: MatrixView, _ block: AttentionBlock, capSlope: Matrix?, _ arena: Arena
) -> Matrix {
  let p = arena.matrix(block.queries.count, block.keys.count)
  gemm(
    block.part(of: q), .no, k.rows(block.keys).columns(block.keyValueColumns), .yes, into: p,
    precision: block.shape.precision)
  var scale = block.shape.scale
  if let cap = block.shape.softCap {
    softCap(p, scale: scale, cap: cap, slope: capSlope)
    scale = 1
  }
  block.fillBeforeWindow(of: p, with: -.infinity)
  ck_softmax(p.pointer, scale, block.firstKept, p.rows, p.columns)
  block.fillBeforeWindow(of: p, with: 0)
  return p
}
