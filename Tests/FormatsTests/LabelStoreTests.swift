import CHDF5
import Formats
import Foundation
import TestSupport
import Testing

/// Rows and configurations of small label files.
enum LabelSample {
  static let configuration: JSONValue = ["kind": "dot", "model_sha256": "ab12", "max_tokens": 128]

  static func row(_ index: Int, _ shape: LabelShape) -> LabelRow {
    let value = Float(index) * 0.25 - 3
    return LabelRow(
      index: index, label: value, loss: abs(value) + 0.1, gradientNorm: index % 2 == 0 ? .nan : value,
      tokenCount: index + 1, truncated: index % 3 == 0,
      labelsPerTarget: (0..<shape.targets).map { value + Float($0) },
      projectedGradient: shape.projected == 0
        ? nil
        : StoredGradient((0..<shape.projected).map { value * Float($0 % 7) }, storage: shape.storage))
  }

  static func columns(_ count: Int) -> LabelTexts {
    LabelTexts(
      ids: (0..<count).map { ByteString("id-é-\($0)") },
      sources: (0..<count).map { $0 % 2 == 0 ? "" : ByteString("source \($0 % 5)") },
      texts: (0..<count).map {
        ByteString("text \($0)\nemoji 😀 e\u{301} " + String(repeating: "x", count: $0))
      }, records: (0..<count).map { ByteString("{\"text\": \"\($0)\"}") })
  }

  static let attributes = LabelAttributes(
    alinfikVersion: "0.1.0", kind: "dot", modelSHA256: "ab12", targetSHA256: "cd34",
    targetDescription: "questions – é", projection: "random", rank: 16, damping: 0.1, seed: UInt64.max,
    maxTokens: 128, command: "alinfik label", extra: ["layers": "*", "configuration": "{\"x\": 1}"])

  static func fullJournal(_ path: String, _ shape: LabelShape) throws -> LabelJournal {
    let journal = try LabelJournal(path: path, configuration: configuration, shape: shape)
    for index in (0..<shape.rows).reversed() { try journal.append(row(index, shape)) }
    return journal
  }
}

/// Equal, where NaN equals NaN.
private func same(_ left: LabelRow?, _ right: LabelRow) -> Bool {
  guard var left else { return false }
  var right = right
  guard left.gradientNorm.bitPattern == right.gradientNorm.bitPattern else { return false }
  left.gradientNorm = 0
  right.gradientNorm = 0
  return left == right
}

@Suite struct LabelJournalTests {
  static let shape = LabelShape(rows: 6, targets: 2, projected: 3)

  func open(_ path: String, _ configuration: JSONValue = LabelSample.configuration, resume: Bool = true)
    throws
    -> LabelJournal
  {
    try LabelJournal(path: path, configuration: configuration, shape: Self.shape, resume: resume)
  }

