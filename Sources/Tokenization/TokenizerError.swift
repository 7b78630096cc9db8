/// Why a tokenizer could not be loaded. Encoding and decoding never fail.
package enum TokenizerError: Error, Equatable, CustomStringConvertible {
  /// A file that is needed is not there.
  case missing(path: String, what: String)
  /// A file is there but says something that cannot be a tokenizer.
  case malformed(path: String, reason: String)
  /// A stage or kind of tokenizer that is not implemented; `supported` lists those that are.
  case unsupported(path: String, what: String, supported: [String])

  package var description: String {
    switch self {
    case .missing(let path, let what):
      "\(path): there is no \(what)"
    case .malformed(let path, let reason):
      "\(path): not a usable tokenizer: \(reason)"
    case .unsupported(let path, let what, let supported):
      "\(path): \(what) is not supported; supported: \(supported.joined(separator: ", "))"
    }
  }
}

/// What is wrong with one stage, before the file's name is known.
enum StageError: Error {
  case malformed(String)
  case unsupported(String, supported: [String])

  func located(at path: String) -> TokenizerError {
    switch self {
    case .malformed(let reason): .malformed(path: path, reason: reason)
    case .unsupported(let what, let supported): .unsupported(path: path, what: what, supported: supported)
    }
  }
}
