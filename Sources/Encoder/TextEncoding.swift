import Formats
import Records
import TensorKernels
import Tokenization

/// A record as an encoder reads it.
package struct EncodedText: Sendable, Equatable {
  package var ids: [Int]
  /// By position: whether the model learns to predict the token; some are.
  package var isScored: [Bool]
  /// Tokens at the beginning that every record has (of a chat template), which say nothing of the text.
  package var sharedCount: Int
  package var isTruncated: Bool
  /// Tokens behind these and behind all that the model is asked to predict, which say nothing of the label: the end of a chat's last turn.
  package var trailingCount = 0
  /// The model learns nothing from what is read, for its answer is cut off: there is no label for it.
  package var hasNoLabel: Bool

  /// - Parameter isScored: nil, or nowhere true: every token is.
  package init(_ ids: [Int], isScored: [Bool]? = nil, sharedCount: Int = 0, isTruncated: Bool = false) {
    precondition(isScored?.count ?? ids.count == ids.count, "EncodedText: \(ids.count) tokens, other marks")
    self.ids = ids
    hasNoLabel = isScored.map { !$0.contains(true) } ?? false
    self.isScored = hasNoLabel ? ids.map { _ in true } : isScored ?? ids.map { _ in true }
    self.sharedCount = sharedCount
    self.isTruncated = isTruncated
  }

  /// Of the number of scored tokens: a text's gradient shrinks with it, for the loss is their mean.
  package var rootLength: Double { Double(isScored.count { $0 }).squareRoot() }

  /// Tokens that were read, those among them of which nothing depends.
  package var tokenCount: Int { ids.count + trailingCount }

  /// The text's own tokens.
  package var ownIDs: ArraySlice<Int> { ids[sharedCount...] }
}

/// Records to the ids that an encoder reads, cut to a number of tokens.
package struct TextEncoding: Sendable {
  package enum Reading: Sendable, Equatable {
    /// The text with the tokenizer's own special tokens, all of it alike.
    case text
    /// As the language model reads the record for its label: by the chat template, what is scored told from the rest.
    case record
  }

  package let tokenizer: Tokenizer
  package let maxTokens: Int
  private let reading: Reading
  private let records: SampleEncoder
  /// Without a limit.
  private let wholeRecords: SampleEncoder
  /// Special tokens that stand before a text and after it, and so must survive a cut.
  private let prefix: [Int32]
  private let suffix: [Int32]
  /// What every prompt begins with.
  private let opening: [Int]

  package init(tokenizer: Tokenizer, maxTokens: Int, reading: Reading) {
    self.tokenizer = tokenizer
    self.maxTokens = maxTokens
    self.reading = reading
    let special = tokenizer.encode([], addSpecialTokens: true)
    let sample = tokenizer.encode([UInt8(ascii: "a")], addSpecialTokens: true)
    let shared = zip(special.reversed(), sample.reversed()).prefix { $0 == $1 }.count
    suffix = Array(special.suffix(shared))
    prefix = Array(special.dropLast(shared))
    precondition(maxTokens > special.count, "TextEncoding: \(maxTokens) tokens leave no room for text")
    records = SampleEncoder(tokenizer: tokenizer, maximumTokens: maxTokens)
    wholeRecords = SampleEncoder(tokenizer: tokenizer)
    opening = Self.opening(records)
  }

  private static func opening(_ encoder: SampleEncoder) -> [Int] {
    let prompts = ["a", "1"].map { Record.exchange(prompt: ByteString($0), completion: "a") }
    let tokens = prompts.map { (try? encoder.read($0))?.tokens ?? [] }
    return zip(tokens[0], tokens[1]).prefix { $0 == $1 }.map { Int($0.0) }
  }

  /// A record without any token becomes the special ones alone. Throws where it wants a chat template that is not known.
  package func encode(_ record: Record) throws(RecordError) -> EncodedText {
    switch reading {
    case .text: return encode(text: record.text.bytes)
    case .record:
      let sample = try records.read(record)
      let ids = sample.tokens.isEmpty ? [0] : sample.tokens.map { Int($0) }
      return EncodedText(
        ids, isScored: sample.tokens.isEmpty ? nil : sample.scored,
        sharedCount: zip(ids, opening).prefix { $0 == $1 }.count, isTruncated: sample.truncated)
    }
  }

  /// All of a record as runs of at most `maxTokens` tokens, the first as `encode` reads it. Of what a language model is asked to
  /// predict, runs without any are left out, unless there is no other; the record is then truncated all the same, but where they are behind
  /// all of it.
  package func windows(of record: Record) throws(RecordError) -> [EncodedText] {
    let first = try encode(record)
    guard first.isTruncated else { return [first] }
    switch reading {
    case .text: return windows(of: tokenizer.encode(record.text.bytes, addSpecialTokens: true))
    case .record:
      let sample = try wholeRecords.read(record)
      let asked = 1 + (sample.scored.lastIndex(of: true) ?? sample.tokens.count - 1)
      let later = stride(from: maxTokens, to: max(maxTokens, asked), by: maxTokens).map { start in
        let run = start..<min(sample.tokens.count, start + maxTokens)
        return EncodedText(sample.tokens[run].map { Int($0) }, isScored: Array(sample.scored[run]))
      }
      let predicted = ([first] + later).filter { !$0.hasNoLabel }
      guard !predicted.isEmpty else { return [first] }
      let leavesOut = predicted.count <= later.count
      var windows = predicted.map {
        var window = $0
        window.isTruncated = leavesOut
        return window
      }
      windows[windows.count - 1].trailingCount = max(0, sample.tokens.count - maxTokens * (1 + later.count))
      return windows
    }
  }

  /// Each with the special tokens around it.
  private func windows(of tokens: [Int32]) -> [EncodedText] {
    let inner = tokens[prefix.count..<tokens.count - suffix.count]
    let room = maxTokens - prefix.count - suffix.count
    return stride(from: inner.startIndex, to: inner.endIndex, by: room).map { start in
      EncodedText((prefix + inner[start..<min(inner.endIndex, start + room)] + suffix).map { Int($0) })
    }
  }

  /// Keeps the first tokens and the closing special ones, as Hugging Face `tokenizers` truncates.
  private func encode(text: [UInt8]) -> EncodedText {
    let ids = tokenizer.encode(text, addSpecialTokens: true)
    guard ids.count > maxTokens else {
      // An encoder cannot pool over nothing; id 0 stands for a text that has no token at all.
      return EncodedText(ids.isEmpty ? [0] : ids.map { Int($0) })
    }
    return EncodedText((ids.prefix(maxTokens - suffix.count) + suffix).map { Int($0) }, isTruncated: true)
  }

  /// Every record in order.
  package func encodeAll(_ records: [Record], workers: Int) throws -> [EncodedText] {
    let chunk = 64
    let chunks = (records.count + chunk - 1) / chunk
    return try parallelMap(count: chunks, workers: workers) { _, index in
      try records[index * chunk..<min(records.count, (index + 1) * chunk)].map { try encode($0) }
    }.flatMap { $0 }
  }
}
