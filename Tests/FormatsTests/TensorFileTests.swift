import Formats
import Foundation
import TestSupport
import Testing

/// Writes the bytes of small GGUF files, well-formed or not.
struct GGUFBuilder {
  var bytes: [UInt8] = []

  mutating func add<Number: FixedWidthInteger>(_ value: Number) {
    withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
  }

  mutating func add(_ text: String) {
    add(UInt64(text.utf8.count))
    bytes += Array(text.utf8)
  }

  /// Version 3, some metadata of every kind, a Q4_1 tensor [2, 32] at 0, an F16 tensor [3] at 64.
  static func sample(version: UInt32 = 3, secondOffset: UInt64 = 64, firstRows: UInt64 = 2) -> [UInt8] {
    var file = GGUFBuilder()
    file.bytes = Array("GGUF".utf8)
    file.add(version)
    file.add(UInt64(2))
    file.add(UInt64(5))
    file.add("general.architecture")
    file.add(UInt32(8))
    file.add("llama")
    file.add("llama.block_count")
    file.add(UInt32(4))
    file.add(UInt32(30))
    file.add("llama.eps")
    file.add(UInt32(6))
    file.add(Float(0.5).bitPattern)
    file.add("tokens")
    file.add(UInt32(9))
    file.add(UInt32(8))
    file.add(UInt64(3))
    for token in ["é", "e\u{301}", ""] { file.add(token) }
    file.add("types")
    file.add(UInt32(9))
    file.add(UInt32(5))
    file.add(UInt64(3))
    for type in [1, -2, 3] as [Int32] { file.add(type) }
    file.add("weight")
    file.add(UInt32(2))
    file.add(UInt64(32))
    file.add(firstRows)
    file.add(UInt32(3))
    file.add(UInt64(0))
    file.add("bias")
    file.add(UInt32(1))
    file.add(UInt64(3))
    file.add(UInt32(1))
    file.add(secondOffset)
    while file.bytes.count % 32 != 0 { file.bytes.append(0) }
    for row in 0..<2 {
      file.add(HalfPrecision.f16(Float(row + 1)))
      file.add(HalfPrecision.f16(-0.5))
      for index in 0..<16 { file.bytes.append(UInt8(index) | UInt8(15 - index) << 4) }
    }
    file.bytes += [UInt8](repeating: 0, count: 24)
    for value in [1, -2, 65504] as [Float] { file.add(HalfPrecision.f16(value)) }
    return file.bytes
  }
}

/// All tensors of a file decoded, so that a fuzzed file that was accepted is also read.
private func decodeAll(_ file: some TensorFile) {
  for tensor in file.tensors {
    let buffer = UnsafeMutableBufferPointer<Float>.allocate(capacity: tensor.elementCount)
    defer { buffer.deallocate() }
    try? file.decodeFloats(of: tensor, into: buffer)
  }
}

@Suite struct GGUFTests {
  @Test(arguments: [2, 3] as [UInt32]) func readsMetadataAndTensors(version: UInt32) throws {
    let folder = try TemporaryFolder()
    let path = try folder.file("a.gguf", GGUFBuilder.sample(version: version))
    #expect(GGUFFile.isGGUF(path: path))
    let file = try GGUFFile(path: path)
    #expect(file.metadata["general.architecture"]?.string == "llama")
    #expect(file.metadata["llama.block_count"]?.int == 30)
    #expect(file.metadata["llama.eps"]?.double == 0.5)
    #expect(file.metadata["tokens"]?.array?.strings == ["é", "e\u{301}", ""])
    #expect(file.metadata["tokens"]?.array?.integers == nil)
    #expect(file.metadata["types"]?.array?.integers == [1, -2, 3])
    #expect(file.tensors.map(\.name) == ["weight", "bias"])
    #expect(file.tensors.map(\.shape) == [[2, 32], [3]])
    #expect(file.tensors.map(\.type) == [.q41, .f16])
    #expect(try file.floats(named: "bias", shape: [3]) == [1, -2, 65504])
    let nibbles: [Float] = (0..<16).map { Float($0) } + (0..<16).map { Float(15 - $0) }
    let rows: [Float] = nibbles.map { $0 - 0.5 } + nibbles.map { 2 * $0 - 0.5 }
    #expect(try file.floats(named: "weight", shape: [2, 32]) == rows)
    let error = #expect(throws: FormatError.self) { try file.tensor(named: "weight", shape: [32, 2]) }
    #expect(message(error).contains("'weight' has shape [2, 32], [32, 2] is expected"))
    #expect(throws: FormatError.self) { try file.tensor(named: "gate", shape: [1]) }
  }

