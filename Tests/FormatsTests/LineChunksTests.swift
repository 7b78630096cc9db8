import Formats
import TestSupport
import Testing

@Suite struct LineChunksTests {
  /// The numbers of each chunk's lines.
  private func chunks(_ path: String, lines: Int, bytes: Int = 1 << 20) throws -> [[Int]] {
    var chunks = LineChunks(try LineReader(path: path), lines: lines, bytes: bytes)
    var found: [[Int]] = []
    while let chunk = try chunks.next() { found.append(chunk.map(\.number)) }
    return found
  }

  @Test func aChunkEndsByItsLinesOrItsBytes() throws {
    let folder = try TemporaryFolder()
    let path = try folder.file("lines", Array("aaaa\nbbbb\ncccc\ndddd\neeee\n".utf8))
    #expect(try chunks(path, lines: 2) == [[1, 2], [3, 4], [5]])
    #expect(try chunks(path, lines: 9, bytes: 6) == [[1, 2], [3, 4], [5]])
    #expect(try chunks(path, lines: 5) == [[1, 2, 3, 4, 5]])
    #expect(try chunks(folder.file("empty", []), lines: 5) == [])
  }

  @Test func linesBeforeABreakComeFirst() throws {
    let folder = try TemporaryFolder()
    // Enough noise that some lines are whole before the stream is cut.
    var state: UInt64 = 1
    let noise = (0..<200_000).map { index -> UInt8 in
      state = state &* 6_364_136_223_846_793_005 &+ 1
      return index % 100 == 99 ? 0x0A : UInt8(65 + (state >> 33) % 50)
    }
    let whole = gzip(noise)
    let path = try folder.file("cut.gz", Array(whole[..<(whole.count / 2)]))
    var chunks = LineChunks(try LineReader(path: path), lines: 1 << 20)
    let first = try #require(try chunks.next())
    #expect(first.count > 100 && first.map(\.number) == Array(1...first.count))
    #expect(throws: FormatError.self) { try chunks.next() }
    #expect(throws: FormatError.self) { try chunks.next() }
  }
}
