/// What the stages ask about a Unicode scalar, one bit a question.
///
/// The peer whose ids we must equal takes its properties from libraries of different ages, so each question is
/// answered as of one version of Unicode: a scalar assigned later has none of the property. Categories of assigned
/// scalars hardly ever change; the few that did are named below.
package struct CharacterClass: OptionSet, Sendable {
  package let rawValue: UInt16

  package init(rawValue: UInt16) { self.rawValue = rawValue }

  /// General category L, Unicode 16: `\p{L}` of the splitting patterns.
  package static let letter = CharacterClass(rawValue: 1)
  /// General category N, Unicode 16: `\p{N}` of the splitting patterns.
  package static let number = CharacterClass(rawValue: 2)
  /// White_Space: `\s`.
  package static let space = CharacterClass(rawValue: 4)
  /// ASCII punctuation and symbols, and category P of Unicode 8: what BERT splits off.
  package static let punctuation = CharacterClass(rawValue: 8)
  /// Control, format and private-use characters of Unicode 8, and NUL and U+FFFD: what BERT removes. Tab, line feed
  /// and carriage return are spaces instead.
  package static let removed = CharacterClass(rawValue: 16)
  /// General category Mn of Unicode 8: the accents that BERT strips.
  package static let accent = CharacterClass(rawValue: 32)
  /// General category M of Unicode 9: the accents that `StripAccents` strips.
  package static let combining = CharacterClass(rawValue: 64)
  /// `\w` of Unicode 16: alphabetic, marks, decimal digits, connectors and joiners.
  package static let word = CharacterClass(rawValue: 128)
  /// General category N, Unicode 17: what `Digits` splits.
  package static let digit = CharacterClass(rawValue: 256)
  /// Assigned after Unicode 9, whose tables the normal forms follow: such a scalar stays as it is.
  package static let unnormalized = CharacterClass(rawValue: 512)
}

/// The classes of all scalars: a table for the basic multilingual plane, computed for the others.
package struct CharacterClasses: Sendable {
  package static let shared = CharacterClasses()

  private let plane: [CharacterClass]

  /// Stretches of scalars that are all alike: ideographs, Hangul syllables, surrogates, private use. They are most of the plane, and
  /// asking for each takes longer than the rest of a small tokenizer.
  static let alike: [ClosedRange<UInt32>] = [
    0x3400...0x4DB5, 0x4E00...0x9FA5, 0xAC00...0xD7A3, 0xD800...0xDFFF, 0xE000...0xF8FF,
  ]

  private init() {
    var plane: [CharacterClass] = []
    plane.reserveCapacity(0x10000)
    for range in Self.alike {
      plane += (UInt32(plane.count)..<range.lowerBound).map { Self.classify($0) }
      plane += repeatElement(Self.classify(range.lowerBound), count: range.count)
    }
    plane += (UInt32(plane.count)..<0x10000).map { Self.classify($0) }
    self.plane = plane
  }

  @inline(__always)
  package subscript(scalar: UInt32) -> CharacterClass {
    scalar < 0x10000 ? plane[Int(scalar)] : Self.classify(scalar)
  }

  @inline(__always)
  subscript(ascii byte: UInt8) -> CharacterClass { plane[Int(byte)] }

  private static func classify(_ value: UInt32) -> CharacterClass {
    guard let scalar = Unicode.Scalar(value) else { return [] }
    let properties = scalar.properties
    let category = properties.generalCategory
    let age = properties.age?.major ?? 99
    var result: CharacterClass = []
    if properties.isWhitespace { result.insert(.space) }
    if category.isLetter && age <= 16 { result.insert(.letter) }
    if category.isNumber && age <= 16 { result.insert(.number) }
    if category.isNumber { result.insert(.digit) }
    if age > 9 { result.insert(.unnormalized) }
    if isWord(properties, category) && age <= 16 { result.insert(.word) }
    if isPunctuation(value, category, age) { result.insert(.punctuation) }
    if isRemoved(value, category, age) { result.insert(.removed) }
    if isAccent(value, category, age) { result.insert(.accent) }
    if isCombining(value, category, age) { result.insert(.combining) }
    return result
  }

  private static func isWord(
    _ properties: Unicode.Scalar.Properties, _ category: Unicode.GeneralCategory
  ) -> Bool {
    properties.isAlphabetic || category.isMark || category == .decimalNumber
      || category == .connectorPunctuation || properties.isJoinControl
  }

  private static func isPunctuation(_ value: UInt32, _ category: Unicode.GeneralCategory, _ age: Int) -> Bool
  {
    switch value {
    case 0x21...0x2F, 0x3A...0x40, 0x5B...0x60, 0x7B...0x7E: true
    case 0x166D, 0x111C9: true  // punctuation until Unicode 12 and 11
    default: category.isPunctuation && age <= 8
    }
  }

  private static func isRemoved(_ value: UInt32, _ category: Unicode.GeneralCategory, _ age: Int) -> Bool {
    switch value {
    case 0x9, 0xA, 0xD: return false
    case 0, 0xFFFD: return true
    default: break
    }
    switch category {
    case .control, .format, .privateUse: return age <= 8
    default: return false
    }
  }

  private static func isAccent(_ value: UInt32, _ category: Unicode.GeneralCategory, _ age: Int) -> Bool {
    switch value {
    case 0x1734, 0x1171E: true  // nonspacing until Unicode 14
    case 0x1885, 0x1886, 0xA9BD, 0x111C9: false  // nonspacing only since Unicode 9, 11 and 12
    default: category == .nonspacingMark && age <= 8
    }
  }

  private static func isCombining(_ value: UInt32, _ category: Unicode.GeneralCategory, _ age: Int) -> Bool {
    switch value {
    case 0x1CF2, 0x1CF3: true  // marks until Unicode 12
    case 0x111C9: false  // a mark only since Unicode 11
    default: category.isMark && age <= 9
    }
  }
}

extension Unicode.GeneralCategory {
  var isLetter: Bool {
    switch self {
    case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter: true
    default: false
    }
  }

  var isNumber: Bool {
    switch self {
    case .decimalNumber, .letterNumber, .otherNumber: true
    default: false
    }
  }

  var isMark: Bool {
    switch self {
    case .nonspacingMark, .spacingMark, .enclosingMark: true
    default: false
    }
  }

  var isPunctuation: Bool {
    switch self {
    case .connectorPunctuation, .dashPunctuation, .openPunctuation, .closePunctuation, .initialPunctuation,
      .finalPunctuation, .otherPunctuation:
      true
    default: false
    }
  }
}
