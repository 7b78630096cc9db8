import Glibc

/// What a label file says of itself: how its labels were made.
package struct LabelAttributes: Sendable, Equatable {
  package static let format = "alinfik-labels"
  package static let schemaVersion = 1
  package static let sign = "positive lowers target loss"

  package var alinfikVersion: String
  package var kind: String
  package var modelSHA256: String
  package var targetSHA256: String
  package var targetDescription: String
  /// `none`, `random` or `pca`.
  package var projection: String
  /// The rank of the projection, a side; 0 without one.
  package var rank: Int
  package var damping: Double
  package var precision: String
  package var seed: UInt64
  /// How many tokens of a sample were read at most; nil (stored as 0) where there was no limit.
  package var maxTokens: Int?
  package var command: String
  /// Further string attributes, as the watched layers and the resolved configuration.
  package var extra: [String: String]

  package init(
    alinfikVersion: String, kind: String, modelSHA256: String, targetSHA256: String,
    targetDescription: String,
    projection: String = "none", rank: Int = 0, damping: Double = 0, precision: String = "f32", seed: UInt64,
    maxTokens: Int? = nil, command: String, extra: [String: String] = [:]
  ) {
    self.alinfikVersion = alinfikVersion
    self.kind = kind
    self.modelSHA256 = modelSHA256
    self.targetSHA256 = targetSHA256
    self.targetDescription = targetDescription
    self.projection = projection
    self.rank = rank
    self.damping = damping
    self.precision = precision
    self.seed = seed
    self.maxTokens = maxTokens
    self.command = command
    self.extra = extra
  }

  /// The contract's string attributes beside those that are the same in every file.
  private static let strings: [(name: String, path: WritableKeyPath<LabelAttributes, String> & Sendable)] = [
    ("alinfik_version", \.alinfikVersion), ("kind", \.kind), ("model_sha256", \.modelSHA256),
    ("target_sha256", \.targetSHA256), ("target_description", \.targetDescription),
    ("projection", \.projection), ("precision", \.precision), ("command", \.command),
  ]

  func write(to file: HDF5File) throws(FormatError) {
    try file.writeAttribute("format", Self.format)
    try file.writeAttribute("schema_version", Int64(Self.schemaVersion))
    try file.writeAttribute("sign", Self.sign)
    for (name, path) in Self.strings { try file.writeAttribute(name, self[keyPath: path]) }
    try file.writeAttribute("rank", Int64(rank))
    try file.writeAttribute("damping", damping)
    try file.writeAttribute("seed", seed)
    try file.writeAttribute("max_tokens", Int64(maxTokens ?? 0))
    for (name, text) in extra.sorted(by: { $0.key < $1.key }) { try file.writeAttribute(name, text) }
  }

  /// Reads the attributes; throws where the format, its version or the sign is another.
  init(from file: HDF5File) throws(FormatError) {
    let format = try file.stringAttribute("format")
    guard format == Self.format else {
      throw file.malformed("its format is '\(format)', not '\(Self.format)'")
    }
    let version = try file.integerAttribute("schema_version")
    guard version == Int64(Self.schemaVersion) else {
      throw file.malformed("its schema_version is \(version); this program reads \(Self.schemaVersion)")
    }
    let sign = try file.stringAttribute("sign")
    guard sign == Self.sign else { throw file.malformed("its sign is '\(sign)', not '\(Self.sign)'") }
    self.init(
      alinfikVersion: "", kind: "", modelSHA256: "", targetSHA256: "", targetDescription: "", seed: 0,
      command: "")
    for (name, path) in Self.strings { self[keyPath: path] = try file.stringAttribute(name) }
    rank = Int(try file.integerAttribute("rank"))
    damping = try file.doubleAttribute("damping")
    seed = try file.unsignedAttribute("seed")
    let limit = Int(try file.integerAttribute("max_tokens"))
    maxTokens = limit > 0 ? limit : nil
    let known = Set(Self.strings.map(\.name) + ["format", "sign"])
    for name in try file.stringAttributeNames() where !known.contains(name) {
      extra[name] = try file.stringAttribute(name)
    }
  }
}

