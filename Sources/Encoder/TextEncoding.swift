import Formats
import Tokenization

/// Text to the ids that an encoder reads: the tokenizer's own special tokens, cut to a number of tokens.
package struct TextEncoding: Sendable {
  package let tokenizer: Tokenizer
  package let maxTokens: Int
  /// Special tokens that stand after the text, and so must survive a cut.
  private let suffix: [Int32]

  /// The ids of one text.
  package struct Encoded: Sendable {
    package let ids: [Int]
    package let isTruncated: Bool
  }

  package init(tokenizer: Tokenizer, maxTokens: Int) {
    self.tokenizer = tokenizer
    self.maxTokens = maxTokens
    let special = tokenizer.encode([], addSpecialTokens: true)
    let sample = tokenizer.encode([UInt8(ascii: "a")], addSpecialTokens: true)
    let shared = zip(special.reversed(), sample.reversed()).prefix { $0 == $1 }.count
    suffix = Array(special.suffix(shared))
    precondition(maxTokens > special.count, "TextEncoding: \(maxTokens) tokens leave no room for text")
  }

  /// Keeps the first tokens and the closing special ones, as Hugging Face `tokenizers` truncates. A text without
  /// any token becomes the special ones alone.
  package func encode(_ text: [UInt8]) -> Encoded {
    let ids = tokenizer.encode(text, addSpecialTokens: true)
    guard ids.count > maxTokens else {
      // An encoder cannot pool over nothing; id 0 stands for a text that has no token at all.
      return Encoded(ids: ids.isEmpty ? [0] : ids.map { Int($0) }, isTruncated: false)
    }
    return Encoded(ids: (ids.prefix(maxTokens - suffix.count) + suffix).map { Int($0) }, isTruncated: true)
  }
}
