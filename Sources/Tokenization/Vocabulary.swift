/// Tokens by id and ids by token, keyed by bytes: an open-addressed hash table over one buffer.
struct Vocabulary: Sendable {
  private var bytes: [UInt8] = []
  /// Where the token of each id begins, and its length; -1 for an id without a token.
  private var starts: [Int32] = []
  private var lengths: [Int32] = []
  private var slots: [Slot]
  private let mask: Int
  private(set) var count = 0
  private(set) var longest = 0

  /// A token where the table has it: all that a lookup reads but its bytes.
  private struct Slot {
    var id: Int32 = -1
    /// The upper half of the hash.
    var tag: UInt32 = 0
    var start: Int32 = 0
    var length: Int32 = 0
  }

  /// - Parameter capacity: how many tokens will be added at most.
  init(capacity: Int) {
    var size = 16
    while size < 2 * capacity { size *= 2 }
    slots = Array(repeating: Slot(), count: size)
    mask = size - 1
  }

  /// One more than the largest id.
  var idLimit: Int { starts.count }

  /// Adds a token; false where the id or the token is already taken.
  mutating func insert(_ token: [UInt8], id: Int32) -> Bool {
    precondition(count < slots.count / 2 + 1, "Vocabulary.insert: more tokens than its capacity")
    let index = Int(id)
    if index >= starts.count {
      starts.append(contentsOf: repeatElement(-1, count: index + 1 - starts.count))
      lengths.append(contentsOf: repeatElement(-1, count: index + 1 - lengths.count))
    }
    guard lengths[index] < 0 else { return false }
    let hash = Self.hash(token.span, 0..<token.count)
    var slot = Self.slot(hash, mask)
    while slots[slot].id >= 0 {
      if matches(slots[slot], hash, token.span, 0..<token.count) { return false }
      slot = (slot + 1) & mask
    }
    slots[slot] = Slot(
      id: id, tag: UInt32(truncatingIfNeeded: hash >> 32), start: Int32(bytes.count),
      length: Int32(token.count))
    starts[index] = Int32(bytes.count)
    lengths[index] = Int32(token.count)
    bytes += token
    count += 1
    longest = max(longest, token.count)
    return true
  }

  func token(_ id: Int32) -> ArraySlice<UInt8>? {
    guard id >= 0, Int(id) < starts.count, lengths[Int(id)] >= 0 else { return nil }
    let start = Int(starts[Int(id)])
    return bytes[start..<start + Int(lengths[Int(id)])]
  }

  func id(of token: [UInt8]) -> Int32? { id(token.span, 0..<token.count) }

  /// The id of the token that a range of a text spells.
  func id(_ text: Span<UInt8>, _ range: Range<Int>) -> Int32? {
    range.count > longest ? nil : find(Self.hash(text, range), text, range)
  }

  /// The id of the token that a range of a text spells, given the hash of that range.
  @inline(__always)
  func find(_ hash: UInt64, _ text: Span<UInt8>, _ range: Range<Int>) -> Int32? {
    var slot = Self.slot(hash, mask)
    while true {
      let found = slots[slot]
      if found.id < 0 { return nil }
      if matches(found, hash, text, range) { return found.id }
      slot = (slot + 1) & mask
    }
  }

  @inline(__always)
  private func matches(_ slot: Slot, _ hash: UInt64, _ text: Span<UInt8>, _ range: Range<Int>) -> Bool {
    guard Int(slot.length) == range.count, slot.tag == UInt32(truncatingIfNeeded: hash >> 32) else {
      return false
    }
    let start = Int(slot.start)
    for offset in 0..<range.count where bytes[start + offset] != text[range.lowerBound + offset] {
      return false
    }
    return true
  }

  // MARK: Hashing, byte by byte so that the hash of a longer text continues that of a shorter (FNV-1a)

  static let emptyHash: UInt64 = 0xcbf2_9ce4_8422_2325

  @inline(__always)
  static func extend(_ hash: UInt64, _ byte: UInt8) -> UInt64 { (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }

  @inline(__always)
  static func hash(_ text: Span<UInt8>, _ range: Range<Int>) -> UInt64 {
    var hash = emptyHash
    for index in range { hash = extend(hash, text[index]) }
    return hash
  }

  @inline(__always)
  private static func slot(_ hash: UInt64, _ mask: Int) -> Int {
    Int(truncatingIfNeeded: hash ^ hash >> 29 ^ hash >> 47) & mask
  }
}
