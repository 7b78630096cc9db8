import Foundation
import Formats
import TensorKernels

/// The rows that a valuator learnt from, as points: what a text resembles among them.
///
/// A text's point is `D (e - mean)`, e its embedding (`ValuatorModel.embeddings`) and D the directions in which the rows vary
/// most: far fewer numbers than an embedding, so that no text can be read from them. Likeness is the cosine of two points.
package struct LabelledRows: Sendable {
  package struct Row: Sendable, Equatable {
    package var id: String
    package var source: String
    package var label: Double
    /// Where the valuator was made to carry texts.
    package var text: String?

    package init(id: String, source: String, label: Double, text: String?) {
      self.id = id
      self.source = source
      self.label = label
      self.text = text
    }
  }

  /// One of the rows, and the cosine.
  package struct Neighbour: Sendable, Equatable {
    package var row: Int
    package var likeness: Double
  }

  package let rows: [Row]
  /// Where the labels were kept target by target.
  package var clusters: [TargetCluster] = []
  /// Of the embeddings, p numbers.
  private let mean: [Float]
  /// k x p.
  private let directions: MatrixView
  /// n x k.
  private let points: MatrixView

  package static let dimensions = 64

  /// - Parameter embeddings: n x p, of the rows. Nil where they do not vary.
  package init?(rows: [Row], embeddings: MatrixView, seed: UInt64) {
    precondition(rows.count == embeddings.rows, "LabelledRows: \(rows.count) rows, other embeddings")
    let p = embeddings.columns
    var sums = [Double](repeating: 0, count: p)
    for row in 0..<embeddings.rows {
      for column in 0..<p { sums[column] += Double(embeddings[row, column]) }
    }
    mean = sums.map { Float($0 / Double(max(1, rows.count))) }
    guard
      let directions = principalDirections(
        of: embeddings, means: mean, rank: min(Self.dimensions, p), seed: seed),
      dot(directions, directions) > 0
    else { return nil }
    self.rows = rows
    self.directions = directions
    points = Self.points(embeddings, mean: mean, directions: directions)
  }

  private init(rows: [Row], mean: [Float], directions: MatrixView, points: MatrixView) {
    self.rows = rows
    self.mean = mean
    self.directions = directions
    self.points = points
  }

  /// How many numbers a point has.
  package var pointWidth: Int { points.columns }

  /// Of every row the first `count` numbers of its point, number by number, each ascending.
  package func coordinates(_ count: Int) -> [[Float]] {
    (0..<min(count, pointWidth)).map { column in points.columns(column..<column + 1).values.sorted() }
  }

  /// n x k of n embeddings.
  package func points(of embeddings: MatrixView) -> MatrixView {
    Self.points(embeddings, mean: mean, directions: directions)
  }

  private static func points(_ embeddings: MatrixView, mean: [Float], directions: MatrixView) -> MatrixView {
    let centred = Matrix(rows: embeddings.rows, columns: embeddings.columns)
    for row in 0..<embeddings.rows {
      for column in mean.indices { centred[row, column] = embeddings[row, column] - mean[column] }
    }
    let points = Matrix(rows: embeddings.rows, columns: directions.rows)
    gemm(centred.view, .no, directions, .yes, into: points)
    return points.view
  }

  /// The rows most like the texts at some points, the most like first; equal ones in the rows' order.
  package func nearest(to asked: MatrixView, count: Int) -> [[Neighbour]] {
    func norm(_ points: MatrixView, _ row: Int) -> Double {
      max(dot(points.rows(row..<row + 1), points.rows(row..<row + 1)).squareRoot(), 1e-30)
    }
    let norms = (0..<points.rows).map { norm(points, $0) }
    return (0..<asked.rows).map { text in
      let own = norm(asked, text)
      let cosines = (0..<points.rows).map { row in
        dot(asked.rows(text..<text + 1), points.rows(row..<row + 1)) / (own * norms[row])
      }
      return cosines.indices.sorted { (-cosines[$0], $0) < (-cosines[$1], $1) }.prefix(count).map {
        Neighbour(row: $0, likeness: cosines[$0])
      }
    }
  }

  /// The share of the rows whose label is lower.
  package func shareBelow(_ value: Double) -> Double {
    Double(rows.count { $0.label < value }) / Double(max(1, rows.count))
  }
}

extension LabelledRows {
  private static let names = (
    points: "rows.safetensors", rows: "rows.jsonl", clusters: "clusters.json"
  )

  /// Writes its files into a valuator's folder and returns their names.
  func save(to folder: String) throws -> [String] {
    try SafetensorsWriter.write(
      to: folder + "/" + Self.names.points,
      tensors: [
        ("mean", [mean.count], mean),
        ("directions", [directions.rows, directions.columns], directions.values),
        ("points", [points.rows, points.columns], points.values),
      ])
    let lines = rows.flatMap { row -> [UInt8] in
      var members: [(key: ByteString, value: JSONValue)] = [
        ("id", JSONValue(row.id)), ("source", JSONValue(row.source)), ("label", JSONValue(row.label)),
      ]
      if let text = row.text { members.append(("text", JSONValue(text))) }
      return JSONValue.object(members).serialized() + [UInt8(ascii: "\n")]
    }
    try OutputFile.write(lines, to: folder + "/" + Self.names.rows)
    guard !clusters.isEmpty else { return [Self.names.points, Self.names.rows] }
    try OutputFile.write(
      JSONValue.array(clusters.map(\.json)).serialized(), to: folder + "/" + Self.names.clusters)
    return [Self.names.points, Self.names.rows, Self.names.clusters]
  }

  /// What a valuator's folder may hold of them.
  static var fileNames: [String] { [names.points, names.rows, names.clusters] }

  /// Nil where the folder's files, whose hashes are known, hold none.
  static func load(folder: String, files: [String], embeddingWidth p: Int) throws -> LabelledRows? {
    let path = folder + "/" + names.rows
    guard files.contains(names.rows), files.contains(names.points) else { return nil }
    var rows: [Row] = []
    let lines = try LineReader(path: path)
    while let line = try lines.next() {
      let json = try? JSONValue.parse(line.bytes)
      guard let id = json?["id"]?.string, let source = json?["source"]?.string,
        let label = json?["label"]?.double
      else {
        throw EncoderError.malformed("\(path):\(line.number)", "this is no row with id, source and label")
      }
      rows.append(Row(id: id, source: source, label: label, text: json?["text"]?.string))
    }
    let file = try SafetensorsFile(path: folder + "/" + names.points)
    let k = file.tensor(named: "directions")?.shape.first ?? 0
    guard (1...max(1, p)).contains(k), !rows.isEmpty else {
      throw EncoderError.malformed(
        folder + "/" + names.points, "\(rows.count) rows in \(k) directions cannot be")
    }
    func matrix(_ name: String, _ rows: Int, _ columns: Int) throws -> MatrixView {
      Matrix(
        rows: rows, columns: columns, values: Array(try file.floats(named: name, shape: [rows, columns]))
      )
      .view
    }
    var result = LabelledRows(
      rows: rows, mean: Array(try file.floats(named: "mean", shape: [p])),
      directions: try matrix("directions", k, p), points: try matrix("points", rows.count, k))
    guard files.contains(names.clusters) else { return result }
    let clusters = folder + "/" + names.clusters
    let list = try JSONValue.read(path: clusters).array ?? []
    result.clusters = list.compactMap { TargetCluster(json: $0, dimensions: k) }
    guard !list.isEmpty, result.clusters.count == list.count else {
      throw EncoderError.malformed(clusters, "these are no clusters of targets over \(k) numbers")
    }
    return result
  }
}
