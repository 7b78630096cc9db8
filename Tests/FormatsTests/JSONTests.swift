import Formats
import Foundation
import TestSupport
import Testing

@Suite struct JSONTests {
  static func parse(_ text: String) throws -> JSONValue { try JSONValue.parse(Array(text.utf8)) }

  @Test func readsEveryKindOfValue() throws {
    let value = try Self.parse(
      #" {"a": [1, -2.5e3, true, false, null], "b": {"c": "x\n\"\\\/\u00e9\ud83d\ude00"}, "n": 12345678901234567890} "#
    )
    #expect(value["a"]?.array?.map(\.double) == [1, -2500, nil, nil, nil])
    #expect(value["a"]?.array?[0].int == 1)
    #expect(value["a"]?.array?[1].int == -2500)
    #expect(value["a"]?.array?[2].bool == true)
    #expect(value["a"]?.array?[4].isNull == true)
    #expect(value["b"]?["c"]?.string == "x\n\"\\/é😀")
    #expect(value["n"] == .number("12345678901234567890"))
    #expect(value["missing"] == nil)
    #expect(value.members?.map(\.key) == ["a", "b", "n"])
  }

  @Test func keysAreComparedAsBytes() throws {
    let value = try Self.parse("{\"\u{e9}\": 1, \"e\u{301}\": 2, \"\u{e9}\": 3}")
    #expect(value["\u{e9}"]?.int == 3)
    #expect(value["e\u{301}"]?.int == 2)
    #expect(value.members?.count == 3)
  }

  @Test func numbersKeepTheirSpelling() throws {
    for text in ["1.0", "1e5", "-0", "0.1000", "123456789012345678901234567890"] {
      #expect(try Self.parse(text).serialized() == Array(text.utf8))
    }
    #expect(try Self.parse("1e400").double == nil)
    #expect(try Self.parse("9007199254740993").int == 9_007_199_254_740_993)
    #expect(try Self.parse("1.5").int == nil)
  }

  @Test(arguments: [
    ("", 0), ("  ", 2), ("{", 1), ("[1,]", 3), ("[1 2]", 3), ("{\"a\":1,}", 7), ("{a:1}", 1),
    ("{\"a\" 1}", 5),
    ("01", 1), ("-", 1), ("1.", 2), ("1e", 2), ("+1", 0), (".5", 0), ("NaN", 0), ("Infinity", 0), ("tru", 0),
    ("nul", 0), ("\"abc", 0), ("\"\\x\"", 1), ("\"\\u12g4\"", 1), ("\"\\ud800\"", 1), ("\"\\udc00\"", 1),
    ("\"\\ud800\\u0041\"", 1), ("\"\\ud800x\"", 1), ("\"a\nb\"", 2), ("\"a\tb\"", 2), ("1 1", 2),
    ("[1] x", 4),
    ("// c\n1", 0), ("'a'", 0), ("\"\\", 1), ("\"\\u00", 1), ("]", 0), ("{\"a\":}", 5), ("[1", 2),
    ("\u{feff}1", 0),
  ])
  func refusesWithTheOffset(text: String, offset: Int) throws {
    let error = #expect(throws: JSONError.self) { try Self.parse(text) }
    #expect(error?.offset == offset, "\(text): \(String(describing: error))")
    #expect(throws: JSONError.self) { try JSONObjectScanner(Array("{\"k\":\(text)".utf8)) }
  }

  @Test(
    arguments: [
      [0x80], [0xC0, 0x80], [0xC1, 0xBF], [0xE0, 0x80, 0x80], [0xED, 0xA0, 0x80], [0xF0, 0x80, 0x80, 0x80],
      [0xF4, 0x90, 0x80, 0x80], [0xF5, 0x80, 0x80, 0x80], [0xFF], [0xC3], [0xE2, 0x82], [0xF0, 0x9F, 0x98],
      [0xC3, 0x28], [0xE2, 0x28, 0xA1],
    ] as [[UInt8]])
  func refusesInvalidUTF8(sequence: [UInt8]) throws {
    // At every alignment, because eight bytes are looked at together.
    for padding in 0..<9 {
      let quoted = [0x22] + [UInt8](repeating: 0x61, count: padding) + sequence + [0x22]
      let error = #expect(throws: JSONError.self) { try JSONValue.parse(quoted) }
      #expect(error?.offset == 1 + padding)
    }
    #expect(!ByteString(sequence).isValidUTF8)
  }

  @Test func acceptsEveryScalarAndFindsEverySpecialByteAtEveryAlignment() throws {
    var all = ""
    for code in stride(from: UInt32(0x20), through: 0x10FFFF, by: 61) {
      if let scalar = Unicode.Scalar(code) { all.unicodeScalars.append(scalar) }
    }
    let value = JSONValue(all)
    #expect(try JSONValue.parse(value.serialized()) == value)
    for padding in 0..<17 {
      for special in ["\"", "\\", "\u{1}", "\u{1f}", " ", "\u{7f}", "é"] {
        let text = String(repeating: "a", count: padding) + special + "bcdefghijklm"
        let written = JSONValue(text).serialized()
        #expect(try JSONValue.parse(written).string == text)
      }
    }
  }

