import LanguageModels
import Records

/// Floating-point operations that a formula needs for some rows: no recomputation, no padding, only predicted
/// positions in the head, only the causal half of attention.
package struct Operations: Sendable {
  private let linear: Double
  private let head: Double
  private let attention: Double
  private let tokens: Double
  private let lengths: [Int]
  private let watched: WatchedLayers

  package init(of rows: [TokenizedSample], model: any CausalLanguageModel, watched: WatchedLayers) {
    lengths = rows.map(\.tokens.count)
    tokens = Double(lengths.reduce(0, +))
    let predicted = Double(rows.reduce(0) { $0 + $1.scored.lazy.filter { $0 }.count })
    let pairs = rows.reduce(0.0) { $0 + Double($1.tokens.count * ($1.tokens.count + 1) / 2) }
    linear = 2 * tokens * Double(model.linearLayers.reduce(0) { $0 + $1.inputWidth * $1.outputWidth })
    head = 2 * predicted * Double(model.headParameters)
    attention = 4 * pairs * Double(model.attentionWidth)
    self.watched = watched
  }

  /// The losses alone.
  package var forward: Double { linear + head + attention }

  /// Losses and activation gradients. Attention's backward has four products where its forward has two.
  package var forwardAndBackward: Double { 2 * linear + 2 * head + 3 * attention }

  /// Exact inner products with one target gradient, or adding up the target's gradient: one product a layer.
  package var exactLabels: Double { forwardAndBackward + 2 * tokens * Double(watched.parameterCount) }

  /// Exact inner products with each of so many targets, which come on top: the sample's gradient is formed.
  package func labelsOfEach(targets: Int) -> Double {
    2 * (tokens + Double(lengths.count * targets)) * Double(watched.parameterCount)
  }

  /// The squared norms of exact labels' gradients, which come on top: the cheaper of both ways for each row and layer.
  package var gradientNorms: Double {
    watched.layers.reduce(0) { sum, layer in
      lengths.reduce(sum) { sum, length in
        let work = GradientNormWork(length: length, layer.inputWidth, layer.outputWidth)
        return sum + 2 * Double(work.operations)
      }
    }
  }

  /// LoGra's two projections and its small product.
  package func projectedLabels(rank: Int) -> Double {
    watched.layers.reduce(forwardAndBackward) { sum, layer in
      let input = Double(min(rank, layer.inputWidth))
      let output = Double(min(rank, layer.outputWidth))
      return sum + 2 * tokens
        * (input * Double(layer.inputWidth) + output * Double(layer.outputWidth) + input * output)
    }
  }

  /// Adding up each sample's squared gradient: it is formed whole.
  package var squaredGradients: Double { exactLabels }

  /// A pass that adds up both sides' second moments, n_i x n_i and n_o x n_o.
  package var kroneckerFactors: Double { forwardAndBackward + kroneckerTurns }

  /// Turning inputs and output gradients into bases of full width.
  package var kroneckerTurns: Double {
    watched.layers.reduce(0) { sum, layer in
      sum + 2 * tokens
        * Double(layer.inputWidth * layer.inputWidth + layer.outputWidth * layer.outputWidth)
    }
  }

  /// A pass whose layers are sketched by 2 rank vectors a side: two products each.
  package func principalComponents(rank: Int) -> Double {
    watched.layers.reduce(forwardAndBackward) { sum, layer in
      let input = Double(min(2 * rank, layer.inputWidth) * layer.inputWidth)
      let output = Double(min(2 * rank, layer.outputWidth) * layer.outputWidth)
      return sum + 4 * tokens * (input + output)
    }
  }
}

/// Multiply-adds of one row's squared gradient norm in a layer, `|sum_t d_t x_t^T|^2`.
struct GradientNormWork {
  /// By the Gram matrices of inputs and output gradients, each length x length.
  let gram: Int
  /// By forming the gradient.
  let whole: Int

  init(length: Int, _ inputWidth: Int, _ outputWidth: Int) {
    gram = length * length * (inputWidth + outputWidth)
    whole = length * inputWidth * outputWidth
  }

  var prefersGram: Bool { gram < whole }
  var operations: Int { min(gram, whole) }
}
