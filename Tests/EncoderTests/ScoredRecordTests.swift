import Encoder
import Formats
import Records
import TestSupport
import Testing

@Suite struct ScoredRecordTests {
  private func read(
    _ paths: [String], allowsUnknown: Bool = true
  ) throws -> (records: [ScoredRecord], origins: ScoreOrigins) {
    let reader = ScoredRecordReader(
      options: RecordOptions(), workers: 2, allowsUnknownOrigin: allowsUnknown)
    var records: [ScoredRecord] = []
    for path in paths {
      try reader.read(path) { record throws(RecordError) in
        if record.score != nil { _ = try record.record() }
        return record
      } take: {
        records += $0
      }
    }
    return (records, reader.origins)
  }

  /// Writes the mark of a file that is there.
  private func mark(_ folder: TemporaryFolder, _ name: String, of valuator: String, raw: Bool = false) throws
  {
    let bytes = try folder.read(name)
    _ = try folder.file(
      name + ".done.json",
      #"{"settings": {"valuator_sha256": "\#(valuator)", "raw": \#(raw), "pooling": "mean"}, "#
        + #""output_bytes": \#(bytes.count), "output_sha256": "\#(FileHash.sha256(bytes))"}"#)
  }

  private func refusal(_ paths: [String], allowsUnknown: Bool = false) -> String {
    do {
      _ = try read(paths, allowsUnknown: allowsUnknown)
      return ""
    } catch { return "\(error)" }
  }

  @Test func whatScoreWroteIsRead() throws {
    let folder = try TemporaryFolder()
    let path = try folder.file(
      "a.jsonl",
      """
      {"id": "x", "source": "s", "text": "a b", "alinfik_score": 1.5, "alinfik_low": -1, "alinfik_high": 2e0, \
      "alinfik_ood": false, "alinfik_tokens": 7, "alinfik_truncated": true, "alinfik_valuator": "0123456789ab-first"}
      {"text": "c", "alinfik_score": -3, "alinfik_ood": null}
      {"alinfik_error": "no text"}

      """)
    let (records, origins) = try read([path])
    #expect(records.map(\.score) == [1.5, -3, nil])
    #expect(records[0].interval?.low == -1 && records[0].interval?.high == 2)
    #expect(records[0].isOutside == false && records[0].tokens == 7 && records[0].isTruncated)
    #expect(records[0].origin == ScoreOrigin(valuator: "0123456789ab", isRaw: false, pooling: .first))
    #expect(records[1].interval == nil && records[1].isOutside == nil && records[1].tokens == nil)
    #expect(records[2].error == "no text")
    let record = try records[0].record()
    #expect(record.id == "x" && record.source == "s" && record.text == "a b" && record.line == 1)
    #expect(origins.known?.key == "0123456789ab-first" && origins.unknownRows == 1)
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
      (#"{"text": "a", "alinfik_score": 1, "alinfik_tokens": 4294967295}"#, "alinfik_tokens is 4294967295"),
      (#"{"text": "a", "alinfik_score": 1, "alinfik_tokens": 1.5}"#, "alinfik_tokens is 1.5"),
      (#"{"text": "a", "alinfik_score": 1, "alinfik_ood": "true"}"#, "alinfik_ood is \"true\""),
      (#"{"text": "a", "alinfik_score": 1, "alinfik_truncated": "true"}"#, "alinfik_truncated is"),
      (#"{"text": "a", "alinfik_score": 1, "alinfik_low": 0, "alinfik_high": "9"}"#, "alinfik_high is \"9\""),
      (#"{"text": "a", "alinfik_score": 1, "alinfik_valuator": 7}"#, "alinfik_valuator is 7"),
      (#"{"text": "a", "alinfik_score": 1, "alinfik_error": 5}"#, "alinfik_error is 5"),
      (
        #"{"text": "a", "alinfik_score": 1, "alinfik_error": "x"}"#,
        "both an alinfik_score and an alinfik_error"
      ),
      (#"{"id": "a", "alinfik_score": 1, "alinfik_tokens": 3}"#, "score --sidecar"),
      (#"{"text": "a", "alinfik_score": 1, "alinfik_valuator": "abc"}"#, "\"abc\", which is not what"),
      (#"{"text": "a", "alinfik_score": 1, "alinfik_valuator": "0123456789ab-last"}"#, "which is not what"),
      (#"{"source": "s", "alinfik_score": 1}"#, "has none of 'text'"),
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
      if let marker { try mark(folder, name, of: marker, raw: raw) }
      return path
    }
    let hash = String(repeating: "0123456789abcdef", count: 4)
    let other = String(hash.reversed())
    let plain = try file("plain.jsonl")
    let (marked, keyed) = (
      try file("m.jsonl", marker: hash), try file("k.jsonl", key: String(hash.prefix(12)))
    )
    #expect(refusal([marked, keyed, marked]) == "" && refusal([plain]) == "")
    #expect(refusal([plain, marked, keyed, marked, plain], allowsUnknown: true) == "")
    for pair in [[plain, keyed], [keyed, plain], [marked, plain]] {
      let words = refusal(pair)
      #expect(
        words.hasPrefix("\(plain):1: it does not say which valuator") && words.contains("0123456789ab"),
        "\(words)")
    }
    #expect(try read([plain, marked]).origins.unknownRows == 1)
    #expect(try read([keyed, marked]).origins.known?.valuator == hash)
    for pair in [
      [marked, try file("m2.jsonl", marker: other)], [keyed, try file("m3.jsonl", marker: other)],
      [marked, try file("k2.jsonl", key: String(other.prefix(12)))],
    ] {
      let words = refusal(pair)
      #expect(words.contains("0123456789ab") && words.contains("fedcba987654"), "\(words)")
    }
    #expect(refusal([marked, try file("raw.jsonl", marker: hash, raw: true)]).contains("--raw"))
  }

  @Test func aKeySaysWhatElseWasAskedFor() throws {
    let hash = String(repeating: "0123456789abcdef", count: 4)
    for (isRaw, pooling, key) in [
      (false, WindowPooling.mean, "0123456789ab"), (false, .first, "0123456789ab-first"),
      (true, .first, "0123456789ab-raw"), (true, .max, "0123456789ab-raw-max"),
    ] {
      let origin = ScoreOrigin(valuator: hash, isRaw: isRaw, pooling: pooling)
      #expect(origin.key == key)
      let read = try #require(ScoreOrigin(key: key))
      #expect(read.agrees(with: origin) && read.key == key)
      let others = ["0123456789ab", "0123456789ab-first", "0123456789ab-raw", "0123456789ab-raw-max"]
      #expect(others.count { ScoreOrigin(key: $0)!.agrees(with: origin) } == 1)
    }
    for key in ["", "0123456789a", "0123456789abc", "0123456789ag", "0123456789ab-", "0123456789ab-max-raw"] {
      #expect(ScoreOrigin(key: key) == nil, "\(key)")
    }
    let folder = try TemporaryFolder()
    func file(_ key: String) throws -> String {
      try folder.file(
        "\(key).jsonl", #"{"text": "g", "alinfik_score": 1, "alinfik_valuator": "\#(key)"}"# + "\n")
    }
    let (usual, first, raw) = (
      try file("0123456789ab"), try file("0123456789ab-first"), try file("0123456789ab-raw")
    )
    #expect(refusal([usual, first]).contains("--pooling first"))
    #expect(refusal([usual, raw]).contains("--raw"))
  }

  @Test func aMarkOfAnotherFileIsRefused() throws {
    let folder = try TemporaryFolder()
    let hash = String(repeating: "0123456789abcdef", count: 4)
    let path = try folder.file("a.jsonl", #"{"text": "g", "alinfik_score": 1}"# + "\n")
    try mark(folder, "a.jsonl", of: hash)
    #expect(try refusal([path]) == "" && read([path]).origins.known?.valuator == hash)
    // As many bytes, others; and more of them.
    for text in [#"{"text": "g", "alinfik_score": 2}"#, #"{"text": "gg", "alinfik_score": 1}"#] {
      _ = try folder.file("a.jsonl", text + "\n")
      let words = refusal([path])
      #expect(words.contains("a.jsonl.done.json: it is not of"), "\(words)")
    }
    // A mark that names no whole hash says nothing.
    try mark(folder, "a.jsonl", of: "")
    #expect(try read([path]).origins.unknownRows == 1)
  }
}
