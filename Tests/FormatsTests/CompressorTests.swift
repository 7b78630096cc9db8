import Formats
import TestSupport
import Testing

@Suite struct CompressorTests {
  /// What was compressed in pieces, with members closed on the way, comes back whole.
  @Test(arguments: ["out.jsonl", "out.jsonl.gz", "out.jsonl.zst"]) func piecesComeBack(_ name: String) throws
  {
    let folder = try TemporaryFolder()
    let (bytes, lines) = LineReaderTests.longText(seed: 5)
    let compressor = Compressor(forName: name)
    var result: [UInt8] = []
    for start in stride(from: 0, to: bytes.count, by: 70_001) {
      result += compressor.compress(Array(bytes[start..<min(bytes.count, start + 70_001)]))
      if start % 3 == 0 { result += compressor.end() }
    }
    result += compressor.end()
    #expect(compressor.end().isEmpty)
    #expect(try LineReaderTests.lines(folder.file(name, result)) == lines)
    #expect((result == bytes) == (name == "out.jsonl"))
  }

  /// A file of nothing is one of its kind, too.
  @Test(arguments: [".gz", ".zst"]) func nothingIsOneEmptyMember(_ suffix: String) throws {
    let folder = try TemporaryFolder()
    let compressor = Compressor(forName: suffix)
    let empty = compressor.end()
    #expect(empty.count > 5 && compressor.end().isEmpty)
    #expect(try LineReaderTests.lines(folder.file("empty", empty)).isEmpty)
  }

  /// Up to a closed member nothing is missing.
  @Test(arguments: [".gz", ".zst"]) func whatWasClosedIsWhole(_ suffix: String) throws {
    let folder = try TemporaryFolder()
    let compressor = Compressor(forName: suffix)
    let first = compressor.compress(Array("a\nb\n".utf8)) + compressor.end()
    _ = compressor.compress(Array("c\n".utf8))
    #expect(try LineReaderTests.lines(folder.file("first", first)) == ["1:a", "2:b"])
  }
}
