import Duplicates
import Formats
import Selection
import TestSupport
import Testing

@Suite struct RankedRunsTests {
  /// Rows with many equal keys, some of equal texts too, with ids of different lengths and now and then no signature.
  private func rows(_ count: Int) -> [RankedRow] {
    (0..<count).map { number in
      let text = Array("text \(number % 700)".utf8)
      return RankedRow(
        key: [-1e300, -2.5, -0.0, 0, 1e-9, 3, 1e300][number * 7919 % 7], score: Double(number),
        hash: ContentHash(text),
        line: UInt64(number % 3), row: number, source: number % 5, tokens: number % 4 == 0 ? nil : number,
        bytes: text.count, id: ByteString(String(repeating: "x", count: number % 40)),
        signature: number % 2 == 0
          ? MinHashSignature(stored: [UInt8](repeating: UInt8(number % 251), count: MinHashSignature.count))
          : nil)
    }
  }

  private func sorted(_ rows: [RankedRow], runBytes: Int, most: Int = .max) throws -> [RankedRow] {
    let folder = try TemporaryFolder()
    let runs = RankedRuns(in: folder.path, runBytes: runBytes)
    for row in rows { try runs.add(row) }
    try runs.finish()
    #expect(runs.count == rows.count && (runs.storedBytes > 0) == (runBytes < 1 << 20))
    var results: [[RankedRow]] = []
    for _ in 0..<2 {
      var result: [RankedRow] = []
      if most > 0 {
        try runs.forEach {
          result.append($0)
          return result.count < most
        }
      }
      results.append(result)
    }
    #expect(results[0] == results[1])
    return results[0]
  }

  @Test(arguments: [1, 3000, 100_000, 1 << 30]) func runsOfAnySizeAreOneOrder(_ runBytes: Int) throws {
    let rows = rows(5000)
    let expected = rows.sorted { left, right in
      if left.key != right.key { return left.key > right.key }
      if left.hash != right.hash { return left.hash < right.hash }
      return (left.line, left.row) < (right.line, right.row)
    }
    #expect(try sorted(rows, runBytes: runBytes) == expected)
    #expect(try sorted(rows, runBytes: runBytes, most: 17) == Array(expected.prefix(17)))
    #expect(try sorted(rows.reversed(), runBytes: runBytes) == expected)
  }

  @Test func noRowsAreNoRows() throws {
    #expect(try sorted([], runBytes: 1 << 30).isEmpty)
  }
}
