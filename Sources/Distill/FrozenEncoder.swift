import Encoder
import RankStatistics
import TensorKernels

/// What the untouched encoder says of every row by ridge regression, and of the test rows by their neighbours (others are 0).
struct FrozenEncoder {
  var ridge: [Double]
  var neighbours: [Double]

  /// - Parameter features: of every row of `material`, mean-pooled.
  init(_ head: HeadRegression, features: MatrixView, material: TrainingMaterial) {
    ridge = head(features, rootLengths: material.rootLengths)
    neighbours = nearestNeighbours(
      features: features, of: material.parts.test, training: material.learned,
      targets: material.targets(of: material.learned))
  }
}

/// The features of every text, a share at a time so that an interruption is heard; `progress` gets how many are done.
func readInShares(
  _ texts: [EncodedText], width: Int, isCancelled: () -> Bool, progress: (Int) -> Void = { _ in },
  of share: ([EncodedText]) throws -> MatrixView
) throws -> MatrixView {
  let features = Matrix(rows: texts.count, columns: width)
  for start in stride(from: 0, to: texts.count, by: 64) {
    if isCancelled() { throw DistillError.interrupted }
    let rows = start..<min(texts.count, start + 64)
    features.rows(rows).copy(try share(Array(texts[rows])))
    progress(rows.upperBound)
  }
  return features.view
}

extension TrainingMaterial {
  /// Ridge regression of some rows' targets on their features, for each penalty that has a solution.
  func heads(
    _ features: MatrixView, of rows: [Int], lambdas: [Double]
  ) -> [(lambda: Double, head: HeadRegression)] {
    let chosen = features.selecting(rows)
    let lengths = rows.map { rootLengths[$0] }
    return lambdas.compactMap { lambda in
      HeadRegression(
        features: chosen, rootLengths: lengths, slope: targets.slope, targets: targets(of: rows),
        lambda: lambda
      ).map { (lambda, $0) }
    }
  }

  /// What a head says of the validation rows.
  func validationOutputs(_ head: HeadRegression, _ features: MatrixView) -> [Double] {
    head(features.selecting(parts.validation), rootLengths: parts.validation.map { rootLengths[$0] })
  }

  /// -1 where it is not defined.
  func validationSpearman(_ outputs: [Double]) -> Double { spearman(outputs, validationLabels) ?? -1 }

  /// The candidate whose outputs for the validation rows rank them best, the first of equals; nil without candidates.
  func bestOnValidation<Candidate>(
    _ candidates: [Candidate], outputs: (Candidate) -> [Double]
  ) -> (candidate: Candidate, spearman: Double)? {
    candidates.map { (candidate: $0, spearman: validationSpearman(outputs($0))) }
      .max { $0.spearman < $1.spearman }
  }
}
