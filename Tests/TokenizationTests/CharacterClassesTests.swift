import Formats
import TestSupport
import Testing
import Tokenization

@Suite struct CharacterClassesTests {
  static let properties: [(ByteString, CharacterClass)] = [
    ("letter", .letter), ("number", .number), ("digit", .digit), ("space", .space),
    ("punctuation", .punctuation), ("removed", .removed), ("accent", .accent), ("combining", .combining),
    ("word", .word),
  ]

  @Test("Every scalar has the properties the peer gives it", arguments: 0..<properties.count)
  func everyScalar(_ index: Int) throws {
    let (name, property) = Self.properties[index]
    let ranges = try #require(try GoldenIDsTests.read("classes.json")[name]?.array)
    var expected = [Bool](repeating: false, count: 0x110000)
    for range in ranges {
      let bounds = try #require(range.array).compactMap(\.int)
      for value in bounds[0]...bounds[1] { expected[value] = true }
    }
    let classes = CharacterClasses.shared
    let wrong = (UInt32(0)..<0x110000).filter { classes[$0].contains(property) != expected[Int($0)] }
    #expect(wrong.prefix(20).map { String($0, radix: 16) } == [], "\(wrong.count) scalars")
  }
}
