/// The words of a document and how often each occurs, sorted.
struct WordCounts {
  var counts: [(key: String, value: Int)]
  var length: Int

  init(of text: String) {
    let words = Words.of(text)
    length = words.count
    counts = Dictionary(words.map { ($0, 1) }, uniquingKeysWith: +).sorted { $0.key < $1.key }
  }
}

/// Text as a search engine sees it.
package enum Words {
  /// The lower-cased runs of letters, digits and the marks on them; an ideograph is a word of its own, since
  /// no space separates it from the next. Canonically equal spellings of a word are equal strings.
  package static func of(_ text: String) -> [String] {
    var words: [String] = []
    var word = String.UnicodeScalarView()
    func end() {
      if !word.isEmpty { words.append(String(word)) }
      word.removeAll(keepingCapacity: true)
    }
    for scalar in text.lowercased().unicodeScalars {
      if scalar.properties.isIdeographic {
        end()
        words.append(String(scalar))
      } else if isPartOfWord(scalar) {
        word.append(scalar)
      } else {
        end()
      }
    }
    end()
    return words
  }

  private static func isPartOfWord(_ scalar: Unicode.Scalar) -> Bool {
    if scalar.isASCII {
      return (0x61...0x7A).contains(scalar.value) || (0x30...0x39).contains(scalar.value)
    }
    switch scalar.properties.generalCategory {
    case .nonspacingMark, .spacingMark, .decimalNumber: return true
    default: return scalar.properties.isAlphabetic
    }
  }
}
