import Formats
import Records
import TensorKernels

/// Rows drawn at random, none twice, of a stream whose length nobody knows: each row of the stream is as likely to be among them
/// (Vitter 1985, algorithm R). Holds what it has drawn.
struct Reservoir<Row> {
  private let size: Int
  private var generator: SeededGenerator
  private(set) var seen = 0
  private(set) var rows: [Row] = []

  init(size: Int, seed: UInt64) {
    self.size = size
    generator = SeededGenerator(seed: seed, stream: "reservoir")
  }

  /// - Parameter row: asked for only where it is drawn.
  mutating func offer(_ row: @autoclosure () -> Row) {
    seen += 1
    if rows.count < size { return rows.append(row()) }
    let place = Int.random(in: 0..<seen, using: &generator)
    if place < size { rows[place] = row() }
  }
}

/// Lines of some files, drawn at random.
package struct DrawnLines: Sendable {
  /// By file, in the files' order, and within one by line.
  package let files: [(path: String, name: String, lines: [LineReader.Line])]
  /// Of all the files.
  package let count: Int
  package var drawn: Int { files.reduce(0) { $0 + $1.lines.count } }

  /// Draws `size` of all lines in one pass; blank ones count.
  package init(
    _ paths: [String], size: Int, seed: UInt64, progress: (Int) -> Void = { _ in },
    isCancelled: () -> Bool = { false }
  ) throws {
    self = try Self.inParts(
      1, by: { _ in 0 }, paths, size: size, seed: seed, progress: progress, isCancelled: isCancelled)[0]
  }

  /// Draws `size` lines of each of some parts in one pass.
  ///
  /// - Parameter part: the number of a line's part, below `count`.
  static func inParts(
    _ count: Int, by part: (LineReader.Line) -> Int, _ paths: [String], size: Int, seed: UInt64,
    progress: (Int) -> Void, isCancelled: () -> Bool
  ) throws -> [DrawnLines] {
    var reservoirs = [Reservoir<Row>](repeating: Reservoir(size: size, seed: seed), count: count)
    var names: [String] = []
    var read = 0
    for (file, path) in paths.enumerated() {
      let reader = try LineReader(argument: path)
      names.append(reader.name)
      while let line = try reader.next() {
        reservoirs[part(line)].offer((file, line))
        read += 1
        guard read % 4096 == 0 else { continue }
        progress(read)
        if isCancelled() { throw VerificationError.interrupted }
      }
    }
    return reservoirs.map { DrawnLines($0, paths, names) }
  }

  private typealias Row = (file: Int, line: LineReader.Line)

  private init(_ reservoir: Reservoir<Row>, _ paths: [String], _ names: [String]) {
    count = reservoir.seen
    let rows = reservoir.rows.sorted { ($0.file, $0.line.number) < ($1.file, $1.line.number) }
    files = names.enumerated().map { file, name in
      (paths[file], name, rows.filter { $0.file == file }.map(\.line))
    }.filter { !$0.lines.isEmpty }
  }

  /// The lines as records; a bad one ends it.
  package func records(_ options: RecordOptions) throws(RecordError) -> [Record] {
    let parser = RecordParser(options)
    var records: [Record] = []
    for file in files {
      for line in file.lines {
        records.append(try parser.parse(line.bytes, file: file.name, line: line.number))
      }
    }
    return records
  }
}
