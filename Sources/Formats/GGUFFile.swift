/// A GGUF file, version 2 or 3, little-endian: metadata, descriptions of the tensors, their data.
///
/// Format: github.com/ggml-org/ggml, docs/gguf.md. Dimensions are stored fastest first; `TensorInfo.shape`
/// has them turned round, [rows, columns] as everywhere else.
package final class GGUFFile: TensorFile {
  package let file: MappedFile
  package let tensors: [TensorInfo]
  package let metadata: [String: GGUFValue]
  package let version: Int
  private let indexByName: [String: Int]

  package init(path: String) throws(FormatError) {
    file = try MappedFile(path: path)
    var reader = GGUFReader(file)
    let header = try reader.header()
    version = header.version
    metadata = try reader.metadata(count: header.metadataCount)
    let descriptions = try reader.tensors(count: header.tensorCount)
    let table = try Self.table(descriptions, reader, alignment: Self.alignment(metadata, reader))
    tensors = table.tensors
    indexByName = table.indexByName
  }

  package func tensor(named name: String) -> TensorInfo? { indexByName[name].map { tensors[$0] } }

  /// True where the file begins as a GGUF file does.
  package static func isGGUF(path: String) -> Bool {
    guard let file = try? InputFile(path: path) else { return false }
    var magic: UInt32 = 0
    let count = withUnsafeMutableBytes(of: &magic) { (try? file.read(into: $0)) ?? 0 }
    return count == 4 && UInt32(littleEndian: magic) == GGUFReader.magic
  }

  private static func alignment(
    _ metadata: [String: GGUFValue], _ reader: GGUFReader
  ) throws(FormatError) -> Int {
    guard let value = metadata["general.alignment"] else { return 32 }
    guard let alignment = value.int, (1...1 << 20).contains(alignment), alignment.nonzeroBitCount == 1 else {
      throw reader.malformed("'general.alignment' is no power of two")
    }
    return alignment
  }

  private static func table(
    _ descriptions: [GGUFReader.Description], _ reader: GGUFReader, alignment: Int
  ) throws(FormatError) -> TensorTable {
    var table = TensorTable(path: reader.file.path)
    let dataStart = (reader.position + alignment - 1) & ~(alignment - 1)
    let available = reader.file.bytes.count - dataStart
    for found in descriptions {
      let size = found.type.byteCount(elements: try table.elementCount(found.shape, of: found.name))
      let rowIsWhole = (found.shape.last ?? 1).isMultiple(of: found.type.blockElements)
      guard let size, rowIsWhole else {
        throw reader.malformed(
          "the tensor '\(found.name)' of shape \(found.shape) fills no whole \(found.type.rawValue) blocks")
      }
      guard found.offset.isMultiple(of: UInt64(alignment)) else {
        throw reader.malformed("the data of the tensor '\(found.name)' are not aligned to \(alignment) bytes")
      }
      guard available >= size, found.offset <= UInt64(available - size) else {
        throw reader.malformed(
          "the data of the tensor '\(found.name)' lie outside the file; it may be cut short")
      }
      let start = dataStart + Int(found.offset)
      try table.add(
        TensorInfo(name: found.name, type: found.type, shape: found.shape, byteRange: start..<start + size))
    }
    try table.checkOverlaps()
    return table
  }
}

/// A metadata value of a GGUF file.
package enum GGUFValue: Sendable {
  case unsigned(UInt64)
  case signed(Int64)
  case float(Double)
  case bool(Bool)
  case string(ByteString)
  case array(GGUFArray)

  package var int: Int? {
    switch self {
    case .unsigned(let value): Int(exactly: value)
    case .signed(let value): Int(exactly: value)
    default: nil
    }
  }

  /// A float, or an integer as a float.
  package var double: Double? {
    if case .float(let value) = self { value } else { int.map(Double.init) }
  }

  package var bool: Bool? {
    if case .bool(let value) = self { value } else { nil }
  }

  package var byteString: ByteString? {
    if case .string(let value) = self { value } else { nil }
  }

  package var string: String? { byteString?.string }

  package var array: GGUFArray? {
    if case .array(let value) = self { value } else { nil }
  }
}