  @Test func everyPrefixIsRefused() throws {
    let folder = try TemporaryFolder()
    let whole = GGUFBuilder.sample()
    for length in 0..<whole.count {
      let path = try folder.file("cut.gguf", whole[..<length])
      #expect(throws: FormatError.self, "\(length) bytes") { try GGUFFile(path: path) }
    }
  }

  @Test func liesAreRefused() throws {
    let folder = try TemporaryFolder()
    func refused(_ bytes: [UInt8], _ reason: String) throws {
      let path = try folder.file("lie.gguf", bytes)
      let error = #expect(throws: FormatError.self) { try GGUFFile(path: path) }
      #expect(message(error).contains(reason), "\(message(error))")
    }
    try refused(GGUFBuilder.sample(version: 1), "version 1; 2 and 3 are supported")
    try refused(GGUFBuilder.sample(version: UInt32(3).byteSwapped), "big-endian")
    try refused(GGUFBuilder.sample(secondOffset: 32), "'weight' and 'bias' overlap")
    try refused(GGUFBuilder.sample(secondOffset: 65), "'bias' are not aligned")
    try refused(GGUFBuilder.sample(secondOffset: 96), "'bias' lie outside the file")
    try refused(GGUFBuilder.sample(secondOffset: 1 << 63), "'bias' lie outside the file")
    try refused(GGUFBuilder.sample(firstRows: 1 << 60), "'weight' has an impossible shape")
    try refused(GGUFBuilder.sample(firstRows: 1 << 63), "'weight' has an impossible shape")
    try refused(GGUFBuilder.sample(firstRows: 1 << 40), "'weight' lie outside the file")
    var huge = GGUFBuilder.sample()
    huge.replaceSubrange(8..<16, with: [UInt8](repeating: 0xFF, count: 8))
    try refused(huge, "tensors are announced")
    huge = GGUFBuilder.sample()
    huge.replaceSubrange(16..<24, with: [0, 0, 0, 0, 1, 0, 0, 0])
    try refused(huge, "metadata entries are announced")
  }

  @Test func deepAndHugeArraysAreRefused() throws {
    let folder = try TemporaryFolder()
    func file(_ build: (inout GGUFBuilder) -> Void) throws -> String {
      var file = GGUFBuilder()
      file.bytes = Array("GGUF".utf8)
      file.add(UInt32(3))
      file.add(UInt64(0))
      file.add(UInt64(1))
      file.add("k")
      build(&file)
      return try folder.file("array.gguf", file.bytes)
    }
    let deep = try file { file in
      for _ in 0..<2000 {
        file.add(UInt32(9))
        if file.bytes.count > 50 { file.add(UInt64(1)) } else { file.add(UInt64(1)) }
      }
    }
    #expect(throws: FormatError.self) { try GGUFFile(path: deep) }
    let huge = try file { file in
      file.add(UInt32(9))
      file.add(UInt32(8))
      file.add(UInt64(1) << 61)
    }
    #expect(throws: FormatError.self) { try GGUFFile(path: huge) }
    let nested = try file { file in
      for count in [2, 1] as [UInt64] {
        file.add(UInt32(9))
        if count == 2 {
          file.add(UInt32(9))
          file.add(count)
          for value in [7, 8] as [UInt32] {
            file.add(UInt32(4))
            file.add(UInt64(1))
            file.add(value)
          }
          break
        }
      }
    }
    var found: [[Int]?] = []
    try GGUFFile(path: nested).metadata["k"]?.array?.visit { found.append($0.array?.integers) }
    #expect(found == [[7], [8]])
  }

