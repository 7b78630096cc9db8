import Encoder
import Formats
import Records
import TestSupport
import Testing

@Suite struct ScoredRecordTests {
  private func read(_ paths: String...) throws -> (records: [ScoredRecord], reader: ScoredRecordReader) {
    let reader = ScoredRecordReader(paths: paths)
    var records: [ScoredRecord] = []
    try reader.forEach { records.append($0) }
    return (records, reader)
  }

  private func refusal(_ paths: [String]) -> String {
    do {
      try ScoredRecordReader(paths: paths).forEach { _ = try $0.record() }
      return ""
    } catch { return "\(error)" }
  }

  @Test func whatScoreWroteIsRead() throws {
    let folder = try TemporaryFolder()
    let path = try folder.file(
      "a.jsonl",
      """
      {"id": "x", "source": "s", "text": "a b", "alinfik_score": 1.5, "alinfik_low": -1, "alinfik_high": 2e0, \
      "alinfik_ood": false, "alinfik_tokens": 7, "alinfik_truncated": true, "alinfik_valuator": "abc"}
      {"text": "c", "alinfik_score": -3, "alinfik_ood": null}
      {"alinfik_error": "no text"}

      """)
    let (records, reader) = try read(path)
    #expect(records.map(\.score) == [1.5, -3, nil])
    #expect(records[0].interval?.low == -1 && records[0].interval?.high == 2)
    #expect(records[0].isOutside == false && records[0].tokens == 7 && records[0].isTruncated)
    #expect(records[0].valuator == "abc")
    #expect(records[1].interval == nil && records[1].isOutside == nil && records[1].tokens == nil)
    #expect(records[2].error == "no text" && reader.marked == 1)
    let record = try records[0].record()
    #expect(record.id == "x" && record.source == "s" && record.text == "a b" && record.line == 1)
    #expect(reader.origins.known?.valuator == "abc" && reader.origins.unknownRows == 1)
  }

  @Test func whatIsNoScoreIsRefused() throws {
    let folder = try TemporaryFolder()
    for (line, word) in [
      (#"{"text": "a"}"#, "a.jsonl:2: it has no alinfik_score; `alinfik score"),
      (#"{"text": "a", "alinfik_score": null}"#, "no alinfik_score"),
      (#"{"text": "a", "alinfik_score": NaN}"#, "no finite number"),
      (#"{"text": "a", "alinfik_score": -Infinity}"#, "no finite number"),
      (#"{"text": "a", "alinfik_score": 1e999}"#, "no finite number"),
      (#"{"text": "a", "alinfik_score": "1"}"#, "no finite number"),
      (#"{"text": "a", "alinfik_score": 1, "alinfik_low": 3, "alinfik_high": 2}"#, "above alinfik_high"),
      (#"{"text": "a", "alinfik_score": -2e30}"#, "alinfik_score is -2e+30"),
      (#"{"text": "a", "alinfik_score": 1, "alinfik_low": 0, "alinfik_high": 1e31}"#, "alinfik_high is 1e"),
      (#"{"text": "a", "alinfik_score": 1, "alinfik_tokens": 9223372036854775807}"#, "alinfik_tokens is"),
      (#"{"text": "a", "alinfik_score": 1, "alinfik_tokens": 1e300}"#, "alinfik_tokens is"),
      (#"{"text": "a", "alinfik_score": 1, "alinfik_tokens": -1}"#, "alinfik_tokens is"),
      (#"{"alinfik_score": 1}"#, "has none of 'text'"),
      ("nonsense", "invalid JSON"), ("", "blank"),
    ] {
      let good = #"{"text": "g", "alinfik_score": 1}"#
      let path = try folder.file("a.jsonl", "\(good)\n\(line)\n\(good)\n")
      #expect(refusal([path]).contains(word), "\(line): \(refusal([path]))")
    }
  }

  @Test func scoresOfTwoValuatorsAreNotMixed() throws {
    let folder = try TemporaryFolder()
    func file(_ name: String, key: String? = nil, marker: String? = nil, raw: Bool = false) throws -> String {
      let own = key.map { #", "alinfik_valuator": "\#($0)""# } ?? ""
      let path = try folder.file(name, #"{"text": "g", "alinfik_score": 1\#(own)}"# + "\n")
      if let marker {
        _ = try folder.file(
          name + ".done.json",
          #"{"settings": {"valuator_sha256": "\#(marker)", "raw": \#(raw), "pooling": "first"}}"#)
      }
      return path
    }
    let hash = String(repeating: "0123456789abcdef", count: 4)
    let other = String(hash.reversed())
    let plain = try file("plain.jsonl")
    let (marked, keyed) = (
      try file("m.jsonl", marker: hash), try file("k.jsonl", key: String(hash.prefix(12)))
    )
    #expect(refusal([plain, marked, keyed, marked, plain]) == "")
    #expect(try read(plain, marked).reader.origins.unknownRows == 1)
    #expect(try read(keyed, marked).reader.origins.known?.valuator == hash)
    for pair in [
      [marked, try file("m2.jsonl", marker: other)], [keyed, try file("m3.jsonl", marker: other)],
      [marked, try file("k2.jsonl", key: String(other.prefix(12)))],
    ] {
      let words = refusal(pair)
      #expect(words.contains("0123456789ab") && words.contains("fedcba987654"), "\(words)")
    }
    #expect(refusal([marked, try file("raw.jsonl", marker: hash, raw: true)]).contains("--raw"))
  }
}
