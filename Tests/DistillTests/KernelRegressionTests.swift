import Distill
import Encoder
import Foundation
import RankStatistics
import TensorKernels
import Testing

@Suite struct KernelRegressionTests {
  /// A hill over two features, which no linear head can follow; a third feature is noise of another size.
  private func rows(_ count: Int, seed: UInt64) -> (features: MatrixView, targets: [Double]) {
    var generator = SeededGenerator(seed: seed)
    let features = Matrix(rows: count, columns: 3)
    let targets = (0..<count).map { row -> Double in
      let (x, y) = (generator.normal(), generator.normal())
      features[row, 0] = Float(100 + 10 * x)
      features[row, 1] = Float(0.01 * y)
      features[row, 2] = Float(generator.normal())
      return exp(-(x * x + y * y)) + 0.02 * generator.normal()
    }
    return (features.view, targets)
  }

  @Test func followsWhatIsNotLinear() throws {
    let (known, fresh) = (rows(400, seed: 1), rows(300, seed: 2))
    let fit = try #require(
      KernelRegression(
        features: known.features, scales: [1, 1, 1], linear: 1, targets: known.targets,
        texts: known.targets.map { "\($0)" },
        seed: 1
      ) {
        spearman($0, known.targets) ?? -1
      })
    let outputs = fit.head(fresh.features).map { Double($0) }
    #expect(try #require(spearman(outputs, fresh.targets)) > 0.9)
    let quality = try #require(spearman(fit.heldOut, known.targets))
    #expect(quality > 0.85 && quality < 1, "cross-validated, not on its own rows")
  }

  /// A centre is the mean of four different texts; a row's own only where that is allowed.
  @Test func noTextsFeaturesAreCarriedAway() throws {
    let known = rows(60, seed: 21)
    let twice = Matrix(rows: 120, columns: 3)
    for row in 0..<120 { twice.rows(row..<row + 1).copy(known.features.rows(row % 60..<row % 60 + 1)) }
    let targets = known.targets + known.targets
    func centres(_ areRows: Bool) throws -> (centres: [[Float]], rows: [[Float]]) {
      let fit = try #require(
        KernelRegression(
          features: twice.view, scales: [1, 1, 1], linear: 1, targets: targets,
          texts: (0..<120).map { "\($0 % 60)" }, centresAreRows: areRows, seed: 1
        ) { spearman($0, targets) ?? -1 })
      let z = fit.head.embeddings(twice.view)
      func list(_ matrix: MatrixView) -> [[Float]] {
        (0..<matrix.rows).map { matrix.rows($0..<$0 + 1).values }
      }
      return (list(fit.head.centres), list(z))
    }
    func distance(_ a: [Float], _ b: [Float]) -> Float { zip(a, b).reduce(0) { $0 + abs($1.0 - $1.1) } }
    let means = try centres(false)
    #expect(means.centres.count == 120)
    for centre in means.centres {
      #expect(means.rows.allSatisfy { distance($0, centre) > 1e-4 })
      #expect(means.rows.contains { distance($0, centre) < 3 }, "it lies where texts do")
    }
    let own = try centres(true)
    #expect(own.centres.allSatisfy { centre in own.rows.contains { distance($0, centre) < 1e-5 } })
  }

  /// Far from every centre the units are silent; the linear part goes on.
  @Test func theLastFeaturesGoOn() throws {
    let known = rows(300, seed: 8)
    let targets = (0..<300).map { known.targets[$0] + 2 * Double(known.features[$0, 2]) }
    let fit = try #require(
      KernelRegression(
        features: known.features, scales: [1, 1, 1], linear: 1, targets: targets,
        texts: targets.map { "\($0)" },
        seed: 1
      ) { spearman($0, targets) ?? -1 })
    let far = Matrix(rows: 2, columns: 3, values: [100, 0, 5, 100, 0, 8])
    let outputs = fit.head(far.view)
    #expect(abs(outputs[1] - outputs[0] - 6) < 1.5, "\(outputs)")
  }

  @Test func manyRowsShareTheCentres() throws {
    let known = rows(500, seed: 3)
    let fit = try #require(
      KernelRegression(
        features: known.features, scales: [1, 1, 1], linear: 1, targets: known.targets,
        texts: known.targets.map { "\($0)" }, mostCentres: 100, seed: 1
      ) {
        spearman($0, known.targets) ?? -1
      })
    #expect(fit.head.weights.count == 100 + 1)
    let fresh = rows(200, seed: 4)
    let outputs = fit.head(fresh.features).map { Double($0) }
    #expect(try #require(spearman(outputs, fresh.targets)) > 0.9)
  }

  /// Rows that another valuator scored teach what few labels do not, and are never asked how well they are predicted.
  @Test func otherRowsTeach() throws {
    let (many, fresh) = (rows(400, seed: 12), rows(300, seed: 13))
    let others = KernelRegression.OtherRows(features: many.features, targets: many.targets, weight: 0.5)
    func quality(_ few: (features: MatrixView, targets: [Double]), _ others: KernelRegression.OtherRows?)
      throws
      -> Double
    {
      let fit = try #require(
        KernelRegression(
          features: few.features, scales: [1, 1, 1], linear: 1, targets: few.targets, others: others,
          texts: few.targets.map { "\($0)" }, seed: 1
        ) { spearman($0, few.targets) ?? -1 })
      let outputs = fit.head(fresh.features).map { Double($0) }
      return try #require(spearman(outputs, fresh.targets))
    }
    // What so few rows choose is chance: the mean over some draws.
    let draws = (21...26).map { rows(14, seed: $0) }
    let alone = try draws.map { try quality($0, nil) }.reduce(0, +) / 6
    let taught = try draws.map { try quality($0, others) }.reduce(0, +) / 6
    #expect(taught > 0.9 && taught > alone + 0.05, "\(taught), \(alone)")
  }

  /// A row whose copy stands in another fold would be predicted by itself.
  @Test func copiesDoNotFlatterTheFit() throws {
    let known = rows(61, seed: 5)
    var generator = SeededGenerator(seed: 6)
    let noise = known.targets.map { _ in generator.normal() }
    let twice = Matrix(rows: 122, columns: 3)
    for row in 0..<122 { twice.rows(row..<row + 1).copy(known.features.rows(row % 61..<row % 61 + 1)) }
    let fit = try #require(
      KernelRegression(
        features: twice.view, scales: [1, 1, 1], linear: 1, targets: noise + noise,
        texts: (0..<122).map { "\($0 % 61)" }, seed: 1
      ) { spearman($0, noise + noise) ?? -1 })
    let quality = try #require(spearman(fit.heldOut, noise + noise))
    #expect(quality < 0.25, "there is nothing to learn: \(quality)")
  }

  @Test func aFeatureThatHardlyVariesDoesNotSilenceTheOthers() throws {
    let known = rows(300, seed: 7)
    let features = Matrix(rows: 300, columns: 4)
    features.columns(0..<3).copy(known.features)
    features.columns(3..<4).fill(16)
    let fit = try #require(
      KernelRegression(
        features: features.view, scales: [1, 1, 1, 1], linear: 1, targets: known.targets,
        texts: (0..<300).map { "\($0)" }, seed: 1
      ) {
        spearman($0, known.targets) ?? -1
      })
    features.columns(3..<4).fill(15.9)
    let outputs = fit.head(features.view).map { Double($0) }
    #expect(try #require(spearman(outputs, known.targets)) > 0.8)
  }

  @Test func headIsItsFormula() {
    let centres = Matrix(rows: 2, columns: 2, values: [0, 0, 1, -1])
    let head = KernelHead(
      means: [1, 2], deviations: [2, 0.5], scales: [1, 3], centres: centres.view, weights: [3, -1, 0.5],
      bias: 0.25,
      gamma: 0.7)
    let output = head(Matrix(rows: 1, columns: 2, values: [3, 2.5]).view)[0]
    // z = (1, 1), scaled (1, 3): squared distances 10 and 16, two features; the last one has a linear part.
    let expected = 0.25 + 0.5 / 10.0.squareRoot() + 3 * exp(-0.7 * 10 / 2) - exp(-0.7 * 16 / 2)
    #expect(abs(Double(output) - expected) < 1e-6)
  }
}
