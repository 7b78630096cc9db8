import Formats
import Records

/// Records with what the model sees of each.
package struct PreparedRows: Sendable {
  package private(set) var records: [Record]
  package private(set) var sequences: [TokenizedSample]
  /// What was met while reading: bad lines, shapes.
  package let summary: RecordReader.Summary

  /// Reads files in JSON Lines. A row that the model cannot use (no scored token, too long) counts as a bad line.
  package init(
    paths: [String], options: RecordOptions, encoder: SampleEncoder,
    onShape: @escaping (RecordShape, String) -> Void = { _, _ in }
  ) throws {
    var records: [Record] = []
    var sequences: [TokenizedSample] = []
    summary = try RecordReader(paths: paths, options: options, onShape: onShape).forEach { record in
      if [record.id, record.source ?? "", record.text].contains(where: { $0.bytes.contains(0) }) {
        throw record.failure("a NUL character (U+0000), which a label file cannot hold; remove it")
      }
      sequences.append(try encoder.encode(record))
      records.append(record)
    }
    self.records = records
    self.sequences = sequences
  }

  /// Records that were read before.
  package init(_ records: [Record], encoder: SampleEncoder) throws {
    self.records = records
    sequences = try records.map { try encoder.encode($0) }
    summary = RecordReader.Summary()
  }

  /// The rows at `indices`, in that order.
  package func selecting(_ indices: [Int]) -> PreparedRows {
    var selected = self
    selected.records = indices.map { records[$0] }
    selected.sequences = indices.map { sequences[$0] }
    return selected
  }

  package var count: Int { records.count }
  package var tokenCount: Int { sequences.reduce(0) { $0 + $1.tokens.count } }
  package var truncatedCount: Int { sequences.lazy.filter(\.truncated).count }

  /// SHA-256 over the token ids and masks in order: for each row its length (u32), its ids (i32) and its mask (a byte
  /// each), little-endian.
  package var sha256: String {
    var hash = HashStream()
    for sequence in sequences {
      hash.update(numbers: [UInt32(sequence.tokens.count).littleEndian])
      hash.update(numbers: sequence.tokens.map(\.littleEndian))
      hash.update(sequence.scored.map { $0 ? UInt8(1) : 0 })
    }
    return hash.hexDigest()
  }
}
