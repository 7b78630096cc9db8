import CZlib
import CZstd
import Formats
import Foundation
import TestSupport
import Testing

/// The bytes as one gzip member.
func gzip(_ bytes: [UInt8]) -> [UInt8] {
  var stream = z_stream()
  deflateInit2_(
    &stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size))
  defer { deflateEnd(&stream) }
  var source = bytes
  var result = [UInt8](repeating: 0, count: Int(deflateBound(&stream, UInt(bytes.count))) + 32)
  let size = source.withUnsafeMutableBufferPointer { input in
    result.withUnsafeMutableBufferPointer { output in
      stream.next_in = input.baseAddress
      stream.avail_in = uInt(input.count)
      stream.next_out = output.baseAddress
      stream.avail_out = uInt(output.count)
      precondition(deflate(&stream, Z_FINISH) == Z_STREAM_END)
      return output.count - Int(stream.avail_out)
    }
  }
  return Array(result[..<size])
}

/// The bytes as one Zstandard frame.
func zstd(_ bytes: [UInt8]) -> [UInt8] {
  var result = [UInt8](repeating: 0, count: ZSTD_compressBound(bytes.count))
  let capacity = result.count
  let size = ZSTD_compress(&result, capacity, bytes, bytes.count, 3)
  precondition(ZSTD_isError(size) == 0)
  return Array(result[..<size])
}

@Suite struct LineReaderTests {
  /// Every line with its number.
  static func lines(_ path: String, maximum: Int = 1 << 20) throws -> [String] {
    let reader = try LineReader(path: path, maximumLineBytes: maximum)
    var result: [String] = []
    while let line = try reader.next() {
      result.append("\(line.number):\(String(decoding: line.bytes, as: UTF8.self))")
    }
    return result
  }

  @Test(
    arguments: [
      ("", []), ("\n\n  \n", []), ("a", ["1:a"]), ("a\n", ["1:a"]), ("a\r\nb\r\n", ["1:a", "2:b"]),
      ("a\n\n\nb\n\n", ["1:a", "2:", "3:", "4:b"]), ("\na", ["1:", "2:a"]),
      ("\u{feff}a\n\u{feff}", ["1:a", "2:\u{feff}"]),
      ("a\rb\n", ["1:a\rb"]), (" a \n\t\n", ["1: a "]),
    ] as [(String, [String])])
  func splitsLines(text: String, expected: [String]) throws {
    let folder = try TemporaryFolder()
    let bytes = Array(text.utf8)
    #expect(try Self.lines(folder.file("plain", bytes)) == expected)
    #expect(try Self.lines(folder.file("gzip", gzip(bytes))) == expected)
    #expect(try Self.lines(folder.file("zstd", zstd(bytes))) == expected)
  }

  /// Lines of many lengths, longer than every buffer, compressible and not.
  static func longText(seed: UInt64) -> (bytes: [UInt8], lines: [String]) {
    var generator = SeededGenerator(seed: seed)
    var bytes: [UInt8] = []
    var lines: [String] = []
    for number in 1...60 {
      let length = [0, 1, 100, 5000, 262_144, 300_000][Int.random(in: 0..<6, using: &generator)] + 1
      let line = (0..<length).map { _ in UInt8.random(in: 0x61...0x7A, using: &generator) }
      bytes += line + [0x0A]
      lines.append("\(number):\(String(decoding: line, as: UTF8.self))")
    }
    return (bytes, lines)
  }