/// An array in the metadata of a GGUF file. It was checked when the file was opened and stays there: its
/// elements are made when they are asked for.
package struct GGUFArray: Sendable {
  package let count: Int
  let elementType: GGUFReader.ValueType
  let start: Int
  let file: MappedFile

  /// The elements one by one, whatever they are.
  package func visit(_ body: (GGUFValue) -> Void) {
    var reader = GGUFReader(file, at: start)
    for _ in 0..<count {
      guard let value = try? reader.value(of: elementType, depth: 0) else {
        preconditionFailure("an array that was checked before is damaged now: \(file.path)")
      }
      body(value)
    }
  }

  /// The elements, or nil where they are no strings.
  package var strings: [ByteString]? { elements { $0.byteString } }

  /// The elements, or nil where they are no integers.
  package var integers: [Int]? { elements { $0.int } }

  /// The elements, or nil where they are no numbers.
  package var floats: [Float]? { elements { $0.double.map { Float($0) } } }

  private func elements<Element>(_ convert: (GGUFValue) -> Element?) -> [Element]? {
    var result: [Element] = []
    result.reserveCapacity(count)
    visit { value in
      if let element = convert(value) { result.append(element) }
    }
    return result.count == count ? result : nil
  }
}

/// Walks through the bytes of a GGUF file; every length is held against what is left before it is believed.
struct GGUFReader {
  /// "GGUF" as a little-endian integer.
  static let magic: UInt32 = 0x4655_4747
  private static let maximumDepth = 8

  /// The numbers by which the format names the types of metadata values.
  enum ValueType: UInt32 {
    case u8, i8, u16, i16, u32, i32, f32, bool, string, array, u64, i64, f64

    /// The bytes of a value, or for strings and arrays the fewest it can have.
    var minimumBytes: Int {
      switch self {
      case .u8, .i8, .bool: 1
      case .u16, .i16: 2
      case .u32, .i32, .f32: 4
      case .u64, .i64, .f64, .string: 8
      case .array: 12
      }
    }

    var isFixed: Bool { self != .string && self != .array }
  }

  /// A tensor as the file describes it.
  struct Description {
    var name: String
    var type: TensorType
    var shape: [Int]
    var offset: UInt64
  }

  let file: MappedFile
  private(set) var position: Int

  init(_ file: MappedFile, at position: Int = 0) {
    self.file = file
    self.position = position
  }

  func malformed(_ reason: String) -> FormatError {
    .malformed(place: file.path, reason: "no valid GGUF file: \(reason)")
  }

  private var remaining: Int { file.bytes.count - position }

  // MARK: Sections

  mutating func header() throws(FormatError) -> (version: Int, tensorCount: Int, metadataCount: Int) {
    let isMagic = try integer(UInt32.self) == Self.magic
    guard isMagic else { throw malformed("it does not begin with 'GGUF'") }
    let version = try integer(UInt32.self)
    guard version == 2 || version == 3 else {
      let isSwapped = version.byteSwapped == 2 || version.byteSwapped == 3
      throw malformed(
        isSwapped
          ? "it is big-endian, little-endian is supported" : "version \(version); 2 and 3 are supported")
    }
    // A tensor takes at least a name's length, a number of dimensions, a type and an offset.
    let tensorCount = try count(of: "tensors", minimumBytes: 24)
    let metadataCount = try count(of: "metadata entries", minimumBytes: 13)
    return (Int(version), tensorCount, metadataCount)
  }

  mutating func metadata(count: Int) throws(FormatError) -> [String: GGUFValue] {
    var result: [String: GGUFValue] = [:]
    for _ in 0..<count {
      let key = try string().string
      let value = try value(of: try valueType(), depth: 0)
      guard result.updateValue(value, forKey: key) == nil else {
        throw malformed("the metadata entry '\(key)' is there twice")
      }
    }
    return result
  }

