import Formats
import Foundation

/// The first stage of tokenizer.json: rewrites the text before it is split.
indirect enum Normalizer: Sendable {
  case sequence([Normalizer])
  /// Puts a text before every text that is not empty.
  case prepend([UInt8])
  case replace([UInt8], with: [UInt8])
  case unicode(UnicodeForm)
  case lowercase
  case stripAccents
  case strip(left: Bool, right: Bool)
  case bert(BertNormalizer)

  enum UnicodeForm: String, Sendable {
    case nfc = "NFC"
    case nfd = "NFD"
    case nfkc = "NFKC"
    case nfkd = "NFKD"
  }

  func normalize(_ text: inout [UInt8]) {
    switch self {
    case .sequence(let stages):
      for stage in stages { stage.normalize(&text) }
    case .prepend(let prefix):
      if !text.isEmpty { text.insert(contentsOf: prefix, at: 0) }
    case .replace(let pattern, let replacement):
      text = text.replacing(pattern, with: replacement)
    case .unicode(let form): Self.compose(&text, form)
    case .lowercase: Self.lowercase(&text)
    case .stripAccents: Self.remove(.combining, from: &text)
    case .strip(let left, let right): Self.strip(&text, left: left, right: right)
    case .bert(let normalizer): normalizer.normalize(&text)
    }
  }

  /// The same without what is put before a text.
  var withoutPrefix: Normalizer {
    switch self {
    case .prepend: .sequence([])
    case .sequence(let stages): .sequence(stages.map(\.withoutPrefix))
    default: self
    }
  }

  // MARK: The stages

  /// Unicode normalisation (UAX 15) as of Unicode 9: later scalars stay, and nothing moves across them. ASCII is its
  /// own normal form in all four.
  static func compose(_ text: inout [UInt8], _ form: UnicodeForm) {
    if UTF8Text.isASCII(text) { return }
    let table = CharacterClasses.shared
    var result: [UInt8] = []
    result.reserveCapacity(text.count + text.count / 4)
    let source = text
    let span = source.span
    var start = 0
    var index = 0
    while index < span.count {
      let (value, length) = UTF8Text.scalar(span, at: index)
      if value >= 0x80, table[value].contains(.unnormalized) {
        append(source[start..<index], form, to: &result)
        result += source[index..<index + length]
        start = index + length
      }
      index += length
    }
    append(source[start...], form, to: &result)
    text = result
  }

  private static func append(_ text: ArraySlice<UInt8>, _ form: UnicodeForm, to result: inout [UInt8]) {
    let string = String(decoding: text, as: UTF8.self)
    switch form {
    case .nfc: result += Array(string.precomposedStringWithCanonicalMapping.utf8)
    case .nfd: result += Array(string.decomposedStringWithCanonicalMapping.utf8)
    case .nfkc: result += Array(string.precomposedStringWithCompatibilityMapping.utf8)
    case .nfkd: result += Array(string.decomposedStringWithCompatibilityMapping.utf8)
    }
  }

  /// Full lower case of each scalar alone, without the rules that look at neighbours (final sigma).
  static func lowercase(_ text: inout [UInt8]) {
    if UTF8Text.isASCII(text) {
      for index in text.indices where text[index] &- 0x41 < 26 { text[index] += 0x20 }
      return
    }
    var result: [UInt8] = []
    result.reserveCapacity(text.count)
    forEachScalar(text) { value in
      if value < 0x80 {
        result.append(UInt8(value) &- 0x41 < 26 ? UInt8(value) + 0x20 : UInt8(value))
      } else if let scalar = Unicode.Scalar(value) {
        result.append(contentsOf: scalar.properties.lowercaseMapping.utf8)
      }
    }
    text = result
  }

  static func remove(_ classes: CharacterClass, from text: inout [UInt8]) {
    if UTF8Text.isASCII(text) { return }
    let table = CharacterClasses.shared
    var result: [UInt8] = []
    result.reserveCapacity(text.count)
    forEachScalar(text) { value in
      if table[value].isDisjoint(with: classes) { UTF8Text.append(value, to: &result) }
    }
    text = result
  }

  private static func strip(_ text: inout [UInt8], left: Bool, right: Bool) {
    let range = text.span.trimmed(left: left, right: right)
    text = Array(text[range])
  }

  static func forEachScalar(_ text: [UInt8], _ body: (UInt32) -> Void) {
    let span = text.span
    var index = 0
    while index < span.count {
      let (value, length) = UTF8Text.scalar(span, at: index)
      body(value)
      index += length
    }
  }
}