  @Test func keepsRowsInAnyOrder() throws {
    let folder = try TemporaryFolder()
    do {
      let journal = try open(folder.path("j"), resume: false)
      for index in [4, 0, 2] { try journal.append(LabelSample.row(index, Self.shape)) }
      #expect(journal.missing == [1, 3, 5])
      #expect(journal.count == 3 && !journal.isComplete && journal.contains(4) && !journal.contains(1))
    }
    let journal = try open(folder.path("j"))
    #expect(journal.missing == [1, 3, 5])
    for index in [5, 3, 1] { try journal.append(LabelSample.row(index, Self.shape)) }
    #expect(journal.isComplete)
    for index in 0..<6 { #expect(same(try journal.row(at: index), LabelSample.row(index, Self.shape))) }
    let size = try folder.read("j").count
    #expect((size - 6 * Self.shape.bytesPerRow) < 200)
    journal.remove()
    #expect(!folder.exists("j"))
  }

  @Test func isResumedAfterACrashAtEveryByte() throws {
    let folder = try TemporaryFolder()
    do {
      let journal = try open(folder.path("whole"), resume: false)
      for index in [3, 1, 5, 0] { try journal.append(LabelSample.row(index, Self.shape)) }
    }
    let whole = try folder.read("whole")
    let headerBytes = whole.count - 4 * Self.shape.bytesPerRow
    for length in 0...whole.count {
      let path = try folder.file("cut", whole[..<length])
      let expected = max(0, (length - headerBytes) / Self.shape.bytesPerRow)
      let journal = try open(path)
      #expect(journal.count == expected, "\(length) bytes")
      for index in [3, 1, 5, 0].prefix(expected) {
        #expect(same(try journal.row(at: index), LabelSample.row(index, Self.shape)))
      }
      for index in journal.missing { try journal.append(LabelSample.row(index, Self.shape)) }
      #expect(journal.isComplete)
      for index in 0..<6 { #expect(same(try journal.row(at: index), LabelSample.row(index, Self.shape))) }
    }
  }

  @Test func aDamagedByteCostsOnlyWhatFollows() throws {
    let folder = try TemporaryFolder()
    do {
      let journal = try open(folder.path("whole"), resume: false)
      for index in 0..<6 { try journal.append(LabelSample.row(index, Self.shape)) }
    }
    let whole = try folder.read("whole")
    let headerBytes = whole.count - 6 * Self.shape.bytesPerRow
    for place in 0..<whole.count {
      var damaged = whole
      damaged[place] ^= 0x10
      let path = try folder.file("damaged", damaged)
      if place < headerBytes {
        #expect(throws: FormatError.self, "byte \(place)") { try open(path) }
        #expect(try folder.read("damaged") == damaged, "a journal that is refused is not touched")
      } else {
        #expect(try open(path).count == (place - headerBytes) / Self.shape.bytesPerRow)
      }
    }
    let doubled = whole + whole.suffix(Self.shape.bytesPerRow)
    #expect(try open(folder.file("doubled", doubled)).isComplete)
  }

  @Test func anotherConfigurationIsRefusedByName() throws {
    let folder = try TemporaryFolder()
    _ = try open(folder.path("j"), resume: false)
    #expect(throws: FormatError.unfinished(path: folder.path("j"))) {
      try open(folder.path("j"), resume: false)
    }
    var error = #expect(throws: FormatError.self) {
      try open(folder.path("j"), ["kind": "cosine", "model_sha256": "ab12", "max_tokens": 128])
    }
    #expect(message(error).contains("'kind' (\"dot\", now \"cosine\")"), "\(message(error))")
    error = #expect(throws: FormatError.self) {
      try open(folder.path("j"), ["kind": "dot", "model_sha256": "ab12"])
    }
    #expect(message(error).contains("'max_tokens' (128, now not given)"), "\(message(error))")
    error = #expect(throws: FormatError.self) {
      try LabelJournal(
        path: folder.path("j"), configuration: LabelSample.configuration, shape: LabelShape(rows: 7),
        resume: true)
    }
    #expect(message(error).contains("'rows' (6, now 7)"), "\(message(error))")
    let anew = try LabelJournal(
      path: folder.path("j"), configuration: ["kind": "cosine"], shape: Self.shape, force: true)
    #expect(anew.count == 0)
    #expect(throws: FormatError.self) { try open(folder.path("j"), ["kind": "cosine"]) }
  }

  @Test func somethingElseIsRefused() throws {
    let folder = try TemporaryFolder()
    let path = try folder.file("other", String(repeating: "no journal ", count: 50))
    #expect(throws: FormatError.self) { try open(path) }
    #expect(try folder.read("other").count == 550)
    let reason = "cannot create it: its folder does not exist"
    #expect(throws: FormatError.inputOutput(path: "/nonexistent/j", reason: reason)) {
      try open("/nonexistent/j")
    }
  }

  @Test func numbersThatAreNotFiniteAreRefused() throws {
    let folder = try TemporaryFolder()
    let journal = try open(folder.path("j"), resume: false)
    for change in [
      { $0.label = .nan }, { $0.loss = .infinity }, { $0.labelsPerTarget[1] = .nan },
      { $0.projectedGradient = .f16([0x7C00, 0, 0]) },
    ] as [(inout LabelRow) -> Void] {
      var row = LabelSample.row(2, Self.shape)
      change(&row)
      let error = #expect(throws: FormatError.self) { try journal.append(row) }
      #expect(message(error).contains("row 2"))
    }
    #expect(journal.count == 0)
  }

  @Test func manyThreadsAppend() throws {
    let folder = try TemporaryFolder()
    let shape = LabelShape(rows: 2000, targets: 1, projected: 5)
    let journal = try LabelJournal(path: folder.path("j"), configuration: [:], shape: shape)
    DispatchQueue.concurrentPerform(iterations: 8) { worker in
      for index in stride(from: worker, to: 2000, by: 8) {
        do { try journal.append(LabelSample.row(index, shape)) } catch { Issue.record(error) }
      }
    }
    #expect(journal.isComplete)
    for index in 0..<2000 where !same(try journal.row(at: index), LabelSample.row(index, shape)) {
      Issue.record("row \(index)")
    }
  }

  /// In a process of its own, whose files may not grow beyond a limit: what a full disk looks like.
  @Test func aFullDiskLosesNothing() async throws {
    await #expect(processExitsWith: .success) {
      signal(SIGXFSZ, SIG_IGN)
      let folder = try TemporaryFolder()
      let shape = LabelShape(rows: 100, projected: 500)
      var limit = rlimit(rlim_cur: 10_500, rlim_max: rlim_t.max)
      setrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &limit)
      var written = 0
      do {
        let journal = try LabelJournal(path: folder.path("j"), configuration: [:], shape: shape)
        let error = #expect(throws: FormatError.self) {
          for index in 0..<100 {
            try journal.append(LabelSample.row(index, shape))
            written += 1
          }
        }
        guard case .inputOutput = error else { preconditionFailure("\(String(describing: error))") }
        precondition(written > 5 && journal.count == written)
      }
      limit.rlim_cur = rlim_t.max
      setrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &limit)
      let journal = try LabelJournal(path: folder.path("j"), configuration: [:], shape: shape, resume: true)
      precondition(journal.count == written)
      for index in journal.missing { try journal.append(LabelSample.row(index, shape)) }
      limit.rlim_cur = 20_000
      setrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &limit)
      let path = folder.path("labels.h5")
      let error = #expect(throws: FormatError.self) {
        try LabelFile.write(
          to: path, attributes: LabelSample.attributes, columns: LabelSample.columns(100), journal: journal)
      }
      guard case .inputOutput = error else { preconditionFailure("\(String(describing: error))") }
      precondition(!folder.exists("labels.h5") && !folder.exists("labels.h5.tmp"))
      limit.rlim_cur = rlim_t.max
      setrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &limit)
      try LabelFile.write(
        to: path, attributes: LabelSample.attributes, columns: LabelSample.columns(100), journal: journal)
      let count = try LabelFile(path: path).count
      precondition(count == 100)
    }
  }
}

