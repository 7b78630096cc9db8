import Foundation

/// What is minimised: the squared error to the rank-Gaussianised label, and beside it a pairwise logistic loss
/// (RankNet, Burges et al. 2005) in which a pair weighs as much as its labels differ.
///
/// `L = 1/B sum_i (f_i - t_i)^2 + p 1/P sum_{i<j} w_ij log(1 + exp(-s_ij (f_i - f_j)))` with
/// `s_ij = sign(t_i - t_j)`, `w_ij = |t_i - t_j|`, times `1 + within` where both rows are of one source.
struct RankingLoss: Sendable {
  var pairwise: Double
  var withinSource: Double

  /// The loss of a batch and its gradient with respect to the outputs.
  func callAsFunction(
    outputs: [Float], targets: [Double], sources: [Int]
  ) -> (loss: Double, gradient: [Float]) {
    let count = Double(outputs.count)
    var gradient = [Double](repeating: 0, count: outputs.count)
    var loss = 0.0
    for (index, output) in outputs.enumerated() {
      let error = Double(output) - targets[index]
      loss += error * error / count
      gradient[index] = 2 * error / count
    }
    guard pairwise > 0, outputs.count > 1 else { return (loss, gradient.map { Float($0) }) }
    let scale = pairwise / (count * (count - 1) / 2)
    for i in outputs.indices {
      for j in 0..<i {
        let difference = targets[i] - targets[j]
        let sign = difference < 0 ? -1.0 : 1
        let weight = scale * abs(difference) * (sources[i] == sources[j] ? 1 + withinSource : 1)
        let margin = sign * Double(outputs[i] - outputs[j])
        // log(1 + e^-m) without overflow
        loss += weight * (max(-margin, 0) + log1p(exp(-abs(margin))))
        let slope = -weight * sign / (1 + exp(margin))
        gradient[i] += slope
        gradient[j] -= slope
      }
    }
    return (loss, gradient.map { Float($0) })
  }
}