  @Test func mutationsNeverCrash() throws {
    let folder = try TemporaryFolder()
    let whole = GGUFBuilder.sample()
    var generator = SeededGenerator(seed: 5)
    for _ in 0..<3000 {
      let path = try folder.file("fuzz.gguf", whole.mutated(using: &generator))
      if let file = try? GGUFFile(path: path) {
        decodeAll(file)
        for value in file.metadata.values { _ = value.array?.strings }
      }
    }
  }

  @Test(.enabled(if: TestData.isAvailable, "needs ALINFIK_DATA or ../shared/data"))
  func readsRealVocabularies() throws {
    for (name, count) in [("gpt-2", 50257), ("bert-bge", 30522), ("llama-spm", 32000), ("llama-bpe", 128256)]
    {
      let file = try GGUFFile(path: TestData.path("tokenizers/ggml-vocab-\(name).gguf"))
      let tokens = try #require(file.metadata["tokenizer.ggml.tokens"]?.array?.strings)
      #expect(tokens.count == count)
      #expect(Set(tokens).count == count)
      #expect(file.tensors.isEmpty)
    }
  }
}

@Suite struct SafetensorsTests {
  static let tensors: [(name: String, shape: [Int], values: [Float])] = [
    ("layer.weight", [2, 3], [1, -2, 3.5, .pi, 0, 1e-30]), ("scalar", [], [7]), ("empty", [0, 4], []),
  ]

  static func file(_ header: String, data: Int = 0) -> [UInt8] {
    withUnsafeBytes(of: UInt64(header.utf8.count).littleEndian) { Array($0) } + Array(header.utf8)
      + [UInt8](repeating: 0, count: data)
  }

