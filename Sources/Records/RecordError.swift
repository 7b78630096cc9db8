/// What is wrong with records. A file that is not there, or cannot be read, is a `FormatError` instead.
package enum RecordError: Error, Equatable, CustomStringConvertible {
  /// One line that cannot be used.
  case badLine(file: String, line: Int, reason: String)
  /// Bad lines where none are allowed: the first few messages, and how many there are in all.
  case badLines(messages: [String], count: Int)
  /// The records need the model's chat template, which is missing or not one that is known.
  case template(reason: String)
  /// A completion ends with the end of sequence, and the tokenizer names no such token.
  case noEndOfSequence

  package var description: String {
    switch self {
    case .badLine(let file, let line, let reason): "\(file):\(line): \(reason)"
    case .badLines(let messages, let count):
      (messages + (count > messages.count ? ["and \(count - messages.count) more bad lines"] : []))
        .joined(separator: "\n")
    case .template(let reason): reason
    case .noEndOfSequence:
      "the tokenizer names no end-of-sequence token (eos_token in tokenizer_config.json), with which a completion ends"
    }
  }
}