  mutating func tensors(count: Int) throws(FormatError) -> [Description] {
    var result: [Description] = []
    for _ in 0..<count {
      let name = try string().string
      let dimensions = try integer(UInt32.self)
      guard dimensions <= 8 else { throw malformed("the tensor '\(name)' has \(dimensions) dimensions") }
      var shape: [Int] = []
      for _ in 0..<dimensions {
        guard let dimension = Int(exactly: try integer(UInt64.self)) else {
          throw malformed("the tensor '\(name)' has an impossible shape")
        }
        shape.insert(dimension, at: 0)
      }
      let type = try tensorType(of: name)
      result.append(Description(name: name, type: type, shape: shape, offset: try integer(UInt64.self)))
    }
    return result
  }

  private mutating func tensorType(of name: String) throws(FormatError) -> TensorType {
    let types: [UInt32: TensorType] = [
      0: .f32, 1: .f16, 2: .q40, 3: .q41, 8: .q80, 30: .bf16, 28: .f64,
      24: .i8, 25: .i16, 26: .i32, 27: .i64,
    ]
    let number = try integer(UInt32.self)
    guard let type = types[number] else {
      throw malformed(
        """
        the tensor '\(name)' has type number \(number), which is not supported \
        (F32, F16, BF16, Q8_0, Q4_0 and Q4_1 are)
        """)
    }
    return type
  }

  // MARK: Values

  mutating func value(of type: ValueType, depth: Int) throws(FormatError) -> GGUFValue {
    switch type {
    case .u8: .unsigned(UInt64(try integer(UInt8.self)))
    case .i8: .signed(Int64(try integer(Int8.self)))
    case .u16: .unsigned(UInt64(try integer(UInt16.self)))
    case .i16: .signed(Int64(try integer(Int16.self)))
    case .u32: .unsigned(UInt64(try integer(UInt32.self)))
    case .i32: .signed(Int64(try integer(Int32.self)))
    case .u64: .unsigned(try integer(UInt64.self))
    case .i64: .signed(try integer(Int64.self))
    case .f32: .float(Double(Float(bitPattern: try integer(UInt32.self))))
    case .f64: .float(Double(bitPattern: try integer(UInt64.self)))
    case .bool: .bool(try integer(UInt8.self) != 0)
    case .string: .string(try string())
    case .array: .array(try array(depth: depth + 1))
    }
  }

  /// Steps over an array, checking its lengths.
  private mutating func array(depth: Int) throws(FormatError) -> GGUFArray {
    guard depth <= Self.maximumDepth else { throw malformed("its arrays are nested too deep") }
    let type = try valueType()
    let count = try self.count(of: "array elements", minimumBytes: type.minimumBytes)
    let array = GGUFArray(count: count, elementType: type, start: position, file: file)
    if type.isFixed {
      position += count * type.minimumBytes
      return array
    }
    for _ in 0..<count {
      if type == .string {
        let length = try self.count(of: "bytes in a string", minimumBytes: 1)
        position += length
      } else {
        _ = try self.array(depth: depth + 1)
      }
    }
    return array
  }

  private mutating func valueType() throws(FormatError) -> ValueType {
    let number = try integer(UInt32.self)
    guard let type = ValueType(rawValue: number) else {
      throw malformed("there is a metadata value of the unknown type \(number)")
    }
    return type
  }

  private mutating func string() throws(FormatError) -> ByteString {
    let count = try self.count(of: "bytes in a string", minimumBytes: 1)
    defer { position += count }
    return ByteString(Array(file.bytes[position..<position + count]))
  }

  /// Reads a count of things of at least `minimumBytes` each; throws where the file has no room for them.
  private mutating func count(of things: String, minimumBytes: Int) throws(FormatError) -> Int {
    let count = try integer(UInt64.self)
    guard count <= UInt64(remaining / minimumBytes) else {
      throw malformed("\(count) \(things) are announced, more than the file can hold; it may be cut short")
    }
    return Int(count)
  }

  private mutating func integer<Number: FixedWidthInteger>(
    _ type: Number.Type
  ) throws(FormatError) -> Number {
    let size = MemoryLayout<Number>.size
    guard remaining >= size else { throw malformed("it ends too early; it may be cut short") }
    defer { position += size }
    return Number(littleEndian: file.bytes.loadUnaligned(fromByteOffset: position, as: Number.self))
  }
}
