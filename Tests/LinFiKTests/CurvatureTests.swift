import Formats
import Foundation
import LanguageModels
import LinFiK
import Records
import TensorKernels
import TestSupport
import Testing

/// Labels with curvature against PyTorch and against their definitions, solved densely in f64.
@Suite struct CurvatureTests {
  @Test(arguments: ["llama/tied", "llama/untied"], ["0.1", "2.0"])
  func labelsEqualPyTorch(_ name: String, _ damping: String) throws {
    let setting = try InfluenceSetting(name)
    let golden = try JSONValue.read(path: TestData.fixture("\(name)/curvature.json"))
    let factor = Double(damping)!
    func expected(_ kind: ByteString) -> [Double] {
      golden[kind]![ByteString(damping)]!.array!.map { $0.double! }
    }
    let projection = LoGraProjection(watched: setting.watched, rank: 4096, seed: 0)
    let fisher = try setting.fisher(projection)
    for kind in [LabelKind.logra, .relatif] {
      let rows = try setting.rows(setting.projected(projection, kind, fisher, factor))
      // Eigenvectors are kept in f32, and lambda is a thousandth of the largest eigenvalues here.
      expectEqual(
        rows.map(\.label), expected(ByteString(kind.rawValue)), "\(kind) \(damping)", tolerance: 5e-4)
    }
    let basis = try setting.eigenbasis()
    let rows = try setting.rows(
      setting.turned(.ekfac) { basis.preconditioned($0, place: $1, damping: factor) })
    expectEqual(rows.map(\.label), expected("ekfac"), "ekfac \(damping)")
  }

  @Test(arguments: ["llama/tied", "llama/untied"]) func adamEqualsPyTorch(_ name: String) throws {
    let setting = try InfluenceSetting(name)
    let golden = try JSONValue.read(path: TestData.fixture("\(name)/curvature.json"))
    let moment = try setting.secondMoment(beta2: golden["beta2"]!.double!)
    let epsilon = golden["epsilon"]!.double!
    let rows = try setting.rows(
      setting.turned(.adam) { moment.preconditioned($0, place: $1, epsilon: epsilon) })
    expectEqual(rows.map(\.label), golden["adam"]!.array!.map { $0.double! }, "adam")
  }

  /// Ranks where a layer has more numbers than there are rows, and where it has fewer; each damping from the same curvature.
  @Test(arguments: [1, 2, 3, 5], [0.1, 3.0]) func projectedKindsEqualTheirDefinition(
    _ rank: Int, _ damping: Double
  ) throws {
    let setting = try InfluenceSetting("llama/tied")
    let projection = LoGraProjection(watched: setting.watched, rank: rank, seed: 5)
    let fisher = try setting.fisher(projection)
    // A damping asked for before must leave no trace.
    _ = try setting.projected(projection, .logra, fisher, 50 * damping)
    let plain = try setting.projected(projection, .dot, nil, 0, keepsGradients: true)
    let rows = try setting.rows(plain)
    let gradients = rows.map { $0.projectedGradient.map(Double.init) }
    let target = plain.meanTarget.values.map(Double.init)
    let expected = gradients.map { gradient in
      projection.layers.reduce(into: (influence: 0.0, own: 0.0)) { sum, layer in
        let solved = dampedSolution(
          gradients.map { Array($0[layer.range]) }, Array(gradient[layer.range]), damping)
        sum.influence += zip(target[layer.range], solved).reduce(0) { $0 + $1.0 * $1.1 }
        sum.own += zip(gradient[layer.range], solved).reduce(0) { $0 + $1.0 * $1.1 }
      }
    }
    let logra = try setting.rows(setting.projected(projection, .logra, fisher, damping))
    expectEqual(logra.map(\.label), expected.map(\.influence), "logra")
    let relatif = try setting.rows(setting.projected(projection, .relatif, fisher, damping))
    expectEqual(relatif.map(\.label), expected.map { $0.influence / $0.own.squareRoot() }, "relatif")
    let means = logra.map { row in
      row.perTarget.reduce(0.0) { $0 + Double($1) } / Double(row.perTarget.count)
    }
    expectEqual(means, logra.map(\.label), "mean over targets")
  }

  /// A layer's lambda is a share of its own mean eigenvalue: stretching one layer's gradients leaves the others' labels.
  @Test func dampingIsEachLayersOwn() throws {
    let setting = try InfluenceSetting("llama/tied")
    let projection = LoGraProjection(watched: setting.watched, rank: 3, seed: 5)
    let rows = try setting.rows(setting.projected(projection, .dot, nil, 0, keepsGradients: true))
    func solved(scale: Float) throws -> [Float] {
      let gradients = Matrix(
        rows: rows.count, columns: projection.width, values: rows.flatMap(\.projectedGradient))
      let first = projection.layers[0].range
      for row in 0..<rows.count {
        for column in first { gradients[row, column] *= scale }
      }
      let fisher = try ProjectedFisher(
        gradients: gradients.view, projection: projection, watched: setting.watched, workers: 1)
      let all = fisher.preconditioned(gradients.view.rows(0..<1), projection, damping: 0.1).values
      return Array(all[first.upperBound...])
    }
    let (one, other) = (try solved(scale: 1), try solved(scale: 100))
    #expect(one == other && one.contains { $0 != 0 })
  }

