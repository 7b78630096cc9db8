/// Which pairs of tokens merge, in which order, into what: an open-addressed hash table.
struct PairTable: Sendable {
  struct Merge: Sendable {
    /// Lower merges first; `Int32.max` for a pair that does not merge.
    var rank: Int32
    var id: Int32

    static let none = Merge(rank: .max, id: -1)
  }

  private var keys: [UInt64]
  private var merges: [Merge]
  private let mask: Int

  private static let empty = UInt64.max

  init(capacity: Int) {
    var size = 16
    while size < 2 * capacity { size *= 2 }
    keys = Array(repeating: Self.empty, count: size)
    merges = Array(repeating: .none, count: size)
    mask = size - 1
  }

  /// Adds a merge; of two for the same pair the later counts.
  mutating func insert(_ left: Int32, _ right: Int32, _ merge: Merge) {
    let key = Self.key(left, right)
    var slot = Self.slot(key, mask)
    while keys[slot] != Self.empty && keys[slot] != key { slot = (slot + 1) & mask }
    keys[slot] = key
    merges[slot] = merge
  }

  @inline(__always)
  subscript(left: Int32, right: Int32) -> Merge {
    let key = Self.key(left, right)
    var slot = Self.slot(key, mask)
    while keys[slot] != key {
      if keys[slot] == Self.empty { return .none }
      slot = (slot + 1) & mask
    }
    return merges[slot]
  }

  @inline(__always)
  private static func key(_ left: Int32, _ right: Int32) -> UInt64 {
    UInt64(UInt32(bitPattern: left)) << 32 | UInt64(UInt32(bitPattern: right))
  }

  @inline(__always)
  private static func slot(_ key: UInt64, _ mask: Int) -> Int {
    Int(truncatingIfNeeded: (key &* 0x9e37_79b9_7f4a_7c15) >> 32) & mask
  }
}
