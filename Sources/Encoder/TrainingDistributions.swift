import Formats
import TensorKernels

/// How the labelled texts are distributed that a valuator did not learn from: what incoming ones are held against.
///
/// Of rows that it learnt from it knows more than of any others: their outputs are more spread, and directions fitted to them find more in
/// them. Each list is ascending for itself, so that no row can be put together again.
package struct TrainingDistributions: Sendable, Equatable {
  /// The head's own outputs.
  package let outputs: [Float]
  /// Tokens that were read.
  package let tokens: [Float]
  /// The coordinates of `LabelledRows.points` in which the learned rows vary most, each of all rows.
  package let points: [[Float]]

  /// How many coordinates.
  package static let directions = 8
  /// Fewer rows have no distribution to speak of.
  package static let fewestRows = 20
  private static let mostRows = 2000

  /// Of more than 2,000 rows every so many-th is taken. Nil where there are fewer than 20.
  ///
  /// - Parameter points: n x k, or nil where texts have no points.
  package init?(outputs: [Double], tokens: [Int], points: MatrixView?) {
    let count = outputs.count
    guard count >= Self.fewestRows else { return nil }
    let kept = min(count, Self.mostRows)
    let rows = (0..<kept).map { $0 * count / kept }
    self.outputs = rows.map { Float(outputs[$0]) }.sorted()
    self.tokens = rows.map { Float(tokens[$0]) }.sorted()
    let directions = min(Self.directions, points?.columns ?? 0)
    self.points = (0..<directions).map { direction in rows.map { points![$0, direction] }.sorted() }
  }

  private init(outputs: [Float], tokens: [Float], points: [[Float]]) {
    (self.outputs, self.tokens, self.points) = (outputs, tokens, points)
  }
}

extension TrainingDistributions {
  static let fileName = "distributions.safetensors"

  func save(to folder: String) throws {
    let n = outputs.count
    var tensors: [(name: String, shape: [Int], values: [Float])] = [
      ("outputs", [n], outputs), ("tokens", [n], tokens),
    ]
    if !points.isEmpty { tensors.append(("points", [points.count, n], points.flatMap { $0 })) }
    try SafetensorsWriter.write(to: folder + "/" + Self.fileName, tensors: tensors)
  }

  /// Nil where the folder's files, whose hashes are known, hold none.
  static func load(folder: String, files: [String], rows: LabelledRows?) throws -> TrainingDistributions? {
    guard files.contains(fileName) else { return nil }
    let path = folder + "/" + fileName
    let file = try SafetensorsFile(path: path)
    let n = file.tensor(named: "outputs")?.shape.first ?? 0
    let k = file.tensor(named: "points")?.shape.first ?? 0
    guard n >= fewestRows, k <= rows?.pointWidth ?? 0 else {
      throw EncoderError.malformed(path, "\(n) rows in \(k) directions are no distributions of this valuator")
    }
    let points = k == 0 ? [] : try file.floats(named: "points", shape: [k, n])
    let distributions = TrainingDistributions(
      outputs: try file.floats(named: "outputs", shape: [n]),
      tokens: try file.floats(named: "tokens", shape: [n]),
      points: (0..<k).map { Array(points[$0 * n..<($0 + 1) * n]) })
    let lists = [distributions.outputs, distributions.tokens] + distributions.points
    guard lists.allSatisfy({ zip($0, $0.dropFirst()).allSatisfy { $0 <= $1 } }) else {
      throw EncoderError.malformed(path, "its lists are not ascending")
    }
    return distributions
  }
}
