import Synchronization

/// What labelling one sample gave.
package struct LabelRow: Sendable, Equatable {
  /// The sample's place in the input, from 0.
  package var index: Int
  package var label: Float
  package var loss: Float
  /// NaN where it was not asked for.
  package var gradientNorm: Float
  package var tokenCount: Int
  package var truncated: Bool
  /// One label for each target, or empty.
  package var labelsPerTarget: [Float]
  /// What each watched layer adds to the label, or empty.
  package var labelsPerLayer: [Float]
  /// The projected gradient, or nil where it is not kept.
  package var projectedGradient: StoredGradient?

  package init(
    index: Int, label: Float, loss: Float, gradientNorm: Float = .nan, tokenCount: Int, truncated: Bool,
    labelsPerTarget: [Float] = [], labelsPerLayer: [Float] = [], projectedGradient: StoredGradient? = nil
  ) {
    self.index = index
    self.label = label
    self.loss = loss
    self.gradientNorm = gradientNorm
    self.tokenCount = tokenCount
    self.truncated = truncated
    self.labelsPerTarget = labelsPerTarget
    self.labelsPerLayer = labelsPerLayer
    self.projectedGradient = projectedGradient
  }
}

/// How many rows a label file has and how wide they are.
package struct LabelShape: Sendable, Equatable {
  package var rows: Int
  /// Labels per target, or 0 where they are not kept.
  package var targets: Int
  /// Layers whose parts of the label are kept, or 0.
  package var layers: Int
  /// Numbers of a projected gradient, or 0 where they are not kept.
  package var projected: Int
  /// How they are kept.
  package var storage: GradientStorage

  package init(
    rows: Int, targets: Int = 0, layers: Int = 0, projected: Int = 0, storage: GradientStorage = .f16
  ) {
    self.rows = rows
    self.targets = targets
    self.layers = layers
    self.projected = projected
    self.storage = storage
  }

  /// The bytes of a row in the journal; the label file needs no more.
  package var bytesPerRow: Int {
    LabelJournal.fixedBytes + 4 * (targets + layers) + storage.byteCount(projected) + RowFile.checksumBytes
  }
}

