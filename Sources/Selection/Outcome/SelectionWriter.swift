import Encoder
import Formats
import Records

/// What was met while the rows were written.
struct WrittenRows: Sendable, Equatable {
  /// By decision.
  var rows = [Int](repeating: 0, count: RowDecision.allCases.count)
  /// Chosen rows that are out of the valuator's domain.
  var chosenOutside = 0
  /// Chosen rows whose interval begins below the cut, and rows left out by the budget alone whose interval ends above it.
  var chosenUncertain = 0
  var leftOutUncertain = 0
  /// Of both, those that have an interval.
  var withInterval = 0

  mutating func add(_ other: WrittenRows) {
    for decision in rows.indices { rows[decision] += other.rows[decision] }
    chosenOutside += other.chosenOutside
    chosenUncertain += other.chosenUncertain
    leftOutUncertain += other.leftOutUncertain
    withInterval += other.withInterval
  }
}

/// The last reading: hands on what is chosen and what is not, in the input's order, or the chosen rows the best first.
struct SelectionWriter {
  let configuration: SelectionConfiguration
  let index: SelectionIndex
  let verdicts: RowVerdicts
  let selection: Selection

  private static let chunkLines = 512

  private struct Chunk: Sendable {
    var file: String
    var lines: [LineReader.Line]
    /// The first line's place in the input.
    var firstRow: Int
  }

  func write(
    chosen: any LineOutput, rejects: (any LineOutput)?, progress: (Int) -> Void, isCancelled: () -> Bool
  ) throws -> WrittenRows {
    let sorter = try LineSorter(selection.chosen.count, configuration)
    let divider = RowDivider(
      parser: RecordParser(configuration.records), verdicts: verdicts, chosen: selection.chosen.map(\.id),
      cut: selection.cut, wantsRejects: rejects != nil)
    var total = WrittenRows()
    var row = 0
    for input in index.inputs {
      try input.refuseChanged()
      let lines = try LineReader(path: input.path, maximumLineBytes: configuration.records.maximumLineBytes)
      var chunks = LineChunks(lines, lines: Self.chunkLines)
      let end = row + input.rows
      var next = row
      try OrderedPipeline<Chunk, DividedRows>(workers: configuration.workers).run(
        make: {
          guard let lines = try chunks.next() else { return nil }
          defer { next += lines.count }
          guard next + lines.count <= end else { throw SelectionError.changed(path: input.path) }
          return Chunk(file: input.path, lines: lines, firstRow: next)
        }, mayWait: { false },
        work: { _, chunk in try divider.divide(chunk.lines, of: chunk.file, firstRow: chunk.firstRow) },
        take: { part in
          for (number, line) in part.chosen {
            if let sorter { try sorter.add(line, number) } else { try chosen.write(line) }
          }
          if let rejects { try rejects.write(part.rejects) }
          total.add(part.written)
          row += part.count
          progress(row)
          if isCancelled() { throw SelectionError.interrupted }
        })
      guard row == end else { throw SelectionError.changed(path: input.path) }
      try input.refuseChanged()
    }
    try sorter?.write(to: chosen)
    try chosen.flush()
    try rejects?.flush()
    return total
  }
}

/// Some lines, divided.
private struct DividedRows: Sendable {
  var count = 0
  /// With their numbers among the chosen.
  var chosen: [(number: Int, line: [UInt8])] = []
  var rejects: [UInt8] = []
  var written = WrittenRows()
}

/// Divides lines by what was decided on them.
private struct RowDivider: Sendable {
  let parser: RecordParser
  let verdicts: RowVerdicts
  /// Ids, by number.
  let chosen: [ByteString]
  let cut: Double?
  let wantsRejects: Bool

  func divide(_ lines: [LineReader.Line], of file: String, firstRow: Int) throws -> DividedRows {
    var part = DividedRows(count: lines.count)
    for (offset, line) in lines.enumerated() {
      let record = try ScoredRecord(line.bytes, file: file, line: line.number, parser: parser)
      let (decision, number) = verdicts[firstRow + offset]
      part.written.rows[Int(decision.rawValue)] += 1
      if decision == .chosen, let number {
        part.chosen.append((number, chosenLine(record)))
      } else if wantsRejects {
        let reason = decision.reason(other: number.map { chosen[$0] })
        part.rejects += record.scanner.changing([(key: Self.key, value: .string(reason))]) + [0x0A]
      }
      note(record, decision, &part.written)
    }
    return part
  }

  private static let key: ByteString = "alinfik_reason"

  /// As it stands, without a reason of an earlier selection.
  private func chosenLine(_ record: ScoredRecord) -> [UInt8] {
    let hasReason = record.scanner.members.contains { $0.key == Self.key }
    return (hasReason ? record.scanner.changing([(key: Self.key, value: nil)]) : record.bytes) + [0x0A]
  }

  private func note(_ record: ScoredRecord, _ decision: RowDecision, _ written: inout WrittenRows) {
    if decision == .chosen, record.isOutside == true { written.chosenOutside += 1 }
    guard decision == .chosen || decision == .budget, let interval = record.interval else { return }
    written.withInterval += 1
    guard let cut else { return }
    if decision == .chosen, interval.low < cut { written.chosenUncertain += 1 }
    if decision == .budget, interval.high > cut { written.leftOutUncertain += 1 }
  }
}

/// Puts chosen lines into the order in which they were chosen: the lines lie in a scratch file, 16 bytes a line in memory.
private final class LineSorter {
  private let scratch: ScratchFile
  private var buffer: [UInt8] = []
  private var places: [Range<Int>]

  /// Nil where the input's order is asked for.
  init?(_ count: Int, _ configuration: SelectionConfiguration) throws {
    guard configuration.order == .value else { return nil }
    scratch = try ScratchFile(in: configuration.scratchFolder)
    places = [Range<Int>](repeating: 0..<0, count: count)
  }

  func add(_ line: [UInt8], _ number: Int) throws(FormatError) {
    let start = scratch.size + buffer.count
    places[number] = start..<start + line.count
    buffer += line
    if buffer.count >= 1 << 20 { try store() }
  }

  private func store() throws(FormatError) {
    try scratch.append(buffer)
    buffer.removeAll(keepingCapacity: true)
  }

  func write(to output: any LineOutput) throws(FormatError) {
    try store()
    for place in places { try output.write(scratch.read(at: place.lowerBound, count: place.count)) }
  }
}
