/// Why a language model cannot be loaded.
package enum ModelError: Error, CustomStringConvertible {
  /// There is no such file or directory, or a part of it is missing.
  case missing(String)
  /// A configuration that cannot be used: path and reason.
  case configuration(String, String)
  /// A weight that cannot be used: file, tensor and reason.
  case tensor(String, String, String)

  package var description: String {
    switch self {
    case .missing(let what): what
    case .configuration(let path, let reason): "\(path): \(reason)"
    case .tensor(let path, let name, let reason): "\(path): tensor '\(name)' \(reason)"
    }
  }
}

extension ModelError {
  /// Refuses sizes that a file may claim but no model has, before any memory is taken.
  static func requireSizes(_ sizes: [(name: String, value: Int, most: Int)], path: String) throws {
    for (name, value, most) in sizes where value < 1 || value > most {
      throw ModelError.configuration(path, "\(name) \(value) is not within 1...\(most)")
    }
  }
}
