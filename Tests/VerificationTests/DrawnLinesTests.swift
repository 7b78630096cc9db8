import Formats
import Foundation
import TestSupport
import Testing
import Verification

@Suite struct DrawnLinesTests {
  /// Every line of two files is as likely to be drawn as any other.
  @Test func everyLineIsAsLikely() throws {
    let folder = try TemporaryFolder()
    let first = try folder.file("a", (1...30).map { "a\($0)\n" }.joined())
    let second = try folder.file("b", (1...20).map { "b\($0)\n" }.joined())
    let draws = 3000
    var counts: [String: Int] = [:]
    for seed in 0..<UInt64(draws) {
      let lines = try DrawnLines([first, second], size: 10, seed: seed)
      #expect(lines.count == 50 && lines.drawn == 10)
      let drawn = lines.files.flatMap { file in file.lines.map { String(decoding: $0.bytes, as: UTF8.self) } }
      #expect(Set(drawn).count == 10)
      for line in drawn { counts[line, default: 0] += 1 }
    }
    // A fifth of the draws, deviation 22.
    #expect(counts.count == 50)
    for (line, count) in counts { #expect(abs(count - draws / 5) < 110, "\(line): \(count)") }
  }

  @Test func fewLinesAreAllDrawnInOrder() throws {
    let folder = try TemporaryFolder()
    let file = try folder.file("a", "x\n\ny\n")
    let lines = try DrawnLines([file], size: 10, seed: 1)
    #expect(lines.drawn == lines.count && lines.files.map { $0.lines.map(\.number) } == [[1, 2, 3]])
    #expect(try DrawnLines([file, file], size: 4, seed: 1).drawn == 4)
    #expect(throws: FormatError.missing(path: folder.path("none"))) {
      try DrawnLines([folder.path("none")], size: 1, seed: 0)
    }
  }
}