/// The samples' own columns of a label file.
package struct LabelTexts: Sendable, Equatable {
  package var ids: [ByteString]
  package var sources: [ByteString]
  /// What the valuator reads of each sample.
  package var texts: [ByteString]
  /// Each sample's parts as a JSON object (`text`, `prompt` and `completion`, or `messages`); nil in files that have none.
  package var records: [ByteString]?
  /// The targets' ids, in the order of the labels per target; nil in files that have none.
  package var targetIDs: [ByteString]?
  /// The watched layers' names, in the order of the labels per layer; nil in files that have none.
  package var layerNames: [ByteString]?

  package init(
    ids: [ByteString], sources: [ByteString], texts: [ByteString], records: [ByteString]? = nil,
    targetIDs: [ByteString]? = nil, layerNames: [ByteString]? = nil
  ) {
    self.ids = ids
    self.sources = sources
    self.texts = texts
    self.records = records
    self.targetIDs = targetIDs
    self.layerNames = layerNames
  }

  /// Throws where a label file could not hold them: HDF5 strings end at a NUL. Worth asking before labelling begins.
  package func check() throws(FormatError) {
    let columns = [("id", ids), ("source", sources), ("text", texts), ("record", records ?? texts)]
    precondition(columns.allSatisfy { $0.1.count == ids.count }, "columns of different lengths")
    for (name, column) in columns {
      try check(column, name, of: "row")
    }
    try check(targetIDs ?? [], "id", of: "target")
  }

  private func check(_ column: [ByteString], _ name: String, of what: String) throws(FormatError) {
    if let row = column.firstIndex(where: { $0.bytes.contains(0) }) {
      throw .malformed(
        place: "\(what) \(row)", reason: "its \(name) holds a NUL character (U+0000); remove it")
    }
    if let row = column.firstIndex(where: { !$0.isValidUTF8 }) {
      throw .malformed(place: "\(what) \(row)", reason: "its \(name) is no UTF-8")
    }
  }
}

/// The matrices that projected gradients were made with, where they cannot be made again from a seed.
package struct StoredProjection: Sendable, Equatable {
  /// For each layer the rows of its input's matrix, then of its output's.
  package var ranks: [Int32]
  /// The matrices, row-major, in the same order.
  package var numbers: [Float]

  package init(ranks: [Int32], numbers: [Float]) {
    self.ranks = ranks
    self.numbers = numbers
  }
}

