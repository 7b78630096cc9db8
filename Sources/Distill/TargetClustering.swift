import Encoder
import Foundation
import RankStatistics
import TensorKernels

/// Groups of targets by which rows help them: k-means on the cosine between the targets' columns of labels, each column
/// centred.
struct TargetClustering {
  /// The places of each group's targets, in order of their first.
  let groups: [[Int]]

  private static let targetsAGroup = 6
  private static let mostGroups = 5
  private static let rounds = 20

  /// - Parameter labels: one row of labels a sample, one column a target. Nil with fewer than twelve targets.
  init?(labels: [[Float]]) {
    let count = labels.first?.count ?? 0
    let groupCount = min(Self.mostGroups, count / Self.targetsAGroup)
    guard groupCount > 1, labels.count > 1 else { return nil }
    let columns = (0..<count).map { target in Self.unit(labels.map { Double($0[target]) }) }
    var centres = [Self.unit(Self.mean(columns))]
    // Farthest first: every next centre is the target least like those there are.
    while centres.count < groupCount {
      let next = columns.indices.min {
        Self.closest(columns[$0], centres).cosine < Self.closest(columns[$1], centres).cosine
      }!
      centres.append(columns[next])
    }
    var groupOf = [Int](repeating: 0, count: count)
    for _ in 0..<Self.rounds {
      groupOf = columns.map { Self.closest($0, centres).index }
      for group in centres.indices {
        let members = columns.indices.filter { groupOf[$0] == group }
        if !members.isEmpty { centres[group] = Self.unit(Self.mean(members.map { columns[$0] })) }
      }
    }
    groups = centres.indices.map { group in groupOf.indices.filter { groupOf[$0] == group } }
      .filter { !$0.isEmpty }.sorted { $0[0] < $1[0] }
  }

  private static func closest(_ column: [Double], _ centres: [[Double]]) -> (index: Int, cosine: Double) {
    let cosines = centres.map { zip($0, column).reduce(0) { $0 + $1.0 * $1.1 } }
    let index = cosines.indices.max { cosines[$0] < cosines[$1] }!
    return (index, cosines[index])
  }

  private static func mean(_ columns: [[Double]]) -> [Double] {
    columns[0].indices.map { row in columns.reduce(0) { $0 + $1[row] } / Double(columns.count) }
  }

  /// Centred, of length 1.
  private static func unit(_ values: [Double]) -> [Double] {
    let mean = values.reduce(0, +) / Double(values.count)
    let centred = values.map { $0 - mean }
    let norm = max(centred.reduce(0) { $0 + $1 * $1 }.squareRoot(), 1e-30)
    return centred.map { $0 / norm }
  }
}

extension TargetCluster {
  /// Ridge regression of the mean label against these targets on the rows' points, in f64. Nil without a solution.
  static func weights(points: MatrixView, values: [Double], ridge: Double = 0.01) -> [Double]? {
    let (n, k) = (points.rows, points.columns)
    let mean = values.reduce(0, +) / Double(n)
    let aim = Matrix(rows: n, columns: 1, values: values.map { Float($0 - mean) })
    var gram = innerProducts(points, points)
    var weights = innerProducts(points, aim.view)
    let trace = (0..<k).reduce(0) { $0 + gram[$1 * k + $1] }
    for i in 0..<k { gram[i * k + i] += ridge * trace / Double(k) + 1e-12 }
    guard solvePositiveDefinite(&gram, &weights, rightHandSides: 1) else { return nil }
    return weights + [mean]
  }
}
