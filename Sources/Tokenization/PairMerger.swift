/// Merges the symbols of one piece, always the pair of lowest rank and of those the leftmost, until none is left.
/// Its buffers are kept from piece to piece.
struct PairMerger {
  /// The symbols of the piece: filled by the model, replaced by `merge`.
  var symbols: [Int32] = []
  private var pairs: [PairTable.Merge] = []
  private var previous: [Int32] = []
  private var next: [Int32] = []
  private var heap: [UInt64] = []

  /// Up to here scanning all pairs for the lowest is faster than a heap.
  private static let shortPiece = 32

  mutating func merge(_ table: PairTable) {
    if symbols.count < 2 { return }
    if symbols.count <= Self.shortPiece { mergeShort(table) } else { mergeLong(table) }
  }

  private mutating func mergeShort(_ table: PairTable) {
    pairs.removeAll(keepingCapacity: true)
    for index in 1..<symbols.count { pairs.append(table[symbols[index - 1], symbols[index]]) }
    while true {
      var best = 0
      var rank = Int32.max
      for index in pairs.indices where pairs[index].rank < rank {
        rank = pairs[index].rank
        best = index
      }
      if rank == .max { return }
      symbols[best] = pairs[best].id
      symbols.remove(at: best + 1)
      pairs.remove(at: best)
      if best < pairs.count { pairs[best] = table[symbols[best], symbols[best + 1]] }
      if best > 0 { pairs[best - 1] = table[symbols[best - 1], symbols[best]] }
    }
  }

  /// A linked list of symbols and a heap of (rank, position): O(n log n). An entry whose pair has changed since is
  /// stale: its rank is no longer that of the pair at its position.
  private mutating func mergeLong(_ table: PairTable) {
    let count = symbols.count
    previous = (0..<Int32(count)).map { $0 - 1 }
    next = (1...Int32(count)).map { $0 == Int32(count) ? -1 : $0 }
    heap.removeAll(keepingCapacity: true)
    for index in 1..<count { push(table[symbols[index - 1], symbols[index]].rank, index - 1) }
    while let top = pop() {
      let position = Int(top & 0xFFFF_FFFF)
      let right = Int(next[position])
      guard symbols[position] >= 0, right >= 0 else { continue }
      let merge = table[symbols[position], symbols[right]]
      guard merge.rank == Int32(top >> 32) else { continue }
      symbols[position] = merge.id
      symbols[right] = -1
      next[position] = next[right]
      if next[right] >= 0 {
        previous[Int(next[right])] = Int32(position)
        push(table[merge.id, symbols[Int(next[right])]].rank, position)
      }
      let left = Int(previous[position])
      if left >= 0 { push(table[symbols[left], merge.id].rank, left) }
    }
    symbols.removeAll { $0 < 0 }
  }

  // MARK: A binary heap of rank and position in one number

  private mutating func push(_ rank: Int32, _ position: Int) {
    if rank == .max { return }
    var child = heap.count
    let key = UInt64(rank) << 32 | UInt64(position)
    heap.append(key)
    while child > 0 {
      let parent = (child - 1) / 2
      if heap[parent] <= key { break }
      heap[child] = heap[parent]
      child = parent
    }
    heap[child] = key
  }

  private mutating func pop() -> UInt64? {
    guard let top = heap.first, let last = heap.popLast() else { return nil }
    if heap.isEmpty { return top }
    var hole = 0
    while true {
      var child = 2 * hole + 1
      if child >= heap.count { break }
      if child + 1 < heap.count && heap[child + 1] < heap[child] { child += 1 }
      if heap[child] >= last { break }
      heap[hole] = heap[child]
      hole = child
    }
    heap[hole] = last
    return top
  }
}