/// A label file (`labels.h5`): the labels of samples, read whole but for the wide datasets, which are read by rows.
package struct LabelFile: Sendable {
  package let path: String
  package let attributes: LabelAttributes
  package let shape: LabelShape
  package let labels: [Float]
  package let losses: [Float]
  /// NaN where they were not asked for.
  package let gradientNorms: [Float]
  package let tokenCounts: [Int32]
  package let truncated: [Bool]
  package let columns: LabelTexts

  package var count: Int { labels.count }
  package var ids: [ByteString] { columns.ids }
  package var sources: [ByteString] { columns.sources }
  package var texts: [ByteString] { columns.texts }
  package var records: [ByteString]? { columns.records }

  static let perTarget = "labels_per_target"
  static let perLayer = "labels_per_layer"
  private static let layerNames = "layers"
  private static let projectionNumbers = "projection"
  private static let projectionRanks = "projection_ranks"
  private static let targetIDs = "target_ids"
  private static let projected = "projected_gradients"
  /// Beside int8 gradients: a scale for each block of `GradientStorage.block` numbers.
  private static let scales = "projected_gradient_scales"

  // MARK: Reading

  /// Reads and checks a label file; throws with the dataset and row at fault.
  package init(path: String) throws(FormatError) {
    self = try HDF5.locked { () throws(FormatError) in
      try LabelFile(HDF5File(opening: path))
    }
  }

  private init(_ file: HDF5File) throws(FormatError) {
    path = file.path
    attributes = try LabelAttributes(from: file)
    let rows = try file.shape("labels", rank: 1)[0]
    guard rows > 0 else { throw file.malformed("it has no rows") }
    labels = try Self.vector("labels", rows, .f32, file)
    losses = try Self.vector("loss", rows, .f32, file)
    gradientNorms = try Self.vector("gradient_norm", rows, .f32, file)
    tokenCounts = try Self.vector("token_count", rows, .i32, file)
    let flags: [UInt8] = try Self.vector("truncated", rows, .u8, file)
    truncated = flags.map { $0 != 0 }
    let targets = try Self.width(Self.perTarget, rows, file)
    let layers = try Self.width(Self.perLayer, rows, file)
    columns = LabelTexts(
      ids: try Self.strings("ids", rows, file), sources: try Self.strings("sources", rows, file),
      texts: try Self.strings("texts", rows, file),
      records: file.hasDataset("records") ? try Self.strings("records", rows, file) : nil,
      targetIDs: file.hasDataset(Self.targetIDs)
        ? try Self.strings(Self.targetIDs, targets, file, "/\(Self.perTarget) has columns:") : nil,
      layerNames: file.hasDataset(Self.layerNames)
        ? try Self.strings(Self.layerNames, layers, file, "/\(Self.perLayer) has columns:") : nil)
    let storage: GradientStorage = file.hasDataset(Self.scales) ? .int8 : .f16
    shape = LabelShape(
      rows: rows, targets: targets, layers: layers,
      projected: try Self.width(Self.projected, rows, file, isInteger: storage == .int8), storage: storage)
    try check(file)
  }

  private static func checkRows(
    _ name: String, _ found: Int, _ rows: Int, _ file: HDF5File, _ other: String = "/labels has"
  ) throws(FormatError) {
    if found != rows { throw file.malformed("/\(name) has \(found) rows, \(other) \(rows)") }
  }

  private static func vector<Number: BitwiseCopyable & ExpressibleByIntegerLiteral>(
    _ name: String, _ rows: Int, _ element: HDF5Element, _ file: HDF5File
  ) throws(FormatError) -> [Number] {
    let isInteger = element == .i32 || element == .u8
    try checkRows(name, try file.shape(name, rank: 1, isInteger: isInteger)[0], rows, file)
    return try file.readNumbers(name, rows: 0..<rows, element)
  }

  private static func strings(
    _ name: String, _ rows: Int, _ file: HDF5File, _ other: String = "/labels has"
  ) throws(FormatError) -> [ByteString] {
    try checkRows(name, try file.shape(name, rank: 1, isString: true)[0], rows, file, other)
    return try file.readStrings(name, count: rows)
  }

  /// The columns of a dataset that may be absent (0).
  private static func width(
    _ name: String, _ rows: Int, _ file: HDF5File, isInteger: Bool = false
  ) throws(FormatError) -> Int {
    guard file.hasDataset(name) else { return 0 }
    let shape = try file.shape(name, rank: 2, isInteger: isInteger)
    try checkRows(name, shape[0], rows, file)
    return shape[1]
  }

  private func check(_ file: HDF5File) throws(FormatError) {
    for (name, values) in [("labels", labels), ("loss", losses)] {
      if let row = values.firstIndex(where: { !$0.isFinite }) {
        throw file.malformed("row \(row) of /\(name) is not a finite number")
      }
    }
    if let row = tokenCounts.firstIndex(where: { $0 < 0 }) {
      throw file.malformed("row \(row) of /token_count is negative")
    }
    var seen: Set<ByteString> = []
    for (row, id) in ids.enumerated() where !seen.insert(id).inserted {
      throw file.malformed("row \(row) of /ids is '\(id)', which an earlier row has too")
    }
  }

  /// Labels for each target, row after row, of some rows. Only where `shape.targets` is not 0.
  package func labelsPerTarget(rows: Range<Int>) throws(FormatError) -> [Float] {
    try wideNumbers(Self.perTarget, columns: shape.targets, rows: rows)
  }

  /// What each layer adds to the label, row after row, of some rows. Only where `shape.layers` is not 0.
  package func labelsPerLayer(rows: Range<Int>) throws(FormatError) -> [Float] {
    try wideNumbers(Self.perLayer, columns: shape.layers, rows: rows)
  }

  private func wideNumbers(_ name: String, columns: Int, rows: Range<Int>) throws(FormatError) -> [Float] {
    precondition(columns > 0 && rows.lowerBound >= 0 && rows.upperBound <= count, "rows \(rows)")
    let values: [Float] = try HDF5.locked { () throws(FormatError) in
      try HDF5File(opening: path).readNumbers(name, rows: rows, columns: columns, .f32)
    }
    guard values.allSatisfy(\.isFinite) else {
      throw .malformed(place: path, reason: "/\(name) holds a number that is not finite")
    }
    return values
  }

  /// Projected gradients, row after row, of some rows. Only where `shape.projected` is not 0.
  package func projectedGradients(rows: Range<Int>) throws(FormatError) -> [Float] {
    try HDF5.locked { () throws(FormatError) in
      try storedGradients(rows: rows, in: HDF5File(opening: path))
    }.flatMap(\.values)
  }

  /// The projection's own matrices, nil in a file that does not keep them.
  package func storedProjection() throws(FormatError) -> StoredProjection? {
    try HDF5.locked { () throws(FormatError) in
      let file = try HDF5File(opening: path)
      guard file.hasDataset(Self.projectionNumbers) else { return nil }
      let count = try file.shape(Self.projectionNumbers, rank: 1)[0]
      let sides = try file.shape(Self.projectionRanks, rank: 1, isInteger: true)[0]
      return StoredProjection(
        ranks: try file.readNumbers(Self.projectionRanks, rows: 0..<sides, .i32),
        numbers: try file.readNumbers(Self.projectionNumbers, rows: 0..<count, .f32))
    }
  }

  /// The same as they are kept, from this file, opened; only inside `HDF5.locked`.
  func storedGradients(rows: Range<Int>, in file: HDF5File) throws(FormatError) -> [StoredGradient] {
    precondition(shape.projected > 0 && rows.lowerBound >= 0 && rows.upperBound <= count, "rows \(rows)")
    let width = shape.projected
    guard shape.storage == .int8 else {
      let numbers: [UInt16] = try file.readNumbers(Self.projected, rows: rows, columns: width, .f16)
      return (0..<rows.count).map { .f16(Array(numbers[$0 * width..<($0 + 1) * width])) }
    }
    let blocks = GradientStorage.scaleCount(width)
    guard try Self.width(Self.scales, count, file) == blocks else {
      throw file.malformed("/\(Self.scales) has not \(blocks) columns")
    }
    let numbers: [Int8] = try file.readNumbers(Self.projected, rows: rows, columns: width, .i8)
    let scales: [Float] = try file.readNumbers(Self.scales, rows: rows, columns: blocks, .f32)
    return (0..<rows.count).map {
      .int8(
        scales: Array(scales[$0 * blocks..<($0 + 1) * blocks]),
        numbers: Array(numbers[$0 * width..<($0 + 1) * width]))
    }
  }

  // MARK: Writing

  /// Builds the label file from a complete journal, beside its final name, and renames it. The journal stays.
  package static func write(
    to path: String, attributes: LabelAttributes, columns: LabelTexts, journal: LabelJournal,
    projection: StoredProjection? = nil, force: Bool = false
  ) throws(FormatError) {
    precondition(journal.isComplete, "the journal is not complete")
    try write(
      to: path, attributes: attributes, columns: columns, shape: journal.shape, projection: projection,
      force: force
    ) { index throws(FormatError) in
      guard let row = try journal.row(at: index) else { preconditionFailure("row \(index) is missing") }
      return row
    }
  }

  /// Builds the label file beside its final name and renames it. `row` is asked for every row in order, inside
  /// `HDF5.locked`.
  package static func write(
    to path: String, attributes: LabelAttributes, columns: LabelTexts, shape: LabelShape,
    projection: StoredProjection?, force: Bool,
    row: (_ index: Int) throws(FormatError) -> LabelRow
  ) throws(FormatError) {
    precondition(columns.ids.count == shape.rows, "\(columns.ids.count) ids for \(shape.rows) rows")
    try columns.check()
    try OutputFile.refuseExisting(path, force: force)
    let temporary = path + ".tmp"
    do {
      try HDF5.locked { () throws(FormatError) in
        let file = try HDF5File(creating: temporary)
        try attributes.write(to: file)
        try writeColumns(columns, shape, row, to: file)
        if let projection {
          try file.writeVector(projectionRanks, projection.ranks, .i32)
          try file.writeVector(projectionNumbers, projection.numbers, .f32)
        }
        try file.close()
      }
      try sync(temporary)
      try OutputFile.rename(temporary, to: path, force: force)
    } catch {
      unlink(temporary)
      throw error
    }
  }

  private static func writeColumns(
    _ columns: LabelTexts, _ shape: LabelShape, _ row: (Int) throws(FormatError) -> LabelRow,
    to file: HDF5File
  ) throws(FormatError) {
    var rows = NarrowColumns(capacity: shape.rows)
    var targets = RowBlocks<Float>(file, perTarget, .f32, rows: shape.rows, columns: shape.targets)
    var layers = RowBlocks<Float>(file, perLayer, .f32, rows: shape.rows, columns: shape.layers)
    var gradients = GradientBlocks(file, shape)
    try targets.create()
    try layers.create()
    try gradients.create()
    for index in 0..<shape.rows {
      let row = try row(index)
      rows.append(row)
      try targets.append(row.labelsPerTarget)
      try layers.append(row.labelsPerLayer)
      if let gradient = row.projectedGradient { try gradients.append(gradient) }
    }
    try file.writeVector("labels", rows.labels, .f32)
    try file.writeVector("loss", rows.losses, .f32)
    try file.writeVector("gradient_norm", rows.gradientNorms, .f32)
    try file.writeVector("token_count", rows.tokenCounts, .i32)
    try file.writeVector("truncated", rows.truncated, .u8)
    try file.writeStrings("ids", columns.ids)
    try file.writeStrings("sources", columns.sources)
    try file.writeStrings("texts", columns.texts)
    if let records = columns.records { try file.writeStrings("records", records) }
    if let ids = columns.targetIDs { try file.writeStrings(targetIDs, ids) }
    if let names = columns.layerNames { try file.writeStrings(layerNames, names) }
  }

  private static func sync(_ path: String) throws(FormatError) {
    let descriptor = open(path, O_RDWR | O_CLOEXEC)
    guard descriptor >= 0 else { throw .system(path, "open it") }
    defer { close(descriptor) }
    guard fsync(descriptor) == 0 else { throw .system(path, "write it to disk") }
  }
}