  @Test func workersDoNotChangeABitAndBatchesLittle() throws {
    let setting = try InfluenceSetting("llama/untied")
    let projection = LoGraProjection(watched: setting.watched, rank: 2, seed: 5)
    func bits(workers: Int, batchTokens: Int) throws -> [[Float]] {
      let fisher = try setting.fisher(projection, workers: workers, batchTokens: batchTokens)
      let basis = try setting.eigenbasis(workers: workers, batchTokens: batchTokens)
      let moment = try setting.secondMoment(beta2: 0.99, workers: workers, batchTokens: batchTokens)
      return fisher.layers.flatMap { [$0.vectors.values, $0.values.values] }
        + basis.layers.flatMap { [$0.inputVectors.values, $0.outputVectors.values, $0.values.values] }
        + moment.layers.map(\.values)
    }
    let one = try bits(workers: 1, batchTokens: 20)
    #expect(try one == bits(workers: 3, batchTokens: 20))
    let other = try setting.secondMoment(beta2: 0.99, batchTokens: 1000)
    for (a, b) in zip(one.suffix(other.layers.count), other.layers) {
      for (x, y) in zip(a, b.values) { #expect(abs(x - y) <= 1e-5 * abs(y)) }
    }
  }

  @Test func dampingThatCannotBeIsRefused() throws {
    let setting = try InfluenceSetting("llama/untied")
    let projection = LoGraProjection(watched: setting.watched, rank: 3, seed: 5)
    let fisher = try setting.fisher(projection)
    for damping in [-0.1, .nan, .infinity] {
      #expect(throws: LabelError.self) { try fisher.check(damping: damping) }
      #expect(throws: LabelError.self) { try setting.eigenbasis().check(damping: damping) }
    }
    let error = #expect(throws: LabelError.self) { try fisher.check(damping: 0) }
    #expect("\(error!)".contains("singular") && "\(error!)".contains("q_proj"), "\(error!)")
  }
}

/// `(F + damping mean(F) I)^-1 row`, F the mean of `rows`' outer products.
private func dampedSolution(_ rows: [[Double]], _ row: [Double], _ damping: Double) -> [Double] {
  let k = row.count
  var fisher = [Double](repeating: 0, count: k * k)
  for gradient in rows {
    for i in 0..<k {
      for j in 0..<k { fisher[i * k + j] += gradient[i] * gradient[j] / Double(rows.count) }
    }
  }
  let lambda = damping * (0..<k).reduce(0) { $0 + fisher[$1 * k + $1] } / Double(k)
  guard lambda > 0 else { return [Double](repeating: 0, count: k) }
  for i in 0..<k { fisher[i * k + i] += lambda }
  var solution = row
  #expect(solvePositiveDefinite(&fisher, &solution, rightHandSides: 1))
  return solution
}

/// To `tolerance` of the number, or a tenth of that of the largest: small labels are differences of large ones.
private func expectEqual(
  _ found: [Double], _ expected: [Double], _ what: String, tolerance: Double = 1e-4,
  location: SourceLocation = #_sourceLocation
) {
  let largest = expected.map(abs).max() ?? 0
  for (index, (a, b)) in zip(found, expected).enumerated() {
    #expect(
      abs(a - b) <= max(tolerance * abs(b), 0.1 * tolerance * largest),
      "\(what), sample \(index): \(a), expected \(b)",
      sourceLocation: location)
  }
}

extension InfluenceSetting {
  fileprivate func fisher(
    _ projection: LoGraProjection, workers: Int = 2, batchTokens: Int = 16
  ) throws -> ProjectedFisher {
    try ProjectedFisher(
      of: samples, model: model, watched: watched, projection: projection, workers: workers,
      batchTokens: batchTokens)
  }

  fileprivate func eigenbasis(workers: Int = 2, batchTokens: Int = 16) throws -> KroneckerEigenbasis {
    try KroneckerEigenbasis(
      of: samples, model: model, watched: watched, workers: workers, batchTokens: batchTokens)
  }

  fileprivate func secondMoment(
    beta2: Double, workers: Int = 2, batchTokens: Int = 16
  ) throws -> SecondMoment {
    try SecondMoment(
      of: samples, beta2: beta2, model: model, watched: watched, workers: workers, batchTokens: batchTokens)
  }

  fileprivate func projected(
    _ projection: LoGraProjection, _ kind: LabelKind, _ fisher: ProjectedFisher?, _ damping: Double,
    keepsGradients: Bool = false
  ) throws -> ProjectedInfluence {
    try ProjectedInfluence(
      of: targets, model: model, watched: watched, projection: projection, kind: kind,
      fisher: fisher.map { try DampedFisher($0, damping: damping) }, gradientNorm: false, perTarget: true,
      keepsGradients: keepsGradients, workers: 2, batchTokens: 16)
  }

  /// Exact labels of a target gradient that curvature has turned.
  fileprivate func turned(
    _ kind: LabelKind, _ transform: (MatrixView, Int) -> MatrixView
  ) throws -> ExactInfluence {
    let target = try MeanGradient(of: targets, model: model, watched: watched, workers: 2, batchTokens: 16)
    return ExactInfluence(
      model: model, watched: watched, target: try MeanGradient(target, transform: transform), kind: kind,
      gradientNorm: false)
  }
}
