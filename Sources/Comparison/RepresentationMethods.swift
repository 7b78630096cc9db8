import LanguageModels
import LinFiK
import Records
import Reporting
import TensorKernels

/// The methods that take what the model makes of a text, and no gradient: rows as points, by the mean of the normed states
/// that the head reads.
extension ComparisonRun {
  /// Rows x targets: cosines of mean states, and what they took.
  typealias Similarities = (value: Matrix, seconds: Double, peakBytes: Int?)

  func similarities() throws -> Similarities {
    try measured {
      let rows = try directions(samples.sequences, "states of the rows")
      let asked = try directions(targets.sequences, "states of the targets")
      let cosines = Matrix(rows: rows.rows, columns: asked.rows)
      gemm(rows.view, .no, asked.view, .yes, into: cosines)
      return cosines
    }
  }

  func representationSimilarity(_ similarities: Similarities) -> ComparedMethod {
    let cosines = similarities.value
    return method(
      "Representation", "mean over q of the cosine between the mean last states of z and q", similarities,
      (0..<cosines.rows).map { row in mean(cosines.view.rows(row..<row + 1).values) })
  }

  func knnShapley(_ similarities: Similarities) -> ComparedMethod {
    let cosines = similarities.value
    var sums = [Double](repeating: 0, count: cosines.rows)
    for target in 0..<cosines.columns {
      let worths = cosines.view.columns(target..<target + 1).values.map(Double.init)
      for (row, value) in NearestNeighbourShapley().values(worths: worths).enumerated() { sums[row] += value }
    }
    return method(
      "KNN-Shapley",
      "Shapley value of z in the mean cosine of q's \(NearestNeighbourShapley().neighbours) nearest rows, by mean last states, "
        + "mean over q",
      similarities, sums.map { $0 / Double(cosines.columns) })
  }

  private func method(
    _ name: String, _ formula: String, _ run: Similarities, _ values: [Double]
  ) -> ComparedMethod {
    ComparedMethod(
      name: name, formula: formula, role: .baseline, needs: .model, values: values,
      cost: Cost(seconds: run.seconds, rows: samples.count, peakMemoryBytes: run.peakBytes))
  }

  /// Each row's mean state at length one.
  private func directions(_ rows: [TokenizedSample], _ name: String) throws -> Matrix {
    let model = model.model
    let means = try BatchPlan(rows, batchTokens: LabelDefaults.batchTokens(for: model)).map(
      workers: configuration.workers, progress: rowProgress(name, of: rows.count)
    ) { _, batch, workspace in
      let states = model.headStates(of: batch, workspace: workspace)
      return (0..<batch.count).map { unitMean(states.rows(batch.rows(of: $0))) }
    }
    return Matrix(rows: rows.count, columns: means.first?.count ?? 0, values: means.flatMap { $0 })
  }
}

private func mean(_ values: [Float]) -> Double {
  values.reduce(0) { $0 + Double($1) } / Double(values.count)
}

/// The mean of a matrix's rows, at length one.
private func unitMean(_ states: MatrixView) -> [Float] {
  let sums = Matrix(rows: 1, columns: states.columns)
  addColumnSums(of: states, to: sums)
  let length = dot(sums.view, sums.view).squareRoot()
  return sums.view.values.map { length > 0 ? Float(Double($0) / length) : 0 }
}

/// Data Shapley of points in the worth of a query's k nearest: `v(S) = 1/k sum of the worths of S's min(k, |S|) nearest`,
/// exact in closed form (Jia et al. 2019, arXiv 1908.08619, whose worth is 1 for a neighbour of the query's class). Here a
/// point's worth is its similarity to the query, which also orders them:
/// ```
/// s(last) = w(last) min(k, n) / (k n)
/// s(i)    = s(i + 1) + (w(i) - w(i + 1)) min(k, i) / (k i)      i = n - 1 ... 1, the nearest first
/// ```
package struct NearestNeighbourShapley {
  package var neighbours: Int

  package init(neighbours: Int = 5) {
    precondition(neighbours > 0, "NearestNeighbourShapley: \(neighbours) neighbours")
    self.neighbours = neighbours
  }

  /// Each point's value; the higher a worth, the nearer its point.
  package func values(worths: [Double]) -> [Double] {
    let order = worths.indices.sorted { (worths[$0], $1) > (worths[$1], $0) }
    var values = [Double](repeating: 0, count: worths.count)
    var farther: (worth: Double, value: Double) = (0, 0)
    for (place, index) in order.enumerated().reversed() {
      let share = Double(min(neighbours, place + 1)) / Double(neighbours * (place + 1))
      farther = (worths[index], farther.value + (worths[index] - farther.worth) * share)
      values[index] = farther.value
    }
    return values
  }
}
