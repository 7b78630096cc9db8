import TensorKernels

/// A linear head on a frozen encoder: `f = slope sqrt(n) + w . mean(x) + bias`, as the head's first weights (linear
/// probing before fine-tuning, Kumar et al. 2022) and as a baseline.
///
/// The slope is given; the rest is ridge regression.
struct HeadRegression: Sendable {
  let slope: Double
  let weights: [Double]
  let bias: Double

  /// - Parameters:
  ///   - features: n x H, mean-pooled.
  ///   - rootLengths: sqrt(n) of each text.
  ///   - lambda: of `min |y - slope sqrt(n) - Z w|^2 + lambda n |w|^2` on standardised features Z, in f64.
  init?(features: MatrixView, rootLengths: [Double], slope: Double, targets: [Double], lambda: Double) {
    let (n, width) = (features.rows, features.columns)
    precondition(n == targets.count && n > 0, "HeadRegression: \(n) rows, \(targets.count) targets")
    var moments = (0..<width).map { column -> (mean: Double, deviation: Double) in
      let values = (0..<n).map { Double(features[$0, column]) }
      let mean = values.reduce(0, +) / Double(n)
      let variance = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(n)
      return (mean, variance.squareRoot())
    }
    // Trained encoders have features that hardly vary; blown up to unit size they would get weights so large that
    // the first step of fine-tuning ruins everything.
    let typical = moments.reduce(0) { $0 + $1.deviation } / Double(width)
    for column in 0..<width {
      moments[column].deviation = max(moments[column].deviation, 0.3 * typical, 1e-9)
    }
    let standardised = Matrix(rows: n, columns: width)
    for row in 0..<n {
      for column in 0..<width {
        let (mean, deviation) = moments[column]
        standardised[row, column] = Float((Double(features[row, column]) - mean) / deviation)
      }
    }
    let rest = zip(targets, rootLengths).map { $0 - slope * $1 }
    let centre = rest.reduce(0, +) / Double(n)
    guard
      let solution = Self.solve(standardised.view, rest.map { $0 - centre }, lambda: lambda * Double(n))
    else { return nil }
    self.slope = slope
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
  func callAsFunction(_ features: MatrixView, rootLengths: [Double]) -> [Double] {
    (0..<features.rows).map { row in
      weights.indices.reduce(bias + slope * rootLengths[row]) {
        $0 + weights[$1] * Double(features[row, $1])
      }
    }
  }
}
