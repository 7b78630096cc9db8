import Layers

/// Token sequences packed one after the other, never padded: sequence s is positions `offsets[s]..<offsets[s + 1]`.
package struct TokenBatch: Sendable {
  package let tokens: [Int32]
  package let offsets: [Int]
  /// Whether the token at a position is predicted in the loss; never so at a sequence's first position.
  package let isScored: [Bool]

  /// Packs sequences of (tokens, isScored).
  package init(_ sequences: [(tokens: [Int32], isScored: [Bool])]) {
    var offsets = [0]
    for sequence in sequences {
      precondition(
        sequence.tokens.count == sequence.isScored.count, "TokenBatch: mask and tokens differ in length")
      precondition(sequence.isScored.first != true, "TokenBatch: nothing predicts a sequence's first token")
      offsets.append(offsets.last! + sequence.tokens.count)
    }
    tokens = sequences.flatMap(\.tokens)
    isScored = sequences.flatMap(\.isScored)
    self.offsets = offsets
  }

  package var count: Int { offsets.count - 1 }
  package var tokenCount: Int { tokens.count }
  package var longest: Int { zip(offsets, offsets.dropFirst()).map { $1 - $0 }.max() ?? 0 }

  /// The positions of sequence s.
  package func rows(of sample: Int) -> Range<Int> { offsets[sample]..<offsets[sample + 1] }
}

extension TokenBatch {
  /// What the hidden states predict: the state before each scored token, weighted so that a sequence's weights sum
  /// to one and its loss is a mean.
  var predictions: [PredictedToken] {
    (0..<count).flatMap { sample in
      let scored = rows(of: sample).filter { isScored[$0] }
      return scored.map { position in
        PredictedToken(
          row: position - 1, token: Int(tokens[position]), sample: sample, weight: 1 / Double(scored.count))
      }
    }
  }
}
