import TensorKernels

/// A linear layer whose gradient can be observed: `y = W x`, W: outputWidth x inputWidth.
package struct LinearLayer: Sendable, Equatable {
  /// The weight's Hugging Face name, for example `model.layers.0.self_attn.q_proj.weight`.
  package let name: String
  package let inputWidth: Int
  package let outputWidth: Int

  package init(name: String, inputWidth: Int, outputWidth: Int) {
    (self.name, self.inputWidth, self.outputWidth) = (name, inputWidth, outputWidth)
  }
}

/// A linear layer's weight as a file holds it.
package struct StoredWeight: Sendable {
  package let name: String
  /// Whether it is stored as inputs x outputs (Hugging Face's Conv1D).
  package let inputsFirst: Bool
}

/// What is done with a linear layer's part of the gradient; the method of every label is an observer.
///
/// A sample's gradient with respect to W is `sum_t d_t x_t^T` over its positions t. Backward never forms it.
package protocol GradientObserver {
  /// Called once per watched layer and batch, last layer first.
  ///
  /// - Parameters:
  ///   - layer: index into the model's `linearLayers`.
  ///   - input: x, T x inputWidth, packed as `batch` is.
  ///   - outputGradient: d, T x outputWidth: the gradient of each sample's own mean token loss.
  func observe(layer: Int, input: MatrixView, outputGradient: MatrixView, batch: TokenBatch)

  /// Where the gradients of all that is no linear layer go (embeddings, norms, head): nil, unless a training wants them.
  var otherGradients: (any ParameterGradients)? { get }
}

extension GradientObserver {
  package var otherGradients: (any ParameterGradients)? { nil }
}

/// Takes the gradients of parameters by their Hugging Face names.
package protocol ParameterGradients: Sendable {
  /// Called once a parameter and batch, always in the same order; `body` adds to the sum that it is given, which has the
  /// parameter's shape (a vector is one row).
  func add(_ name: String, _ body: (Matrix) -> Void)
}

/// What a worker keeps between batches: the arena its activations are carved from.
package final class Workspace {
  let arena = Arena(capacity: 0)
  package init() {}
}

/// A decoder that predicts the next token; immutable, shared by all workers.
package protocol CausalLanguageModel: Sendable {
  /// The family and sizes in one line, for logs and reports.
  var summary: String { get }
  /// What the factors of its products are rounded to.
  var precision: Precision { get }
  var vocabularySize: Int { get }
  /// The longest sequence it was made for.
  var contextLength: Int { get }
  /// Every linear layer inside the transformer blocks, in forward order. Embeddings, norms and head are not watched.
  var linearLayers: [LinearLayer] { get }
  /// Which of them are the matrices of a LoRA adapter, and so a part of other layers; none where there is none.
  var adapterLayers: Range<Int> { get }
  /// Weights of the output head: multiply-adds a predicted token.
  var headParameters: Int { get }
  /// Query widths summed over the blocks: multiply-adds for each pair of positions in scores, and again in values.
  var attentionWidth: Int { get }
  /// Memory of one worker's activations for a batch of one sequence of so many tokens.
  func activationBytes(tokens: Int) -> Int

  /// Each sequence's mean loss over its scored tokens: `-1/n sum_t log p(token_t | tokens before)`.
  func losses(of batch: TokenBatch, workspace: Workspace) -> [Double]

  /// `losses`, and one backward pass that hands every watched layer's input and output gradient to `observer`.
  func losses(of batch: TokenBatch, workspace: Workspace, observer: some GradientObserver) -> [Double]

  /// The normed last states that predictions are made from: T x d, packed as `batch` is, valid until the workspace's next
  /// pass.
  func headStates(of batch: TokenBatch, workspace: Workspace) -> MatrixView

  /// The logits after the last token of one sequence.
  func nextTokenLogits(_ tokens: [Int32], workspace: Workspace) -> [Float]

  /// Where a linear layer's weight stands in the model's files.
  func storedWeight(ofLayer layer: Int) -> StoredWeight

  /// The weight of a linear layer.
  func linearWeight(_ layer: Int) -> WeightMatrix

  /// The same model with other weights in its linear layers, indexed as `linearLayers`.
  func replacingLinearWeights(_ weights: [WeightMatrix]) -> Self
}

extension CausalLanguageModel {
  package var adapterLayers: Range<Int> { 0..<0 }

  package func storedWeight(ofLayer layer: Int) -> StoredWeight {
    StoredWeight(name: linearLayers[layer].name, inputsFirst: false)
  }

  /// Continues `tokens` by the likeliest token, `count` times or until `end`.
  package func greedyContinuation(of tokens: [Int32], count: Int, end: Int32? = nil) -> [Int32] {
    let workspace = Workspace()
    var sequence = tokens
    for _ in 0..<count {
      let logits = nextTokenLogits(sequence, workspace: workspace)
      let best = logits.indices.max { logits[$0] < logits[$1] }!
      if Int32(best) == end { break }
      sequence.append(Int32(best))
    }
    return Array(sequence.dropFirst(tokens.count))
  }
}
