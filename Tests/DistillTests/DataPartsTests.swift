import Distill
import Formats
import Testing

@Suite struct DataPartsTests {
  private let hashes = (0..<200).map { FileHash.sha256(Array("text \($0)".utf8)) }

  @Test func everyRowHasOnePart() throws {
    let parts = try DataParts(hashes: hashes, sizes: .init())
    #expect(parts.test.count == 30 && parts.calibration.count == 17 && parts.validation.count == 17)
    #expect((parts.test + parts.calibration + parts.validation + parts.training).sorted() == Array(0..<200))
  }

  @Test func smallestHashesAreTheTest() throws {
    let parts = try DataParts(hashes: hashes, sizes: .init(testRows: 50))
    let sorted = hashes.indices.sorted { hashes[$0] < hashes[$1] }
    #expect(Set(parts.test) == Set(sorted.prefix(50)))
  }

  @Test func partsFollowTheTextNotTheOrder() throws {
    let parts = try DataParts(hashes: hashes, sizes: .init())
    let reversed = try DataParts(hashes: hashes.reversed(), sizes: .init())
    #expect(Set(parts.test.map { hashes[$0] }) == Set(reversed.test.map { hashes[199 - $0] }))
    #expect(Set(parts.training.map { hashes[$0] }) == Set(reversed.training.map { hashes[199 - $0] }))
  }

  @Test func equalTextsStayTogether() throws {
    let copies = hashes.flatMap { [$0, $0, $0] }
    let parts = try DataParts(hashes: copies, sizes: .init(testRows: 100))
    let sets = [parts.test, parts.calibration, parts.validation, parts.training].map {
      Set($0.map { copies[$0] })
    }
    for (index, set) in sets.enumerated() {
      for other in sets[..<index] { #expect(set.isDisjoint(with: other)) }
    }
    #expect(parts.test.count == 102)
  }

  @Test func tooFewRowsAreRefused() {
    #expect(throws: DistillError.self) { try DataParts(hashes: Array(hashes.prefix(10)), sizes: .init()) }
    #expect(throws: DistillError.self) { try DataParts(hashes: hashes, sizes: .init(testRows: 200)) }
  }

  @Test func aSourceThatIsLeftOutIsTestedAlone() throws {
    let hashes = (0..<200).map { String(format: "%08x", ($0 * 2_654_435_761) & 0xFFFF_FFFF) }
    let sources = (0..<200).map { $0 % 4 == 0 ? "held" : "other" }
    var sizes = DataParts.Sizes(testRows: 40)
    let whole = try DataParts(hashes: hashes, sources: sources, sizes: sizes)
    sizes.leftOut = ["held"]
    let parts = try DataParts(hashes: hashes, sources: sources, sizes: sizes)
    #expect(parts.test == whole.test)
    #expect(parts.test.contains { sources[$0] == "held" })
    for (part, all) in [
      (parts.training, whole.training), (parts.validation, whole.validation),
      (parts.calibration, whole.calibration),
    ] {
      #expect(part == all.filter { sources[$0] == "other" } && part != all)
    }
  }
}
