import TensorKernels

/// Ridge regression of labels on pooled features, as the head's first weights (linear probing before fine-tuning,
/// Kumar et al. 2022) and as the baseline of a frozen encoder.
struct HeadRegression: Sendable {
  let weights: [Double]
  let bias: Double

  /// Fits `min |y - Z b|^2 + lambda n |b|^2` on standardised features Z, in f64. features: n x width; the column
  /// `length` is hardly penalised.
  init?(features: MatrixView, targets: [Double], lambda: Double, length: Int) {
    let (n, width) = (features.rows, features.columns)
    precondition(n == targets.count && n > 0, "HeadRegression: \(n) rows, \(targets.count) targets")
    var moments = (0..<width).map { column -> (mean: Double, deviation: Double) in
      let values = (0..<n).map { Double(features[$0, column]) }
      let mean = values.reduce(0, +) / Double(n)
      let variance = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(n)
      return (mean, variance.squareRoot())
    }
    // Trained encoders have features that hardly vary; blown up to unit size they would get weights so large that
    // the first step of fine-tuning ruins everything. Means and scaled sums have sizes of their own.
    let lengthDeviation = moments[length].deviation
    for half in [0..<width / 2, width / 2..<width] {
      let typical = half.reduce(0) { $0 + moments[$1].deviation } / Double(half.count)
      for column in half { moments[column].deviation = max(moments[column].deviation, 0.3 * typical, 1e-9) }
    }
    // Ten times the size is a hundredth of the penalty.
    moments[length].deviation = max(lengthDeviation, 1e-3) / 10
    let standardised = Matrix(rows: n, columns: width)
    for row in 0..<n {
      for column in 0..<width {
        let (mean, deviation) = moments[column]
        standardised[row, column] = Float((Double(features[row, column]) - mean) / deviation)
      }
    }
    let centre = targets.reduce(0, +) / Double(n)
    guard
      let solution = Self.solve(standardised.view, targets.map { $0 - centre }, lambda: lambda * Double(n))
    else { return nil }
    weights = zip(solution, moments).map { $0 / $1.deviation }
    bias = centre - zip(weights, moments).reduce(0) { $0 + $1.0 * $1.1.mean }
  }

  /// `b = Z^T (Z Z^T + lambda I)^-1 y` where rows are fewer than features, else `(Z^T Z + lambda I)^-1 Z^T y`.
  private static func solve(_ z: MatrixView, _ y: [Double], lambda: Double) -> [Double]? {
    let isDual = z.rows < z.columns
    let order = isDual ? z.rows : z.columns
    let gram = Matrix(rows: order, columns: order)
    gemm(z, isDual ? .no : .yes, z, isDual ? .yes : .no, into: gram)
    var a = gram.view.values.map(Double.init)
    for index in 0..<order { a[index * order + index] += lambda }
    var b = isDual ? y : project(z, y)
    guard solvePositiveDefinite(&a, &b, rightHandSides: 1) else { return nil }
    return isDual ? project(z, b) : b
  }

  /// `Z^T v`
  private static func project(_ z: MatrixView, _ v: [Double]) -> [Double] {
    var result = [Double](repeating: 0, count: z.columns)
    for row in 0..<z.rows {
      for column in 0..<z.columns { result[column] += Double(z[row, column]) * v[row] }
    }
    return result
  }

  /// The prediction for each row of features.
  func callAsFunction(_ features: MatrixView) -> [Double] {
    (0..<features.rows).map { row in
      weights.indices.reduce(bias) { $0 + weights[$1] * Double(features[row, $1]) }
    }
  }
}
