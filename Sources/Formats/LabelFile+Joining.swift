/// Label files made of others.
extension LabelFile {
  /// Writes the rows of several files one after the other, to the bit, beside `path`, and renames. The files' shapes must be
  /// alike but for their rows.
  package static func write(
    to path: String, attributes: LabelAttributes, joining files: [LabelFile], force: Bool
  ) throws(FormatError) {
    var shape = files[0].shape
    shape.rows = files.reduce(0) { $0 + $1.count }
    let hasRecords = files.allSatisfy { $0.records != nil }
    let columns = LabelTexts(
      ids: files.flatMap(\.ids), sources: files.flatMap(\.sources), texts: files.flatMap(\.texts),
      records: hasRecords ? files.flatMap { $0.records ?? [] } : nil, targetIDs: files[0].columns.targetIDs,
      layerNames: files[0].columns.layerNames)
    let projection = try files[0].storedProjection()
    let readers = files.map { LabelFileRows($0) }
    var (before, place) = (0, 0)
    try write(
      to: path, attributes: attributes, columns: columns, shape: shape, projection: projection, force: force
    ) { index throws(FormatError) in
      while index - before >= readers[place].file.count {
        before += readers[place].file.count
        place += 1
      }
      var row = try readers[place].row(at: index - before)
      row.index = index
      return row
    }
  }

  /// Writes a file's rows as `change` leaves them, beside `path`, and renames; `shape` and `columns` are the new file's.
  package static func write(
    to path: String, attributes: LabelAttributes, columns: LabelTexts, shape: LabelShape,
    from file: LabelFile,
    force: Bool, change: (_ row: inout LabelRow) -> Void
  ) throws(FormatError) {
    let projection = shape.projected > 0 ? try file.storedProjection() : nil
    let reader = LabelFileRows(file)
    try write(
      to: path, attributes: attributes, columns: columns, shape: shape, projection: projection, force: force
    ) { index throws(FormatError) in
      var row = try reader.row(at: index)
      change(&row)
      return row
    }
  }
}

/// The rows of a label file as they were appended to its journal, for reading in order. Use it only inside `HDF5.locked`.
private final class LabelFileRows {
  let file: LabelFile
  private var opened: HDF5File?
  private var block = 0..<0
  private var targets: [Float] = []
  private var layers: [Float] = []
  private var gradients: [StoredGradient] = []
  /// Rows of the wide datasets that are in memory at once.
  private static let blockRows = 64

  init(_ file: LabelFile) { self.file = file }

  func row(at index: Int) throws(FormatError) -> LabelRow {
    if !block.contains(index) { try read(from: index) }
    let shape = file.shape
    let place = index - block.lowerBound
    return LabelRow(
      index: index, label: file.labels[index], loss: file.losses[index],
      gradientNorm: file.gradientNorms[index], tokenCount: Int(file.tokenCounts[index]),
      truncated: file.truncated[index],
      labelsPerTarget: Array(targets[place * shape.targets..<(place + 1) * shape.targets]),
      labelsPerLayer: Array(layers[place * shape.layers..<(place + 1) * shape.layers]),
      projectedGradient: shape.projected > 0 ? gradients[place] : nil)
  }

  private func read(from index: Int) throws(FormatError) {
    block = index..<min(index + Self.blockRows, file.count)
    let shape = file.shape
    if shape.targets + shape.layers + shape.projected == 0 { return }
    if opened == nil { opened = try HDF5File(opening: file.path) }
    guard let source = opened else { return }
    if shape.targets > 0 {
      targets = try source.readNumbers(LabelFile.perTarget, rows: block, columns: shape.targets, .f32)
    }
    if shape.layers > 0 {
      layers = try source.readNumbers(LabelFile.perLayer, rows: block, columns: shape.layers, .f32)
    }
    if shape.projected > 0 { gradients = try file.storedGradients(rows: block, in: source) }
  }
}