/// The columns with one number a row, which fit in memory.
private struct NarrowColumns {
  var labels: [Float] = []
  var losses: [Float] = []
  var gradientNorms: [Float] = []
  var tokenCounts: [Int32] = []
  var truncated: [UInt8] = []

  init(capacity: Int) { labels.reserveCapacity(capacity) }

  mutating func append(_ row: LabelRow) {
    labels.append(row.label)
    losses.append(row.loss)
    gradientNorms.append(row.gradientNorm)
    tokenCounts.append(Int32(clamping: row.tokenCount))
    truncated.append(row.truncated ? 1 : 0)
  }
}

extension LabelFile {
  /// The datasets of the projected gradients, by their storage.
  private struct GradientBlocks {
    private var halves: RowBlocks<UInt16>
    private var bytes: RowBlocks<Int8>
    private var scales: RowBlocks<Float>

    init(_ file: HDF5File, _ shape: LabelShape) {
      let (f16, int8) = shape.storage == .f16 ? (shape.projected, 0) : (0, shape.projected)
      halves = RowBlocks(file, LabelFile.projected, .f16, rows: shape.rows, columns: f16)
      bytes = RowBlocks(file, LabelFile.projected, .i8, rows: shape.rows, columns: int8)
      scales = RowBlocks(
        file, LabelFile.scales, .f32, rows: shape.rows, columns: GradientStorage.scaleCount(int8))
    }