@Suite struct LabelFileTests {
  /// A small label file in a new folder.
  func write(_ shape: LabelShape, in folder: TemporaryFolder) throws -> String {
    let path = folder.path("labels.h5")
    let journal = try LabelSample.fullJournal(path + ".partial", shape)
    try LabelFile.write(
      to: path, attributes: LabelSample.attributes, columns: LabelSample.columns(shape.rows), journal: journal
    )
    journal.remove()
    return path
  }

  @Test(arguments: [
    LabelShape(rows: 1), LabelShape(rows: 10, targets: 3), LabelShape(rows: 9000, targets: 2, projected: 7),
    LabelShape(rows: 13, projected: 40_000), LabelShape(rows: 3, projected: 300_000),
    LabelShape(rows: 5, projected: 200, storage: .int8),
  ])
  func comesBackAsWritten(shape: LabelShape) throws {
    let folder = try TemporaryFolder()
    let file = try LabelFile(path: write(shape, in: folder))
    #expect(file.attributes == LabelSample.attributes)
    #expect(file.shape == shape)
    #expect(file.columns == LabelSample.columns(shape.rows))
    let rows = (0..<shape.rows).map { LabelSample.row($0, shape) }
    #expect(file.labels == rows.map(\.label))
    #expect(file.losses == rows.map(\.loss))
    #expect(file.gradientNorms.map(\.bitPattern) == rows.map(\.gradientNorm.bitPattern))
    #expect(file.tokenCounts == rows.map { Int32($0.tokenCount) })
    #expect(file.truncated == rows.map(\.truncated))
    let some = shape.rows / 3..<shape.rows
    if shape.targets > 0 {
      #expect(try file.labelsPerTarget(rows: some) == rows[some].flatMap(\.labelsPerTarget))
    }
    if shape.projected > 0 {
      #expect(try file.projectedGradients(rows: some) == rows[some].flatMap { $0.projectedGradient!.values })
    }
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == ["labels.h5"])
  }

  @Test func int8KeepsEachNumberWithinHalfAStepOfItsBlock() {
    let values = (0..<150).map { Float(sin(Double($0))) * ($0 < 64 ? 1000 : 0.01) }
    let stored = StoredGradient(values, storage: .int8)
    for (index, (value, kept)) in zip(values, stored.values).enumerated() {
      let block = values[index / 64 * 64..<min(150, index / 64 * 64 + 64)]
      let step = block.map(abs).max()! / 127
      #expect(abs(value - kept) <= 0.5001 * step, "\(index)")
    }
    #expect(GradientStorage.int8.byteCount(150) == 150 + 4 * 3)
    #expect(StoredGradient([0, 0], storage: .int8).values == [0, 0])
    let tiny = StoredGradient([1e-37, 0, -.leastNonzeroMagnitude], storage: .int8).values
    #expect(abs(tiny[0] / 1e-37 - 1) < 0.01 && tiny[1] == 0)
  }

  @Test(arguments: [[Float.nan, 1], [Float.infinity, 1], [0, -Float.infinity]])
  func int8GradientsThatAreNotFiniteAreRefused(_ values: [Float]) throws {
    let folder = try TemporaryFolder()
    let shape = LabelShape(rows: 1, projected: 2, storage: .int8)
    let journal = try LabelJournal(path: folder.path("j"), configuration: [:], shape: shape)
    var row = LabelSample.row(0, shape)
    row.projectedGradient = StoredGradient(values, storage: .int8)
    let error = #expect(throws: FormatError.self) { try journal.append(row) }
    #expect(message(error).contains("int8"))
  }

  @Test func theSameRowsGiveTheSameBytes() throws {
    let (first, second) = (try TemporaryFolder(), try TemporaryFolder())
    let shape = LabelShape(rows: 20, targets: 2, projected: 10)
    _ = try write(shape, in: first)
    _ = try write(shape, in: second)
    #expect(try first.read("labels.h5") == second.read("labels.h5"))
  }

  @Test func severalThreadsReadAtOnce() throws {
    let folder = try TemporaryFolder()
    let path = try write(LabelShape(rows: 50, projected: 10), in: folder)
    DispatchQueue.concurrentPerform(iterations: 16) { _ in
      let rows = try? LabelFile(path: path).projectedGradients(rows: 10..<20)
      if rows?.count != 100 { Issue.record("rows are missing") }
    }
  }

  @Test func anExistingFileIsKept() throws {
    let folder = try TemporaryFolder()
    _ = try folder.file("labels.h5", "precious")
    #expect(throws: FormatError.exists(path: folder.path("labels.h5"))) {
      try write(LabelShape(rows: 2), in: folder)
    }
    #expect(try folder.read("labels.h5") == Array("precious".utf8))
  }

  @Test func textsThatDoNotFitAreToldBeforehand() {
    var columns = LabelSample.columns(3)
    #expect(throws: Never.self) { try columns.check() }
    columns.texts[1] = ByteString([0x61, 0, 0x62])
    #expect(
      throws: FormatError.malformed(
        place: "row 1", reason: "its text holds a NUL character (U+0000); remove it")
    ) {
      try columns.check()
    }
    columns.texts[1] = ByteString([0xFF])
    #expect(throws: FormatError.self) { try columns.check() }
  }

  /// Opens the file with the C library, changes something, and expects the reader to say what is wrong.
  func damage(_ reason: String, _ change: (hid_t) -> Void) throws {
    let folder = try TemporaryFolder()
    let path = try write(LabelShape(rows: 4, targets: 2), in: folder)
    try HDF5.locked { () throws(FormatError) in
      let file = H5Fopen(path, 1, 0)
      change(file)
      H5Fclose(file)
    }
    let error = #expect(throws: FormatError.self) { try LabelFile(path: path) }
    #expect(error?.description.contains(reason) == true, "\(String(describing: error))")
    #expect(error?.description.contains("labels.h5") == true)
  }

  static func number(_ file: hid_t, _ name: String, _ count: Int, _ values: [Float]) {
    let pattern = H5Dopen2(file, "labels_per_target", 0)
    let type = H5Dget_type(pattern)
    H5Dclose(pattern)
    H5Ldelete(file, name, 0)
    let space = H5Screate_simple(1, [hsize_t(count)], nil)
    let dataset = H5Dcreate2(file, name, type, space, 0, 0, 0)
    if !values.isEmpty { H5Dwrite(dataset, type, 0, 0, 0, values) }
    H5Dclose(dataset)
    H5Tclose(type)
    H5Sclose(space)
  }

  @Test func theReaderSaysWhatIsWrong() throws {
    try damage("/loss is missing") { H5Ldelete($0, "loss", 0) }
    try damage("/texts is missing") { H5Ldelete($0, "texts", 0) }
    try damage("'kind' is missing") { H5Adelete($0, "kind") }
    try damage("'format' is missing") { H5Adelete($0, "format") }
    try damage("row 2 of /labels is not a finite number") { Self.number($0, "labels", 4, [1, 2, .nan, 4]) }
    try damage("/loss has 3 rows, /labels has 4") { Self.number($0, "loss", 3, [1, 2, 3]) }
    try damage("announces more rows") { Self.number($0, "labels", 1 << 40, []) }
    try damage("/token_count has the wrong type") { Self.number($0, "token_count", 4, [1, 2, 3, 4]) }
    try damage("/ids has the wrong type") { Self.number($0, "ids", 4, [1, 2, 3, 4]) }
    try damage("/labels_per_target has the wrong type") { Self.number($0, "labels_per_target", 4, []) }
    try damage("schema_version is 7; this program reads 1") { file in
      let attribute = H5Aopen(file, "schema_version", 0)
      var version: Int64 = 7
      H5Awrite(attribute, H5Aget_type(attribute), &version)
      H5Aclose(attribute)
    }
  }

  @Test func otherFilesAreRefused() throws {
    let folder = try TemporaryFolder()
    #expect(throws: FormatError.missing(path: "/nonexistent.h5")) { try LabelFile(path: "/nonexistent.h5") }
    #expect(throws: FormatError.self) { try LabelFile(path: folder.file("text.h5", "text")) }
    #expect(throws: FormatError.self) { try LabelFile(path: folder.path) }
    let path = try write(LabelShape(rows: 4), in: folder)
    let whole = try folder.read("labels.h5")
    for length in stride(from: 0, to: whole.count, by: 97) {
      let cut = try folder.file("cut.h5", whole[..<length])
      #expect(throws: FormatError.self, "\(length) bytes") { try LabelFile(path: cut) }
    }
    #expect(throws: Never.self) { try LabelFile(path: path) }
  }
}
