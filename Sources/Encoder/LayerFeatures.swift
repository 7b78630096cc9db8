import Foundation
import LanguageModels
import Layers
import TensorKernels

/// What a head reads of a text, from the states x_t of a language model: their mean over the tokens that the model is not
/// asked to predict (0 where there are none), over those that it is (n of them), and over the second half of these; and
/// sqrt(n), last. Position 0, in which models of this family gather attention that has nowhere to go, is never predicted
/// and left out.
///
/// The gradient comes from what is predicted: told apart, the parts say more than their mean. Of a model that is there whole
/// there is more to see without any gradient of a weight: the states are those after two thirds of its blocks, and there are
/// statistics of the predictions' losses and errors `d_t = W^T (softmax(W h_t) - onehot)` (experiments/valuator-features).
package struct LayerFeatures: Sendable {
  package let layers: Llama
  /// Whether the model is there whole, and its predictions are read too.
  package let readsPredictions: Bool

  package init(layers: Llama, readsPredictions: Bool) {
    self.layers = layers
    self.readsPredictions = readsPredictions
  }

  /// A run of features, and how much a distance in it counts: `weight |x - y|^2 / count`.
  struct Block {
    var count: Int
    var weight: Float
  }

  private static let statistics = 10

  private var blocks: [Block] {
    let states = Block(count: layers.configuration.hiddenSize, weight: 1)
    let predictions = readsPredictions ? [Block(count: Self.statistics, weight: 1 / 3)] : []
    return [states, states, states] + predictions + [Block(count: 1, weight: 2 / 3)]
  }

  package var count: Int { blocks.reduce(0) { $0 + $1.count } }

  /// The last features, whose effect is linear in the main: the statistics and the length.
  package var linearCount: Int { (readsPredictions ? Self.statistics : 0) + 1 }

  /// What standardised features are multiplied by, so that the mean of their squared distances is the blocks' sum.
  package var scales: [Float] {
    blocks.flatMap { block in
      [Float](
        repeating: (block.weight * Float(count) / Float(block.count)).squareRoot(), count: block.count)
    }
  }

  /// Tokens of a batch: enough rows for products at full speed.
  private static let batchTokens = 1024

  /// The features of each text, one row a text; the same bits whatever the number of workers.
  package func callAsFunction(_ texts: [EncodedText], workers: Int, workspaces: EncoderWorkspaces) throws
    -> MatrixView
  {
    if layers.configuration.layers == 0 && !readsPredictions {
      return try embeddingMeans(texts, workers: workers)
    }
    let plan = consecutiveBatches(texts, tokens: Self.batchTokens)
    let values = try parallelMap(count: plan.count, workers: workers) { worker, index in
      features(Array(texts[plan[index]]), workspaces[worker].languageModel)
    }.flatMap { $0 }
    return Matrix(rows: texts.count, columns: count, values: values).view
  }

  /// The features where the states are the tokens' embeddings: read from the table once, and kept nowhere.
  private func embeddingMeans(_ texts: [EncodedText], workers: Int) throws -> MatrixView {
    let share = max(1, (texts.count + workers - 1) / workers)
    let values = try parallelMap(count: (texts.count + share - 1) / share, workers: workers) { _, index in
      let own = texts[index * share..<min(texts.count, (index + 1) * share)]
      let features = Matrix(undefinedRows: own.count, columns: count)
      for (row, text) in own.enumerated() { embeddingMeans(text, into: features.rows(row..<row + 1)) }
      return features.view
    }
    guard let first = values.first else { return Matrix(rows: 0, columns: count).view }
    return values.dropFirst().reduce(first) { $0.above($1) }
  }

  private func embeddingMeans(_ text: EncodedText, into row: Matrix) {
    let d = layers.configuration.hiddenSize
    var others: [Int] = []
    var scored: [Int] = []
    others.reserveCapacity(text.ids.count)
    scored.reserveCapacity(text.ids.count)
    for (id, isScored) in zip(text.ids, text.isScored).dropFirst() {
      if isScored { scored.append(id) } else { others.append(id) }
    }
    let parts = (0..<3).map { row.columns($0 * d..<($0 + 1) * d) }
    layers.sumEmbeddings(others[...], into: parts[0])
    layers.sumEmbeddings(scored[..<(scored.count / 2)], into: parts[1])
    layers.sumEmbeddings(scored[(scored.count / 2)...], into: parts[2])
    add(parts[2].view, to: parts[1])
    for (part, count) in zip(parts, [others.count, scored.count, scored.count - scored.count / 2]) {
      scale(part, by: 1 / Float(max(1, count)))
    }
    row[0, count - 1] = Float(text.rootLength)
  }

  private func features(_ texts: [EncodedText], _ workspace: Workspace) -> [Float] {
    let features = Matrix(rows: texts.count, columns: count)
    // What is scored at position 0 is not predicted from anything.
    let batch = TokenBatch(
      texts.map { text in
        (text.ids.map { Int32($0) }, text.isScored.indices.map { $0 > 0 && text.isScored[$0] })
      })
    let d = layers.configuration.hiddenSize
    let predicted = readsPredictions ? layers.predictions(of: batch, workspace: workspace) : nil
    let states = predicted?.states ?? layers.hiddenStates(of: batch, workspace: workspace)
    for (index, text) in texts.enumerated() {
      let start = batch.rows(of: index).lowerBound
      let row = features.rows(index..<index + 1)
      let scored = text.isScored.indices.filter { $0 > 0 && text.isScored[$0] }
      let others = text.isScored.indices.filter { $0 > 0 && !text.isScored[$0] }
      for (block, positions) in [others[...], scored[...], scored[(scored.count / 2)...]].enumerated() {
        mean(states, of: positions.map { start + $0 }, into: row.columns(block * d..<(block + 1) * d))
      }
      if let predicted {
        let statistics = statistics(predicted, predicted.rows(of: index))
        for (place, value) in statistics.enumerated() { row[0, 3 * d + place] = Float(value) }
      }
      row[0, count - 1] = Float(text.rootLength)
    }
    return features.view.values
  }

  /// Of losses `l_t`, errors d_t and the last states h_t: log mean l, deviation of l, log mean l of the second half, mean
  /// probability, share of l > 3, mean entropy of the predictions, log mean |d|, log mean |d|^2, log mean |d| |h|, and the log
  /// norm of the head's gradient, `|1/n sum_t d_t h_t^T|`. Empty where nothing is predicted.
  private func statistics(_ predicted: PredictedStates, _ rows: Range<Int>) -> [Double] {
    guard !rows.isEmpty else { return [] }
    let later = rows.lowerBound + rows.count / 2..<rows.upperBound
    func mean(_ values: [Double]) -> Double { values.reduce(0, +) / Double(values.count) }
    let losses = Array(predicted.losses[rows])
    let loss = mean(losses)
    func norms(_ matrix: MatrixView) -> [Double] {
      rows.map { dot(matrix.rows($0..<$0 + 1), matrix.rows($0..<$0 + 1)).squareRoot() }
    }
    // With W the head: logsumexp(W h) = l + (W h)_y, and the entropy is logsumexp(W h) - softmax(W h) . W h = l - h . d.
    let entropies = zip(rows, losses).map { row, loss in
      loss - dot(predicted.lastStates.rows(row..<row + 1), predicted.errors.rows(row..<row + 1))
    }
    let (errors, states) = (norms(predicted.errors), norms(predicted.lastStates))
    let head = headGradientNorm(predicted.errors.rows(rows), predicted.lastStates.rows(rows))
    return [
      log(loss + Self.least), mean(losses.map { ($0 - loss) * ($0 - loss) }).squareRoot(),
      log(mean(Array(predicted.losses[later])) + Self.least), mean(losses.map { exp(-$0) }),
      mean(losses.map { $0 > 3 ? 1 : 0 }), mean(entropies), log(mean(errors) + Self.least),
      log(mean(errors.map { $0 * $0 }) + Self.least),
      log(mean(zip(errors, states).map { $0 * $1 }) + Self.least), log(head + Self.least),
    ]
  }

  /// `|1/n D^T H|` in Frobenius' norm: by the product itself, or of few rows by `tr(D D^T H H^T)`.
  private func headGradientNorm(_ errors: MatrixView, _ states: MatrixView) -> Double {
    let (n, d) = (errors.rows, errors.columns)
    if n > d {
      let product = Matrix(rows: d, columns: d)
      gemm(errors, .yes, states, .no, into: product)
      return dot(product.view, product.view).squareRoot() / Double(n)
    }
    let (errorGram, stateGram) = (Matrix(rows: n, columns: n), Matrix(rows: n, columns: n))
    gemm(errors, .no, errors, .yes, into: errorGram)
    gemm(states, .no, states, .yes, into: stateGram)
    return max(0, dot(errorGram.view, stateGram.view)).squareRoot() / Double(n)
  }

  /// Keeps a logarithm finite where everything is predicted.
  private static let least = 1e-6

  /// 0 of no rows.
  private func mean(_ states: MatrixView, of rows: [Int], into result: Matrix) {
    addRows(rows, of: states, to: result)
    scale(result, by: 1 / Float(max(1, rows.count)))
  }
}
