/// What ends the search for duplicates.
package enum DuplicatesError: Error, Equatable, CustomStringConvertible {
  /// An index numbers its texts in 32 bits, near ones in as many for each of their bands.
  case tooManyTexts(limit: Int, near: Bool)

  package var description: String {
    switch self {
    case .tooManyTexts(let limit, let near):
      "more than \(limit) different texts: \(near ? "near " : "")duplicates are found among no more; "
        + (near ? "compare exactly alone (--duplicates exact), or divide the input" : "divide the input")
    }
  }
}
