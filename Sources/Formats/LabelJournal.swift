import CZlib
import Glibc
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
  /// The projected gradient, or nil where it is not kept.
  package var projectedGradient: StoredGradient?

  package init(
    index: Int, label: Float, loss: Float, gradientNorm: Float = .nan, tokenCount: Int, truncated: Bool,
    labelsPerTarget: [Float] = [], projectedGradient: StoredGradient? = nil
  ) {
    self.index = index
    self.label = label
    self.loss = loss
    self.gradientNorm = gradientNorm
    self.tokenCount = tokenCount
    self.truncated = truncated
    self.labelsPerTarget = labelsPerTarget
    self.projectedGradient = projectedGradient
  }
}

/// How many rows a label file has and how wide they are.
package struct LabelShape: Sendable, Equatable {
  package var rows: Int
  /// Labels per target, or 0 where they are not kept.
  package var targets: Int
  /// Numbers of a projected gradient, or 0 where they are not kept.
  package var projected: Int
  /// How they are kept.
  package var storage: GradientStorage

  package init(rows: Int, targets: Int = 0, projected: Int = 0, storage: GradientStorage = .f16) {
    self.rows = rows
    self.targets = targets
    self.projected = projected
    self.storage = storage
  }

  /// The bytes of a row in the journal; the label file needs no more.
  package var bytesPerRow: Int {
    LabelJournal.fixedBytes + 4 * targets + storage.byteCount(projected) + 4
  }
}