  @Test func readsWhatItWrites() throws {
    let folder = try TemporaryFolder()
    let path = folder.path("model.safetensors")
    try SafetensorsWriter.write(to: path, tensors: Self.tensors, metadata: [("format", "pt")])
    let file = try SafetensorsFile(path: path)
    #expect(file.metadata == ["format": "pt"])
    #expect(file.tensors.map(\.name) == Self.tensors.map(\.name))
    for (name, shape, values) in Self.tensors {
      #expect(try file.floats(named: name, shape: shape) == values)
      let tensor = try #require(file.tensor(named: name))
      #expect(file.mappedFloats(of: tensor).map(Array.init) == values)
    }
    #expect(throws: FormatError.exists(path: path)) {
      try SafetensorsWriter.write(to: path, tensors: Self.tensors)
    }
    let bytes = try folder.read("model.safetensors")
    for length in 0..<bytes.count {
      let cut = try folder.file("cut", bytes[..<length])
      #expect(throws: FormatError.self, "\(length) bytes") { try SafetensorsFile(path: cut) }
    }
    var generator = SeededGenerator(seed: 6)
    for _ in 0..<3000 {
      if let fuzzed = try? SafetensorsFile(path: folder.file("fuzz", bytes.mutated(using: &generator))) {
        decodeAll(fuzzed)
      }
    }
  }

  @Test(arguments: [
    (#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}"#, 8, "invalid JSON"),
    (#"[]"#, 0, "no JSON object"),
    (#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,12]}}"#, 12, "needs 8"),
    (#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#, 7, "outside the file"),
    (#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}}"#, 8, "outside the file"),
    (#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[-8,0]}}"#, 8, "outside the file"),
    (#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,9223372036854775807]}}"#, 8, "outside the file"),
    (#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,18446744073709551616]}}"#, 8, "outside the file"),
    (#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#, 9, "1 bytes at the end"),
    (#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}}"#, 12, "gap before the tensor 'a'"),
    (#"{"a":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}}"#, 8, "impossible shape"),
    (#"{"a":{"dtype":"F32","shape":[1.5],"data_offsets":[0,8]}}"#, 8, "impossible shape"),
    (#"{"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,8]}}"#, 8, "impossible shape"),
    (#"{"a":{"dtype":"F32","shape":[2305843009213693953,2],"data_offsets":[0,8]}}"#, 8, "fills no whole"),
    (#"{"a":{"dtype":"F4","shape":[2],"data_offsets":[0,8]}}"#, 8, "unknown type 'F4'"),
    (#"{"a":{"dtype":"Q8_0","shape":[2],"data_offsets":[0,8]}}"#, 8, "unknown type"),
    (#"{"a":{"dtype":"F32","data_offsets":[0,8]}}"#, 8, "no dtype, shape"),
    (#"{"a":1}"#, 0, "no dtype"),
    (#"{"__metadata__":{"a":1}}"#, 0, "more than strings"),
    (
      #"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}}"#,
      12, "'a' and 'b' overlap"
    ),
    (
      #"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#,
      8, "is there twice"
    ),
  ])
  func liesAreRefused(header: String, data: Int, reason: String) throws {
    let folder = try TemporaryFolder()
    let path = try folder.file("lie.safetensors", Self.file(header, data: data))
    let error = #expect(throws: FormatError.self) { try SafetensorsFile(path: path) }
    #expect(message(error).contains(reason), "\(message(error))")
    #expect(message(error).contains("lie.safetensors"))
  }

  @Test func hugeHeadersTakeNoMemory() throws {
    let folder = try TemporaryFolder()
    for length in [UInt64.max, UInt64(Int64.max), 1 << 40, 10] {
      let bytes = withUnsafeBytes(of: length.littleEndian) { Array($0) } + Array("{}".utf8)
      #expect(throws: FormatError.self) { try SafetensorsFile(path: folder.file("huge", bytes)) }
    }
    #expect(throws: FormatError.missing(path: "/nonexistent")) { try SafetensorsFile(path: "/nonexistent") }
  }

  @Test func numbersThatAreNotFiniteAndOtherTypesAreRefused() throws {
    let folder = try TemporaryFolder()
    let path = folder.path("nan.safetensors")
    try SafetensorsWriter.write(to: path, tensors: [("w", [2], [1, .nan])])
    let error = #expect(throws: FormatError.self) {
      try SafetensorsFile(path: path).floats(named: "w", shape: [2])
    }
    #expect(message(error).contains("'w' holds NaN"))
    let integers = Self.file(#"{"i":{"dtype":"I64","shape":[1],"data_offsets":[0,8]}}"#, data: 8)
    #expect(throws: FormatError.self) {
      try SafetensorsFile(path: folder.file("i", integers)).floats(named: "i", shape: [1])
    }
  }

  @Test func unalignedDataAreStillDecoded() throws {
    let folder = try TemporaryFolder()
    let header = #"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#
    let padding = String(repeating: " ", count: (5 - header.utf8.count % 4) % 4)
    var bytes = Self.file(header + padding)
    #expect(bytes.count % 4 == 1)
    for value in [1.5, -2.5] as [Float] { withUnsafeBytes(of: value) { bytes += Array($0) } }
    let file = try SafetensorsFile(path: folder.file("odd", bytes))
    #expect(file.mappedFloats(of: file.tensors[0]) == nil)
    #expect(try file.floats(named: "a", shape: [2]) == [1.5, -2.5])
  }

  @Test(.enabled(if: TestData.isAvailable, "needs ALINFIK_DATA or ../shared/data"))
  func readsARealModel() throws {
    let file = try SafetensorsFile(path: TestData.path("stories260k/model.safetensors"))
    let embedding = try #require(file.tensor(named: "model.embed_tokens.weight"))
    #expect(embedding.shape == [512, 64])
    #expect(try file.floats(named: embedding.name, shape: [512, 64]).contains { $0 != 0 })
    #expect(file.tensors.reduce(0) { $0 + $1.elementCount } > 250_000)
  }
}

@Suite struct HalfPrecisionTests {
  @Test func everyF16WidensExactlyAndComesBack() {
    for bits in UInt16.min...UInt16.max {
      let expected = Float(Float16(bitPattern: bits))
      let found = HalfPrecision.float(f16: bits)
      if expected.isNaN {
        #expect(found.isNaN)
        #expect(HalfPrecision.float(f16: HalfPrecision.f16(found)).isNaN)
      } else {
        if found.bitPattern != expected.bitPattern { Issue.record("\(bits): \(found), \(expected)") }
        if HalfPrecision.f16(found) != bits { Issue.record("\(bits) came back otherwise") }
      }
    }
  }

  @Test func roundsToNearestEvenAroundEveryF16() {
    var wrong = 0
    func check(_ value: Float) {
      let expected = Float16(value)
      let found = HalfPrecision.f16(value)
      if expected.isNaN ? found & 0x7FFF != 0x7E00 : found != expected.bitPattern { wrong += 1 }
    }
    for bits in UInt16(0)..<0x7C00 {
      let low = Float(Float16(bitPattern: bits))
      let high = bits == 0x7BFF ? 65536 : Float(Float16(bitPattern: bits + 1))
      let middle = (low + high) / 2
      for value in [low, middle, middle.nextUp, middle.nextDown, low.nextUp, high.nextDown] {
        check(value)
        check(-value)
      }
    }
    for value in [Float.infinity, -.infinity, .nan, 65519.99, 65520, 1e38, .leastNonzeroMagnitude] {
      check(value)
    }
    #expect(wrong == 0)
    #expect(HalfPrecision.f16([1, 65520, -0.0]) == [0x3C00, 0x7C00, 0x8000])
    #expect(HalfPrecision.floats(f16: [0x3C00, 0x8000]) == [1, -0.0])
  }

  @Test func bfloat16RoundsToNearestEven() {
    for bits in UInt16.min...UInt16.max {
      let value = HalfPrecision.float(bf16: bits)
      if value.isNaN {
        if !HalfPrecision.float(bf16: HalfPrecision.bf16(value)).isNaN { Issue.record("\(bits)") }
      } else if HalfPrecision.bf16(value) != bits {
        Issue.record("\(bits) came back otherwise")
      }
    }
    #expect(HalfPrecision.bf16(Float(bitPattern: 0x3F80_8000)) == 0x3F80)
    #expect(HalfPrecision.bf16(Float(bitPattern: 0x3F81_8000)) == 0x3F82)
    #expect(HalfPrecision.bf16(Float(bitPattern: 0x3F80_8001)) == 0x3F81)
    #expect(HalfPrecision.bf16(.greatestFiniteMagnitude) == 0x7F80)
  }

  @Test func everyBlockTypeIsDecoded() throws {
    // d = 0.25, m = -1: one block of each type, the numbers are the indices.
    let scale: [UInt8] = [0x00, 0x34]
    let minimum: [UInt8] = [0x00, 0xBC]
    let nibbles = (0..<16).map { UInt8($0) << 4 | UInt8(15 - $0) }
    let indices: [Float] = (0..<16).map { Float($0) }
    let numbers: [Float] = indices.reversed() + indices
    var file = GGUFBuilder()
    file.bytes = Array("GGUF".utf8)
    file.add(UInt32(3))
    file.add(UInt64(4))
    file.add(UInt64(0))
    for (name, type, offset) in [("q80", 8, 0), ("q40", 2, 64), ("q41", 3, 96), ("bf16", 30, 128)] {
      file.add(name)
      file.add(UInt32(1))
      file.add(UInt64(32))
      file.add(UInt32(type))
      file.add(UInt64(offset))
    }
    while file.bytes.count % 32 != 0 { file.bytes.append(0) }
    let start = file.bytes.count
    func pad(to offset: Int) { while file.bytes.count - start < offset { file.bytes.append(0xEE) } }
    file.bytes += scale + (0..<32).map { UInt8(bitPattern: Int8($0 * 8 - 128)) }
    pad(to: 64)
    file.bytes += scale + nibbles
    pad(to: 96)
    file.bytes += scale + minimum + nibbles
    pad(to: 128)
    for index in 0..<32 { file.add(HalfPrecision.bf16(Float(index) - 16)) }
    let folder = try TemporaryFolder()
    let read = try GGUFFile(path: folder.file("blocks.gguf", file.bytes))
    let q80: [Float] = (0..<32).map { Float($0 * 2 - 32) }
    let q40: [Float] = numbers.map { 0.25 * ($0 - 8) }
    let q41: [Float] = numbers.map { 0.25 * $0 - 1 }
    let bf16: [Float] = (0..<32).map { Float($0 - 16) }
    #expect(try read.floats(named: "q80", shape: [32]) == q80)
    #expect(try read.floats(named: "q40", shape: [32]) == q40)
    #expect(try read.floats(named: "q41", shape: [32]) == q41)
    #expect(try read.floats(named: "bf16", shape: [32]) == bf16)
  }
}