    mutating func create() throws(FormatError) {
      try halves.create()
      try bytes.create()
      try scales.create()
    }

    mutating func append(_ gradient: StoredGradient) throws(FormatError) {
      switch gradient {
      case .f16(let numbers): try halves.append(numbers)
      case .int8(let factors, let numbers):
        try scales.append(factors)
        try bytes.append(numbers)
      }
    }
  }
}

/// Writes the rows of a wide dataset in blocks of whole chunks, so that each chunk is packed once and only a block is
/// in memory. Does nothing where there are no columns.
private struct RowBlocks<Number: BitwiseCopyable> {
  private let file: HDF5File
  private let name: String
  private let element: HDF5Element
  private let rows: Int
  private let columns: Int
  private var blockRows = 1
  private var written = 0
  private var pending: [Number] = []

  init(_ file: HDF5File, _ name: String, _ element: HDF5Element, rows: Int, columns: Int) {
    self.file = file
    self.name = name
    self.element = element
    self.rows = rows
    self.columns = columns
  }

  mutating func create() throws(FormatError) {
    if columns > 0 { blockRows = try file.createNumbers(name, shape: [rows, columns], element) }
  }

  mutating func append(_ row: [Number]) throws(FormatError) {
    guard columns > 0 else { return }
    pending += row
    let count = pending.count / columns
    guard count == blockRows || written + count == rows else { return }
    try file.writeNumbers(name, rows: written..<written + count, pending, element)
    written += count
    pending.removeAll(keepingCapacity: true)
  }
}
