import Glibc

/// What can go wrong with a file, sorted by what the user must do about it.
package enum FormatError: Error, Equatable, CustomStringConvertible {
  /// A file or folder that must be there is not.
  case missing(path: String)
  /// The content is not what it must be; `place` is the file, with a line or a tensor where one is at fault.
  case malformed(place: String, reason: String)
  /// The system refused to read or write.
  case inputOutput(path: String, reason: String)
  /// The output is there already and was not to be overwritten.
  case exists(path: String)
  /// An input is named twice.
  case repeated(path: String)
  /// The output is one of the inputs.
  case isInput(path: String)
  /// A journal of an earlier run is there, and neither resuming nor beginning anew was asked for.
  case unfinished(path: String)
  /// A journal that was made with other settings cannot be gone on with; values are as in its configuration.
  case differentConfiguration(path: String, option: String, journal: String, now: String)

  /// An input is no longer what it was when it was begun with.
  case changed(path: String, reason: String)

  /// A finished file that was made with other settings than are asked for now.
  case scoredOtherwise(path: String, setting: String, then: String, now: String)

  package var description: String {
    switch self {
    case .scoredOtherwise(let path, let setting, let then, let now):
      "\(path) was scored with another '\(setting)' (\(then), now \(now)); give another --output-dir, or --force to score it again"
    case .missing(let path): "\(path): no such file or folder"
    case .malformed(let place, let reason): "\(place): \(reason)"
    case .inputOutput(let path, let reason), .changed(let path, let reason): "\(path): \(reason)"
    case .exists(let path): "\(path) exists already; give another name, or --force to overwrite it"
    case .repeated(let path): "\(path) is named twice, and its records would count twice; name it once"
    case .isInput(let path): "\(path) is an input, and would be overwritten; give another name"
    case .unfinished(let path):
      "\(path) is left from a run that did not finish; --resume to go on with it, --force to begin anew"
    case .differentConfiguration(let path, let option, let journal, let now):
      """
      \(path) was begun with another '\(option)' (\(journal), now \(now)); \
      repeat the earlier settings to resume, or remove it to begin anew
      """
    }
  }

  /// The error for a system call that has just failed on `path`, from `errno`.
  static func system(_ path: String, _ doing: String, code: Int32 = errno) -> FormatError {
    if code == ENOENT || code == ENOTDIR { return .missing(path: path) }
    return output(path, doing, code: code)
  }

  /// The same for a file that is written: a folder that is not there is no missing input.
  static func output(_ path: String, _ doing: String, code: Int32 = errno) -> FormatError {
    let reason = code == ENOENT ? "its folder does not exist" : String(cString: strerror(code))
    return .inputOutput(path: path, reason: "cannot \(doing): \(reason)")
  }
}