  /// From where any line ends, a second reader gives what the first gives after it.
  @Test func aReaderGoesOnWhereAnotherWas() throws {
    let folder = try TemporaryFolder()
    let text = Array("\u{feff}a\n\n  \nb b\r\n\u{feff}c\n\n\nd".utf8)
    for (name, bytes) in [("plain", text), ("gzip", gzip(text)), ("zstd", zstd(text))] {
      let path = try folder.file(name, bytes)
      let reader = try LineReader(path: path)
      var lines: [LineReader.Line] = []
      while let line = try reader.next() { lines.append(line) }
      #expect(lines.map(\.end.lines) == Array(1...8) && lines.last?.end.offset == text.count)
      for (index, line) in lines.enumerated() {
        let second = try LineReader(path: path, from: line.end)
        var rest: [String] = []
        while let line = try second.next() { rest.append("\(line.number) \(line.end) \(line.bytes)") }
        #expect(
          rest == lines[(index + 1)...].map { "\($0.number) \($0.end) \($0.bytes)" }, "\(name), line \(index)"
        )
      }
    }
    let short = try folder.file("short.gz", gzip(Array("a\n".utf8)))
    #expect(throws: FormatError.self) { try LineReader(path: short, from: .init(offset: 9, lines: 3)) }
  }

  @Test func streamsAcrossBuffers() throws {
    let folder = try TemporaryFolder()
    let (bytes, expected) = Self.longText(seed: 3)
    let half = bytes.count / 2
    #expect(try Self.lines(folder.file("plain", bytes)) == expected)
    #expect(try Self.lines(folder.file("gzip", gzip(bytes))) == expected)
    #expect(try Self.lines(folder.file("zstd", zstd(bytes))) == expected)
    let members = gzip(Array(bytes[..<half])) + gzip(Array(bytes[half...]))
    #expect(try Self.lines(folder.file("members", members)) == expected)
    let frames = zstd(Array(bytes[..<half])) + zstd(Array(bytes[half...]))
    #expect(try Self.lines(folder.file("frames", frames)) == expected)
  }

  @Test func everyTruncationIsAnError() throws {
    let folder = try TemporaryFolder()
    let text = Array("{\"a\": 1}\n{\"b\": 2}\n{\"ccccccccccccc\": 3}\n".utf8)
    for whole in [gzip(text), zstd(text)] {
      for length in 4..<whole.count {
        let path = try folder.file("cut", whole[..<length])
        let error = #expect(throws: FormatError.self) { try Self.lines(path) }
        #expect(message(error).contains("cut short"), "\(message(error))")
        #expect(message(error).contains("cut:"))
      }
    }
  }

  @Test func damageIsAnError() throws {
    let folder = try TemporaryFolder()
    let whole = gzip(Array("hello hello hello hello\n".utf8))
    var wrongSum = whole
    wrongSum[whole.count - 8] ^= 1
    #expect(throws: FormatError.self) { try Self.lines(folder.file("sum", wrongSum)) }
    #expect(throws: FormatError.self) { try Self.lines(folder.file("garbage", whole + [1, 2, 3])) }
    var generator = SeededGenerator(seed: 9)
    for text in [gzip(Array(0...255)), zstd(Array("some text\n".utf8))] {
      for _ in 0..<300 { _ = try? Self.lines(folder.file("fuzz", text.mutated(using: &generator))) }
    }
  }

  @Test func aLineThatIsTooLongNamesItsPlace() throws {
    let folder = try TemporaryFolder()
    let text = "short\n" + String(repeating: "x", count: 3_000_000) + "\n"
    let path = try folder.file("bomb.jsonl.gz", gzip(Array(text.utf8)))
    let error = #expect(throws: FormatError.self) { try Self.lines(path, maximum: 1000) }
    #expect(message(error).contains("bomb.jsonl.gz:2: the line is longer than 1000 bytes"))
    #expect(
      try Self.lines(folder.file("fits", String(repeating: "x", count: 1000) + "\n"), maximum: 1000)
        .count == 1)
  }

  /// One who answers line for line goes on behind a line that is too long, whatever the file is compressed with.
  @Test func aLineThatIsTooLongIsPassedOver() throws {
    let folder = try TemporaryFolder()
    let text = Array(
      ("a\n" + String(repeating: "x", count: 700_000) + "\nb\n" + String(repeating: "y", count: 1001)).utf8)
    for (name, bytes) in [("plain", text), ("gzip", gzip(text)), ("zstd", zstd(text))] {
      let reader = try LineReader(path: folder.file(name, bytes), maximumLineBytes: 1000)
      reader.passesOverLongLines = true
      var lines: [LineReader.Line] = []
      while let line = try reader.next() { lines.append(line) }
      #expect(lines.map { String(decoding: $0.bytes, as: UTF8.self) } == ["a", "", "b", ""])
      #expect(lines.map { $0.fault != nil } == [false, true, false, true])
      #expect(lines[1].fault?.contains("longer than 1000 bytes") == true)
      #expect(
        lines.map(\.end.offset) == [2, 700_003, 700_005, text.count] && lines.map(\.number) == [1, 2, 3, 4])
    }
  }

  @Test func blankLinesAtTheEndAreGivenWhereAskedFor() throws {
    let folder = try TemporaryFolder()
    let reader = try LineReader(path: folder.file("blank", "\na\n \t\r\n\n"))
    reader.givesBlankEnd = true
    var lines: [String] = []
    while let line = try reader.next() {
      lines.append("\(line.number):\(String(decoding: line.bytes, as: UTF8.self))")
    }
    #expect(lines == ["1:", "2:a", "3:", "4:"])
  }

  /// What somebody cuts while it is read is not taken for whole; what grows is read to its end.
  @Test func aFileThatIsCutWhileItIsReadIsTold() throws {
    let folder = try TemporaryFolder()
    let path = try folder.file("cut", String(repeating: "some line\n", count: 100_000))
    let reader = try LineReader(path: path)
    _ = try reader.next()
    #expect(truncate(path, 600_000) == 0)
    let error = #expect(throws: FormatError.self) { while try reader.next() != nil {} }
    #expect(message(error).contains("it was cut while it was read"), "\(message(error))")
    let growing = try LineReader(path: folder.file("grows", "a\n"))
    let handle = try #require(FileHandle(forWritingAtPath: folder.path("grows")))
    try handle.seekToEnd()
    try handle.write(contentsOf: Data("b\n".utf8))
    #expect(try growing.next() != nil && growing.next() != nil)
    #expect(try growing.next() == nil)
  }

  @Test func aMissingFileAndAFolderAreTold() throws {
    #expect(throws: FormatError.missing(path: "/nonexistent/a.jsonl")) {
      try LineReader(path: "/nonexistent/a.jsonl")
    }
    let folder = try TemporaryFolder()
    #expect(throws: FormatError.self) { try LineReader(path: folder.path) }
  }

  @Test(.enabled(if: TestData.isAvailable, "needs ALINFIK_DATA or ../shared/data"))
  func readsRealFiles() throws {
    for (name, count) in [("instruct/pool.jsonl", 8000), ("howdy/pool.jsonl", 900)] {
      let reader = try LineReader(path: TestData.path(name))
      var rows = 0
      while let line = try reader.next() {
        let value = try JSONValue.parse(line.bytes)
        #expect(try JSONValue.parse(value.serialized()) == value)
        #expect(try JSONObjectScanner(line.bytes).changing([]) == line.bytes)
        rows += 1
      }
      #expect(rows == count)
      #expect(reader.bytesConsumed == reader.fileSize)
    }
    #expect(try Self.lines(TestData.path("wikitext2/valid.jsonl.gz")).count > 100)
  }
}