  @Test func depthIsLimited() throws {
    func nested(_ depth: Int) -> [UInt8] {
      Array(String(repeating: "[", count: depth).utf8) + repeatElement(0x5D, count: depth)
    }
    #expect(throws: Never.self) { try JSONValue.parse(nested(512)) }
    #expect(throws: JSONError.self) { try JSONValue.parse(nested(513)) }
    #expect(throws: JSONError.self) { try JSONValue.parse([UInt8](repeating: 0x5B, count: 1_000_000)) }
  }

  @Test func writesPrettyAndEscapes() throws {
    let value: JSONValue = [
      "a": [1, 2.5, true, nil], "b": "tab\tquote\"nul\u{0}bell\u{1b}é", "c": [], "d": [:],
    ]
    let expected = #"{"a":[1,2.5,true,null],"b":"tab\tquote\"nul\u0000bell\u001bé","c":[],"d":{}}"#
    #expect(String(decoding: value.serialized(), as: UTF8.self) == expected)
    let pretty = value.serialized(pretty: true)
    #expect(String(decoding: pretty, as: UTF8.self).hasPrefix("{\n  \"a\": [\n    1,\n"))
    #expect(try JSONValue.parse(pretty) == value)
    #expect(JSONValue(Double.nan).isNull && JSONValue(Float.infinity).isNull)
    #expect(JSONValue(Float(0.1)) == .number("0.1"))
    #expect(try JSONValue.parse(JSONValue(1e300).serialized()).double == 1e300)
    #expect(
      try JSONValue.parse(JSONValue.string(ByteString([0x61, 0xFF])).serialized()).string == "a\u{fffd}")
  }

  @Test func agreesWithFoundationOnMutatedDocuments() throws {
    let seedText =
      #"{"id": "a\u00e9\ud83d\ude00", "n": [-1.5e+10, 0, 12], "o": {"t": true, "z": null}, "é": "ü"}"#
    var generator = SeededGenerator(seed: 1)
    var accepted = 0
    for _ in 0..<20000 {
      let bytes = Array(seedText.utf8).mutated(using: &generator)
      let ours = try? JSONValue.parse(bytes)
      if let ours {
        accepted += 1
        #expect(try JSONValue.parse(ours.serialized()) == ours)
      }
      let scanned = try? JSONObjectScanner(bytes)
      #expect((scanned != nil) == (ours?.members != nil), "\(String(decoding: bytes, as: UTF8.self))")
      if let scanned { #expect(scanned.changing([]) == bytes) }
    }
    #expect(accepted > 500)
  }

  @Test func readsAFileAndNamesTheLine() throws {
    let folder = try TemporaryFolder()
    let path = try folder.file("bad.json", "{\n\"a\": 1,\n\"b\": x}\n")
    let error = #expect(throws: FormatError.self) { try JSONValue.read(path: path) }
    #expect(message(error).contains("bad.json:3: "))
    #expect(throws: FormatError.missing(path: "/nonexistent/x.json")) {
      try JSONValue.read(path: "/nonexistent/x.json")
    }
    #expect(throws: FormatError.self) { try JSONValue.read(path: folder.path) }
  }
}

@Suite struct JSONObjectScannerTests {
  func change(_ line: String, _ changes: [(key: ByteString, value: JSONValue?)]) throws -> String {
    String(decoding: try JSONObjectScanner(Array(line.utf8)).changing(changes), as: UTF8.self)
  }

  @Test func keepsUntouchedBytes() throws {
    let line = #" {"a" :1.50,  "b\u0061": "\u00e9" , "a":{"x": [ ]}}  "#
    #expect(try change(line, []) == line)
    let scanner = try JSONObjectScanner(Array(line.utf8))
    #expect(scanner.members.map(\.key) == ["a", "ba", "a"])
    #expect(Array(scanner.bytes[scanner.members[1].valueRange]) == Array(#""\u00e9""#.utf8))
    #expect(try scanner.value("ba")?.string == "é")
    #expect(try scanner.value("c") == nil)
  }

  @Test func addsReplacesAndRemoves() throws {
    #expect(try change(#"{"text": "x"}"#, [("s", 1)]) == #"{"text": "x", "s": 1}"#)
    #expect(try change(#"{"text":"x"}"#, [("s", 1), ("t", "y")]) == #"{"text":"x","s":1,"t":"y"}"#)
    #expect(try change(#"{"s": 0, "text": "x"}"#, [("s", 1)]) == #"{"s": 1, "text": "x"}"#)
    #expect(try change(#"{"\u0073":0,"text":"x","s":[2]}"#, [("s", 1)]) == #"{"\u0073":1,"text":"x","s":1}"#)
    #expect(try change(#"{ "s": 0, "t": 1,"u": 2 }"#, [("s", nil)]) == #"{ "t": 1,"u": 2 }"#)
    #expect(try change(#"{"s": 0, "t": 1, "u": 2}"#, [("t", nil)]) == #"{"s": 0, "u": 2}"#)
    #expect(try change(#"{"s": 0, "t": 1}"#, [("t", nil), ("v", 3)]) == #"{"s": 0, "v": 3}"#)
    #expect(try change(#"{"s": 0}"#, [("s", nil)]) == "{}")
    #expect(try change("{ }", [("s", 1)]) == #"{"s": 1 }"#)
    #expect(try change("{}", [("s", nil)]) == "{}")
  }

  @Test func refusesWhatIsNoObject() throws {
    for line in ["[]", "1", "", "{} {}", "{\"a\": 1", "\"x\""] {
      #expect(throws: JSONError.self) { try JSONObjectScanner(Array(line.utf8)) }
    }
  }
}
