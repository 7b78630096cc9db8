/// What can be wrong with an encoder, a valuator directory or what is scored with it.
package enum EncoderError: Error, Equatable, CustomStringConvertible {
  case malformed(_ place: String, _ reason: String)
  case unsupported(_ place: String, _ reason: String)
  case missing(_ path: String, _ reason: String)
  case tampered(directory: String, file: String)
  case badRecord(_ place: String, _ reason: String)
  case exists(_ path: String)
  case inputOutput(_ path: String, _ reason: String)

  package var description: String {
    switch self {
    case .malformed(let place, let reason), .unsupported(let place, let reason),
      .missing(let place, let reason), .badRecord(let place, let reason), .inputOutput(let place, let reason):
      "\(place): \(reason)"
    case .tampered(let directory, let file):
      """
      \(directory): '\(file)' is not the file this valuator was saved with (its SHA-256 differs from the one in \
      alinfik.json); copy the directory again, or train anew
      """
    case .exists(let path): "\(path) exists already; give another name, or --force to overwrite it"
    }
  }
}
