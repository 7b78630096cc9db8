/// What can be wrong with an encoder or a valuator directory.
package enum EncoderError: Error, Equatable, CustomStringConvertible {
  case malformed(_ place: String, _ reason: String)
  case unsupported(_ place: String, _ reason: String)
  case missing(_ path: String, _ reason: String)
  case tampered(directory: String, file: String)
  /// More coverage than the calibration rows can promise.
  case coverage(_ coverage: Double, needs: Int, has: Int)
  case interrupted

  package var description: String {
    switch self {
    case .malformed(let place, let reason), .unsupported(let place, let reason),
      .missing(let place, let reason):
      "\(place): \(reason)"
    case .tampered(let directory, let file):
      """
      \(directory): '\(file)' is not the file this valuator was saved with (its SHA-256 differs from the one in \
      alinfik.json); copy the directory again, or train anew
      """
    case .coverage(let coverage, _, has: 0):
      "no interval can have a coverage of \(coverage): this valuator was trained on too few labels to have intervals"
    case .coverage(let coverage, let needs, let has):
      """
      a coverage of \(coverage) needs \(needs) calibration rows, this valuator has \(has): ask for less (--coverage), \
      or train with more labels
      """
    case .interrupted: "interrupted"
    }
  }
}
