import Encoder
import Formats
import TensorKernels

/// What frozen layers made of texts, kept as it is computed: a training that was stopped goes on with it, and one with another
/// seed or more labels finds there what it shares with the first.
///
/// A row: 32 digits of the SHA-256 of the text's tokens and marks, then the features, f32 (`RowFile`).
package struct FeatureFile {
  private static let format = RowFile.Format(magic: "ALFKFEAT", version: 1, name: "file of features")
  private static let keyDigits = 32
  private static let share = 64

  private let file: RowFile
  private let width: Int
  private var places: [[UInt8]: Int]

  /// Opens or begins it. Throws where it was begun by other layers or on a machine that rounds otherwise.
  ///
  /// - Parameter reader: what decides the features of a text, as a JSON object.
  package init(path: String, reader: JSONValue, width: Int) throws(FormatError) {
    self.width = width
    var found: [[UInt8]: Int] = [:]
    file = try RowFile(
      path: path, format: Self.format, configuration: reader,
      rowBytes: Self.keyDigits + 4 * width + RowFile.checksumBytes, opening: .resume
    ) { place, bytes in
      found[Array(bytes.prefix(Self.keyDigits))] = place
      return true
    }
    places = found
  }

  /// The features of each text, one row a text: those that are not there yet from `read`, a share of them at a time, so that
  /// an interruption is heard and little is lost. `progress` gets how many of how many are read now.
  package mutating func features(
    of texts: [EncodedText], isCancelled: () -> Bool, progress: (_ done: Int, _ of: Int) -> Void,
    read: ([EncodedText]) throws -> MatrixView
  ) throws -> MatrixView {
    let keys = texts.map(Self.key)
    let missing = texts.indices.filter { places[keys[$0]] == nil }
    for start in stride(from: 0, to: missing.count, by: Self.share) {
      if isCancelled() { throw DistillError.interrupted }
      let rows = missing[start..<min(missing.count, start + Self.share)]
      let features = try read(rows.map { texts[$0] })
      for (index, row) in rows.enumerated() where places[keys[row]] == nil {
        places[keys[row]] = try append(keys[row], features.rows(index..<index + 1).values)
      }
      progress(rows.endIndex, missing.count)
    }
    try file.sync()
    let result = Matrix(rows: texts.count, columns: width)
    for (row, key) in keys.enumerated() {
      result.rows(row..<row + 1).copy(
        Matrix(rows: 1, columns: width, values: try features(at: places[key]!)).view)
    }
    return result.view
  }

  private func append(_ key: [UInt8], _ features: [Float]) throws(FormatError) -> Int {
    try file.append(key + features.withUnsafeBytes { Array($0) })
  }

  private func features(at place: Int) throws(FormatError) -> [Float] {
    let bytes = try file.row(at: place)
    return bytes.withUnsafeBytes { raw in
      (0..<width).map { raw.loadUnaligned(fromByteOffset: Self.keyDigits + 4 * $0, as: Float.self) }
    }
  }

  private static func key(_ text: EncodedText) -> [UInt8] {
    var hash = HashStream()
    hash.update(numbers: text.ids.map { Int32($0) })
    hash.update(text.isScored.map { $0 ? 1 : 0 })
    return Array(hash.hexDigest().utf8.prefix(keyDigits))
  }
}