/// The append-only file that keeps finished rows while labelling runs (`labels.h5.partial`).
///
/// Layout, little-endian: "ALFKJRNL", version u32, length of the configuration u32, the configuration (JSON), its CRC-32;
/// then rows of one size in the order of their completion: index u64, label, loss, gradient norm f32, token count i32,
/// truncated u32, labels per target f32, projected gradient (f16, or
/// scales f32 and numbers int8), CRC-32 of the row. A row that a crash left torn fails
/// its checksum; it and what follows are cut off when the journal is opened again.
///
/// Rows may be appended by several threads in any order. A row that could not be written whole is taken back, so that
/// after an error (a full disk) everything appended before is still there. Rows reach the disk at least every five
/// seconds of appending.
package final class LabelJournal: Sendable {
  static let fixedBytes = 28
  private static let magic = Array("ALFKJRNL".utf8)
  private static let version: UInt32 = 1
  private static let secondsBetweenSyncs = 5

  package let path: String
  package let shape: LabelShape
  private let headerBytes: Int
  private let descriptor: Int32

  private struct State: Sendable {
    /// For each sample the place of its row in the journal, or -1.
    var places: [Int32]
    var count = 0
    var lastSync = LabelJournal.now()
  }
  private let state: Mutex<State>

  /// Begins a journal, or with `resume` goes on with the one that is there.
  ///
  /// `configuration` is an object with everything that decides the rows (hashes of model, targets and samples, and the
  /// options); a journal begun with another one is refused, naming the first member that differs. Without `resume` a
  /// journal that is there is an error, unless `force` says to begin anew.
  package init(
    path: String, configuration: JSONValue, shape: LabelShape, resume: Bool = false, force: Bool = false
  ) throws(FormatError) {
    precondition(shape.rows > 0 && shape.rows < Int(Int32.max), "a journal for \(shape.rows) rows")
    self.path = path
    self.shape = shape
    let header = Self.header(configuration, shape)
    headerBytes = header.count
    descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o666)
    state = Mutex(State(places: [Int32](repeating: -1, count: shape.rows)))
    if descriptor < 0 { throw .output(path, "create it") }
    guard lockFile(descriptor) else {
      if errno == EWOULDBLOCK { throw .inputOutput(path: path, reason: "another process is writing it") }
      throw .system(path, "lock it")
    }
    if try Self.needsHeader(path, descriptor, header, configuration, shape, resume: resume, force: force) {
      try begin(header)
    } else {
      try recover()
    }
  }

  /// Throws where a journal is there that nobody said to go on with: worth asking before long preparations.
  package static func refuseUnfinished(_ path: String) throws(FormatError) {
    var status = stat()
    if stat(path, &status) == 0, status.st_size > 0 { throw .unfinished(path: path) }
  }

  deinit {
    if descriptor >= 0 {
      fdatasync(descriptor)
      close(descriptor)
    }
  }

  // MARK: Header

  private static func header(_ configuration: JSONValue, _ shape: LabelShape) -> [UInt8] {
    let text = described(configuration, shape).serialized()
    var bytes = magic
    append(version, to: &bytes)
    append(UInt32(text.count), to: &bytes)
    bytes += text
    append(checksum(text), to: &bytes)
    return bytes
  }

  /// The configuration with the shape, which decides the layout, beside it.
  private static func described(_ configuration: JSONValue, _ shape: LabelShape) -> JSONValue {
    guard let members = configuration.members else { preconditionFailure("a configuration is an object") }
    return .object(
      members + [
        (key: "rows", value: JSONValue(shape.rows)), (key: "targets", value: JSONValue(shape.targets)),
        (key: "projected", value: JSONValue(shape.projected)),
        (key: "gradient_storage", value: JSONValue(shape.storage.rawValue)),
      ])
  }

  /// True where a journal is to be begun; false where the one there is to be gone on with.
  private static func needsHeader(
    _ path: String, _ descriptor: Int32, _ header: [UInt8], _ configuration: JSONValue, _ shape: LabelShape,
    resume: Bool, force: Bool
  ) throws(FormatError) -> Bool {
    let size = Int(lseek(descriptor, 0, SEEK_END))
    if size < 0 { throw .system(path, "look at it") }
    if size == 0 || force && !resume { return true }
    if !resume { throw .unfinished(path: path) }
    let found = try read(path, descriptor, at: 0, count: min(size, 16))
    // A crash before the header was whole left nothing to keep.
    if size < header.count, header.starts(with: try read(path, descriptor, at: 0, count: size)) {
      return true
    }
    guard found.count == 16, found.starts(with: magic) else {
      throw .malformed(place: path, reason: "it is no journal of labels, or its beginning is damaged")
    }
    guard load(UInt32.self, found, 8) == version else {
      throw .malformed(place: path, reason: "it was written by another version of this program")
    }
    let length = Int(load(UInt32.self, found, 12))
    guard length <= size - 20 else { throw .malformed(place: path, reason: "its header is cut short") }
    let rest = try read(path, descriptor, at: 16, count: length + 4)
    let text = Array(rest.prefix(length))
    guard load(UInt32.self, rest, length) == checksum(text), let journal = try? JSONValue.parse(text) else {
      throw .malformed(place: path, reason: "its header is damaged")
    }
    try compare(journal, described(configuration, shape), path)
    guard found + rest == header else { throw .malformed(place: path, reason: "its header is damaged") }
    return false
  }

  /// Throws for the first member in which two configurations differ.
  private static func compare(_ journal: JSONValue, _ now: JSONValue, _ path: String) throws(FormatError) {
    let keys = (now.members ?? []).map(\.key) + (journal.members ?? []).map(\.key)
    for key in keys where journal[key] != now[key] {
      func text(_ value: JSONValue?) -> String {
        let whole = value.map { String(decoding: $0.serialized(), as: UTF8.self) } ?? "not given"
        return whole.count > 80 ? whole.prefix(77) + "..." : whole
      }
      throw .differentConfiguration(
        path: path, option: key.string, journal: text(journal[key]), now: text(now[key]))
    }
  }

  private func begin(_ header: [UInt8]) throws(FormatError) {
    guard ftruncate(descriptor, 0) == 0 else { throw .system(path, "empty it") }
    try Self.write(path, descriptor, header, at: 0)
    guard fsync(descriptor) == 0 else { throw .system(path, "write it to disk") }
  }

  // MARK: Rows

  /// How many samples have a row.
  package var count: Int { state.withLock { $0.count } }

  package var isComplete: Bool { count == shape.rows }

  package func contains(_ index: Int) -> Bool { state.withLock { $0.places[index] >= 0 } }

  /// The samples that have no row yet, in order.
  package var missing: [Int] {
    state.withLock { state in state.places.indices.filter { state.places[$0] < 0 } }
  }

  /// Adds a finished row. Throws where a number is not finite, and where the disk refuses; nothing of the row is kept
  /// then, and everything else is.
  package func append(_ row: LabelRow) throws(FormatError) {
    precondition(
      row.index >= 0 && row.index < shape.rows && row.labelsPerTarget.count == shape.targets
        && row.projectedGradient?.count ?? 0 == shape.projected
        && row.projectedGradient?.storage ?? shape.storage == shape.storage,
      "row \(row.index) does not fit \(shape)")
    try checkNumbers(row)
    let bytes = encode(row)
    let outcome = state.withLock { state in
      Result { () throws(FormatError) in try append(bytes, row.index, &state) }
    }
    try outcome.get()
  }

  private func append(_ bytes: [UInt8], _ index: Int, _ state: inout State) throws(FormatError) {
    precondition(state.places[index] < 0, "row \(index) is appended twice")
    let offset = headerBytes + state.count * shape.bytesPerRow
    do { try Self.write(path, descriptor, bytes, at: offset) } catch {
      ftruncate(descriptor, off_t(offset))
      throw error
    }
    state.places[index] = Int32(state.count)
    state.count += 1
    if Self.now() - state.lastSync >= Self.secondsBetweenSyncs || state.count == shape.rows {
      guard fdatasync(descriptor) == 0 else { throw .system(path, "write it to disk") }
      state.lastSync = Self.now()
    }
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
    try check(
      row.projectedGradient?.isFinite ?? true, "a projected gradient in \(shape.storage.rawValue)")
  }

  /// The row of a sample, or nil where it has none; throws where the disk gives back something else.
  package func row(at index: Int) throws(FormatError) -> LabelRow? {
    let place = Int(state.withLock { $0.places[index] })
    guard place >= 0 else { return nil }
    let offset = headerBytes + place * shape.bytesPerRow
    let bytes = try Self.read(path, descriptor, at: offset, count: shape.bytesPerRow)
    guard let row = decode(bytes), row.index == index else {
      throw .malformed(place: path, reason: "the row of sample \(index) has changed since it was written")
    }
    return row
  }

  /// Makes everything appended so far safe on disk.
  package func sync() throws(FormatError) {
    guard fdatasync(descriptor) == 0 else { throw .system(path, "write it to disk") }
  }

  /// Removes the journal, once the label file is there.
  package func remove() { unlink(path) }

  /// Reads all rows, and cuts off what begins with the first that is torn, damaged or impossible.
  private func recover() throws(FormatError) {
    let size = Int(lseek(descriptor, 0, SEEK_END))
    var recovered = State(places: [Int32](repeating: -1, count: shape.rows))
    while true {
      let offset = headerBytes + recovered.count * shape.bytesPerRow
      guard offset + shape.bytesPerRow <= size else { break }
      let bytes = try Self.read(path, descriptor, at: offset, count: shape.bytesPerRow)
      guard let row = decode(bytes), row.index < shape.rows, recovered.places[row.index] < 0 else { break }
      recovered.places[row.index] = Int32(recovered.count)
      recovered.count += 1
    }
    let end = headerBytes + recovered.count * shape.bytesPerRow
    if end < size && ftruncate(descriptor, off_t(end)) != 0 { throw .system(path, "cut its torn end off") }
    state.withLock { $0 = recovered }
  }

  // MARK: Bytes

  private func encode(_ row: LabelRow) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(shape.bytesPerRow)
    Self.append(UInt64(row.index), to: &bytes)
    for value in [row.label, row.loss, row.gradientNorm] { Self.append(value.bitPattern, to: &bytes) }
    Self.append(UInt32(clamping: row.tokenCount), to: &bytes)
    Self.append(UInt32(row.truncated ? 1 : 0), to: &bytes)
    row.labelsPerTarget.withUnsafeBytes { bytes.append(contentsOf: $0) }
    row.projectedGradient?.append(to: &bytes)
    Self.append(Self.checksum(bytes), to: &bytes)
    return bytes
  }

  /// The row of some bytes, or nil where their checksum is wrong.
  private func decode(_ bytes: [UInt8]) -> LabelRow? {
    let end = bytes.count - 4
    guard Self.load(UInt32.self, bytes, end) == Self.checksum(Array(bytes[..<end])),
      let index = Int(exactly: Self.load(UInt64.self, bytes, 0))
    else { return nil }
    func float(_ offset: Int) -> Float { Float(bitPattern: Self.load(UInt32.self, bytes, offset)) }
    let projectedStart = Self.fixedBytes + 4 * shape.targets
    return LabelRow(
      index: index, label: float(8), loss: float(12), gradientNorm: float(16),
      tokenCount: Int(Self.load(UInt32.self, bytes, 20)), truncated: Self.load(UInt32.self, bytes, 24) != 0,
      labelsPerTarget: (0..<shape.targets).map { float(Self.fixedBytes + 4 * $0) },
      projectedGradient: shape.projected == 0
        ? nil
        : StoredGradient(bytes[projectedStart..<end], count: shape.projected, storage: shape.storage))
  }

  private static func append<Number: FixedWidthInteger>(_ value: Number, to bytes: inout [UInt8]) {
    withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
  }

  private static func load<Number: FixedWidthInteger & BitwiseCopyable>(
    _ type: Number.Type, _ bytes: [UInt8], _ offset: Int
  ) -> Number {
    bytes.withUnsafeBytes { Number(littleEndian: $0.loadUnaligned(fromByteOffset: offset, as: type)) }
  }

  private static func checksum(_ bytes: [UInt8]) -> UInt32 {
    UInt32(truncatingIfNeeded: crc32_z(0, bytes, bytes.count))
  }

  private static func now() -> Int {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return time.tv_sec
  }

  private static func read(
    _ path: String, _ descriptor: Int32, at offset: Int, count: Int
  ) throws(FormatError) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    var done = 0
    while done < count {
      let got = bytes.withUnsafeMutableBytes {
        pread(descriptor, $0.baseAddress! + done, count - done, off_t(offset + done))
      }
      if got < 0 && errno == EINTR { continue }
      if got < 0 { throw .system(path, "read it") }
      if got == 0 { throw .malformed(place: path, reason: "it has become shorter while it was read") }
      done += got
    }
    return bytes
  }

  private static func write(
    _ path: String, _ descriptor: Int32, _ bytes: [UInt8], at offset: Int
  ) throws(FormatError) {
    var done = 0
    while done < bytes.count {
      let put = bytes.withUnsafeBytes {
        pwrite(descriptor, $0.baseAddress! + done, $0.count - done, off_t(offset + done))
      }
      if put < 0 && errno == EINTR { continue }
      if put < 0 { throw .system(path, "write it") }
      done += put
    }
  }
}