extension Span<UInt8> {
  /// The range that is left without the white space at the ends.
  func trimmed(left: Bool, right: Bool) -> Range<Int> {
    let table = CharacterClasses.shared
    var start = 0
    while left && start < count {
      let (value, length) = UTF8Text.scalar(self, at: start)
      guard table[value].contains(.space) else { break }
      start += length
    }
    var end = count
    while right && end > start {
      let (value, length) = UTF8Text.scalar(self, before: end)
      guard table[value].contains(.space) else { break }
      end -= length
    }
    return start..<end
  }
}

/// BERT's normaliser: cleans controls and white space, sets CJK ideographs apart, strips accents, lowers case.
struct BertNormalizer: Sendable {
  var cleansText = true
  var separatesIdeographs = true
  var stripsAccents = true
  var lowercases = true

  func normalize(_ text: inout [UInt8]) {
    if UTF8Text.isASCII(text) {
      normalizeASCII(&text)
      return
    }
    if cleansText || separatesIdeographs { cleanAndSeparate(&text) }
    if stripsAccents {
      Normalizer.compose(&text, .nfd)
      Normalizer.remove(.accent, from: &text)
    }
    if lowercases { Normalizer.lowercase(&text) }
  }

  /// ASCII has no ideographs and no accents: one pass in place.
  private func normalizeASCII(_ text: inout [UInt8]) {
    var end = 0
    for index in text.indices {
      var byte = text[index]
      if cleansText {
        switch byte {
        case 0x20...0x7E: break
        case 0x09, 0x0A, 0x0D: byte = 0x20
        default: continue
        }
      }
      if lowercases && byte &- 0x41 < 26 { byte += 0x20 }
      text[end] = byte
      end += 1
    }
    text.removeSubrange(end...)
  }

  private func cleanAndSeparate(_ text: inout [UInt8]) {
    let table = CharacterClasses.shared
    var result: [UInt8] = []
    result.reserveCapacity(text.count + 16)
    Normalizer.forEachScalar(text) { value in
      if cleansText {
        let character = table[value]
        if character.contains(.removed) { return }
        if character.contains(.space) { return result.append(0x20) }
      }
      if separatesIdeographs && Self.isIdeograph(value) {
        result.append(0x20)
        UTF8Text.append(value, to: &result)
        result.append(0x20)
      } else {
        UTF8Text.append(value, to: &result)
      }
    }
    text = result
  }

  /// The blocks BERT calls Chinese: no kana, no hangul. The gap at U+2B820 is the peer's.
  private static func isIdeograph(_ value: UInt32) -> Bool {
    switch value {
    case 0x4E00...0x9FFF, 0x3400...0x4DBF, 0xF900...0xFAFF: true
    case 0x20000...0x2A6DF, 0x2A700...0x2B73F, 0x2B740...0x2B81F, 0x2B920...0x2CEAF, 0x2F800...0x2FA1F: true
    default: false
    }
  }
}

// MARK: - Reading

extension Normalizer {
  static let supported = [
    "Sequence", "Prepend", "Replace", "NFC", "NFD", "NFKC", "NFKD", "Lowercase", "StripAccents", "Strip",
    "BertNormalizer",
  ]

  /// The stage a `normalizer` object of tokenizer.json describes; nil for null.
  static func read(_ json: JSONValue?) throws -> Normalizer? {
    guard let json, !json.isNull else { return nil }
    let type = try json.stageType("normalizer")
    switch type {
    case "Sequence":
      return .sequence(try json.require("normalizers").elements().compactMap { try read($0) })
    case "Prepend": return .prepend(try json.requireBytes("prepend"))
    case "Replace":
      return .replace(try json.requirePattern("normalizer Replace"), with: try json.requireBytes("content"))
    case "Lowercase": return .lowercase
    case "StripAccents": return .stripAccents
    case "Strip":
      return .strip(left: json["strip_left"]?.bool ?? true, right: json["strip_right"]?.bool ?? true)
    case "BertNormalizer":
      let lowercases = json["lowercase"]?.bool ?? true
      return .bert(
        BertNormalizer(
          cleansText: json["clean_text"]?.bool ?? true,
          separatesIdeographs: json["handle_chinese_chars"]?.bool ?? true,
          stripsAccents: json["strip_accents"]?.bool ?? lowercases, lowercases: lowercases))
    default:
      if let form = UnicodeForm(rawValue: type) { return .unicode(form) }
      throw StageError.unsupported("normalizer '\(type)'", supported: supported)
    }
  }
}
