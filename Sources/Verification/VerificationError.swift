/// What can be wrong with what is checked, or with what it is checked by.
package enum VerificationError: Error, Equatable, CustomStringConvertible {
  /// What was checked is not what it claims to be.
  case refuted(_ place: String, _ reason: String)
  /// Not a key, or not the one that is needed.
  case key(_ path: String, _ reason: String)
  /// There is nothing to check it by.
  case unknown(_ place: String, _ reason: String)
  /// A valuator that is to be signed has a signature: by the fingerprint's key; nil where it is none of the key that was given.
  case signed(_ directory: String, by: String?)
  /// What was asked for does not fit what was found.
  case options(_ reason: String)
  case interrupted

  package var description: String {
    switch self {
    case .refuted(let place, let reason), .key(let place, let reason), .unknown(let place, let reason):
      "\(place): \(reason)"
    case .signed(let directory, by: let fingerprint?):
      "\(directory) is signed already, by this very key (\(fingerprint)): nothing is to be done; --force signs it anew"
    case .signed(let directory, by: nil):
      "\(directory) is signed already, by another key or before it was changed; --force replaces that signature"
    case .options(let reason): reason
    case .interrupted: "interrupted"
    }
  }
}