/// The append-only file that keeps finished rows while labelling runs (`labels.h5.partial`).
///
/// A row, little-endian: index u64, label, loss, gradient norm f32, token count i32, truncated u32, labels per target f32,
/// labels per layer f32, projected gradient (f16, or scales f32 and numbers int8). They stand in the order of their completion (`RowFile`).
///
/// Rows may be appended by several threads in any order.
package final class LabelJournal: Sendable {
  static let fixedBytes = 28
  private static let format = RowFile.Format(magic: "ALFKJRNL", version: 1, name: "journal of labels")

  package let shape: LabelShape
  private let file: RowFile
  /// For each sample the place of its row in the file, or -1.
  private let places: Mutex<[Int32]>

  package var path: String { file.path }

  /// Begins a journal, or with `resume` goes on with the one that is there.
  ///
  /// `configuration` is an object with everything that decides the rows (hashes of model, targets and samples, and the
  /// options); a journal begun with another one is refused, naming the first member that differs. Without `resume` a
  /// journal that is there is an error, unless `force` says to begin anew.
  package init(
    path: String, configuration: JSONValue, shape: LabelShape, resume: Bool = false, force: Bool = false
  ) throws(FormatError) {
    precondition(shape.rows > 0 && shape.rows < Int(Int32.max), "a journal for \(shape.rows) rows")
    self.shape = shape
    var found = [Int32](repeating: -1, count: shape.rows)
    file = try RowFile(
      path: path, format: Self.format, configuration: Self.described(configuration, shape),
      rowBytes: shape.bytesPerRow, opening: resume ? .resume : force ? .anew : .refuse
    ) { place, bytes in
      guard let row = Self.decode(bytes, shape), row.index < shape.rows, found[row.index] < 0 else {
        return false
      }
      found[row.index] = Int32(place)
      return true
    }
    places = Mutex(found)
  }

  /// Throws where a journal is there that nobody said to go on with: worth asking before long preparations.
  package static func refuseUnfinished(_ path: String) throws(FormatError) {
    try RowFile.refuseUnfinished(path)
  }

  /// The configuration with the shape, which decides the layout, beside it.
  private static func described(_ configuration: JSONValue, _ shape: LabelShape) -> JSONValue {
    guard let members = configuration.members else { preconditionFailure("a configuration is an object") }
    // Of a journal without labels per layer nothing is said: so it was before there were any.
    let layers = shape.layers > 0 ? [(key: ByteString("per_layer"), value: JSONValue(shape.layers))] : []
    return .object(
      members + layers + [
        (key: "rows", value: JSONValue(shape.rows)), (key: "targets", value: JSONValue(shape.targets)),
        (key: "projected", value: JSONValue(shape.projected)),
        (key: "gradient_storage", value: JSONValue(shape.storage.rawValue)),
      ])
  }

  /// How many samples have a row.
  package var count: Int { file.count }

  package var isComplete: Bool { count == shape.rows }

  package func contains(_ index: Int) -> Bool { places.withLock { $0[index] >= 0 } }

  /// The samples that have no row yet, in order.
  package var missing: [Int] { places.withLock { places in places.indices.filter { places[$0] < 0 } } }

  /// Adds a finished row. Throws where a number is not finite, and where the disk refuses; nothing of the row is kept
  /// then, and everything else is.
  package func append(_ row: LabelRow) throws(FormatError) {
    precondition(
      row.index >= 0 && row.index < shape.rows && row.labelsPerTarget.count == shape.targets
        && row.labelsPerLayer.count == shape.layers
        && row.projectedGradient?.count ?? 0 == shape.projected
        && row.projectedGradient?.storage ?? shape.storage == shape.storage,
      "row \(row.index) does not fit \(shape)")
    try checkNumbers(row)
    let bytes = encode(row)
    let outcome = places.withLock { places in
      precondition(places[row.index] < 0, "row \(row.index) is appended twice")
      return Result { () throws(FormatError) in places[row.index] = Int32(try file.append(bytes)) }
    }
    try outcome.get()
    if isComplete { try sync() }
  }

  private func checkNumbers(_ row: LabelRow) throws(FormatError) {
    func check(_ isGood: Bool, _ what: String) throws(FormatError) {
      guard !isGood else { return }
      throw .malformed(
        place: "row \(row.index)",
        reason: "\(what) is not a finite number; the model or the sample is at fault")
    }
    try check(row.label.isFinite, "the label")
    try check(row.loss.isFinite, "the loss")
    try check(row.labelsPerTarget.allSatisfy(\.isFinite), "a label for a target")
    try check(row.labelsPerLayer.allSatisfy(\.isFinite), "a layer's part of the label")
    try check(
      row.projectedGradient?.isFinite ?? true, "a projected gradient in \(shape.storage.rawValue)")
  }

  /// The row of a sample, or nil where it has none; throws where the disk gives back something else.
  package func row(at index: Int) throws(FormatError) -> LabelRow? {
    let place = Int(places.withLock { $0[index] })
    guard place >= 0 else { return nil }
    guard let row = Self.decode(try file.row(at: place), shape), row.index == index else {
      throw .malformed(place: path, reason: "the row of sample \(index) has changed since it was written")
    }
    return row
  }

  /// Makes everything appended so far safe on disk.
  package func sync() throws(FormatError) { try file.sync() }

  /// Removes the journal, once the label file is there.
  package func remove() { file.remove() }

  // MARK: Bytes

  private func encode(_ row: LabelRow) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(shape.bytesPerRow)
    bytes.append(integer: UInt64(row.index))
    for value in [row.label, row.loss, row.gradientNorm] { bytes.append(integer: value.bitPattern) }
    bytes.append(integer: UInt32(clamping: row.tokenCount))
    bytes.append(integer: UInt32(row.truncated ? 1 : 0))
    row.labelsPerTarget.withUnsafeBytes { bytes.append(contentsOf: $0) }
    row.labelsPerLayer.withUnsafeBytes { bytes.append(contentsOf: $0) }
    row.projectedGradient?.append(to: &bytes)
    return bytes
  }

  /// Nil where the bytes cannot be a row.
  private static func decode(_ bytes: [UInt8], _ shape: LabelShape) -> LabelRow? {
    guard let index = Int(exactly: bytes.integer(UInt64.self, at: 0)) else { return nil }
    func float(_ offset: Int) -> Float { Float(bitPattern: bytes.integer(UInt32.self, at: offset)) }
    let layersStart = fixedBytes + 4 * shape.targets
    let projectedStart = layersStart + 4 * shape.layers
    return LabelRow(
      index: index, label: float(8), loss: float(12), gradientNorm: float(16),
      tokenCount: Int(bytes.integer(UInt32.self, at: 20)), truncated: bytes.integer(UInt32.self, at: 24) != 0,
      labelsPerTarget: (0..<shape.targets).map { float(fixedBytes + 4 * $0) },
      labelsPerLayer: (0..<shape.layers).map { float(layersStart + 4 * $0) },
      projectedGradient: shape.projected == 0
        ? nil
        : StoredGradient(bytes[projectedStart...], count: shape.projected, storage: shape.storage))
  }
}
