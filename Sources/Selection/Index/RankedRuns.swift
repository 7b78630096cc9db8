import Formats

/// Rows sorted by rank, however many: runs of a fixed size are sorted in memory and kept in a scratch file, and merged when they are
/// read. A reading costs what it reads: the best thousandth of the rows a thousandth of the file.
package final class RankedRuns {
  private struct Run {
    var bytes: [UInt8] = []
    /// Where rows begin, with the first word of their order, by which most of them are told apart.
    var places: [(key: UInt64, place: Int)] = []

    mutating func sort() {
      let bytes = self.bytes
      places.sort {
        $0.key != $1.key
          ? $0.key < $1.key
          : RankedRow.order(in: bytes, at: $0.place) < RankedRow.order(in: bytes, at: $1.place)
      }
    }
  }

  private let folder: String
  private let runBytes: Int
  private var run = Run()
  private var scratch: ScratchFile?
  private var stored: [Range<Int>] = []
  /// Rows that were added.
  package private(set) var count = 0

  /// Bytes that a merge reads of a run at once: of all runs together no more than were sorted in memory, as far as that can be.
  private var blockBytes: Int { min(1 << 19, max(1 << 14, runBytes / max(1, stored.count))) }

  /// - Parameters:
  ///   - folder: where the scratch file lies, if one is needed.
  ///   - runBytes: of the rows that are sorted in memory at once.
  package init(in folder: String, runBytes: Int) { (self.folder, self.runBytes) = (folder, runBytes) }

  /// Bytes that lie on disk.
  package var storedBytes: Int { scratch?.size ?? 0 }

  package func add(_ row: RankedRow) throws(FormatError) {
    count += 1
    run.places.append((RankedRow.descending(row.key), run.bytes.count))
    row.append(to: &run.bytes)
    if run.bytes.count >= runBytes { try store() }
  }

  /// After the last row.
  package func finish() throws(FormatError) {
    guard scratch != nil else { return run.sort() }
    try store()
    run = Run()
  }

  private func store() throws(FormatError) {
    guard !run.places.isEmpty else { return }
    run.sort()
    if scratch == nil { scratch = try ScratchFile(in: folder) }
    guard let scratch else { return }
    let start = scratch.size
    var block: [UInt8] = []
    for (_, place) in run.places {
      block += run.bytes[place..<place + RankedRow.count(in: run.bytes, at: place)]
      if block.count >= 1 << 20 {
        try scratch.append(block)
        block.removeAll(keepingCapacity: true)
      }
    }
    try scratch.append(block)
    stored.append(start..<scratch.size)
    run.bytes.removeAll(keepingCapacity: true)
    run.places.removeAll(keepingCapacity: true)
  }

  /// Gives memory and disk back; no row can be read any more.
  package func discard() {
    run = Run()
    (scratch, stored) = (nil, [])
  }

  /// Hands over rows, the best first, until `body` says false; may be called again.
  package func forEach(_ body: (RankedRow) throws -> Bool) throws {
    guard let scratch else {
      for (_, place) in run.places where try !body(RankedRow(bytes: run.bytes, at: place)) { return }
      return
    }
    var readers: [StoredRun] = []
    for range in stored {
      var reader = StoredRun(scratch: scratch, rest: range, blockBytes: blockBytes)
      if try reader.load() { readers.append(reader) }
    }
    var heap = MinimumHeap(readers.indices.map { (readers[$0].order, $0) }) { $0.0 < $1.0 }
    while let (_, index) = heap.first {
      guard try body(readers[index].row) else { return }
      if try readers[index].advance() {
        heap.replaceFirst((readers[index].order, index))
      } else {
        heap.removeFirst()
      }
    }
  }
}

/// A run as it is read: a block of it at a time.
private struct StoredRun {
  let scratch: ScratchFile
  /// What has not been read yet.
  var rest: Range<Int>
  let blockBytes: Int
  private var block: [UInt8] = []
  private var place = 0

  init(scratch: ScratchFile, rest: Range<Int>, blockBytes: Int) {
    (self.scratch, self.rest, self.blockBytes) = (scratch, rest, blockBytes)
  }

  /// Only where `load` or `advance` was true.
  var row: RankedRow { RankedRow(bytes: block, at: place) }
  var order: RankedRow.Order { RankedRow.order(in: block, at: place) }

  mutating func advance() throws(FormatError) -> Bool {
    place += RankedRow.count(in: block, at: place)
    return try load()
  }

  /// Sees to it that a whole row stands at the place; false at the end.
  mutating func load() throws(FormatError) -> Bool {
    while true {
      let left = block.count - place
      if left >= RankedRow.fixedBytes, left >= RankedRow.count(in: block, at: place) { return true }
      if rest.isEmpty { return false }
      let more = try scratch.read(at: rest.lowerBound, count: min(blockBytes, rest.count))
      rest = rest.dropFirst(more.count)
      block = Array(block[place...]) + more
      place = 0
    }
  }
}
