/// A safetensors file: eight bytes with the length of a JSON header, the header, the tensors without a gap.
///
/// Format: github.com/huggingface/safetensors. What its reference reader refuses is refused here: ranges
/// outside the file, overlaps, gaps, bytes that belong to no tensor, sizes that disagree with type and shape.
package final class SafetensorsFile: TensorFile {
  package let file: MappedFile
  package let tensors: [TensorInfo]
  /// The strings under `__metadata__`.
  package let metadata: [String: String]
  private let indexByName: [String: Int]

  /// The reference reader takes no longer header either.
  private static let maximumHeaderBytes = 100_000_000

  package init(path: String) throws(FormatError) {
    file = try MappedFile(path: path)
    let header = try Self.header(of: file)
    var table = TensorTable(path: path)
    var metadata: [String: String] = [:]
    let dataStart = 8 + header.length
    for (key, value) in header.members {
      if key == "__metadata__" {
        metadata = try Self.metadata(value, table)
      } else {
        try table.add(try Self.tensor(key, value, dataStart, file.bytes.count, table))
      }
    }
    try Self.checkGaps(table, from: dataStart, to: file.bytes.count)
    tensors = table.tensors
    indexByName = table.indexByName
    self.metadata = metadata
  }

  package func tensor(named name: String) -> TensorInfo? { indexByName[name].map { tensors[$0] } }

  private static func header(
    of file: MappedFile
  ) throws(FormatError) -> (length: Int, members: [(key: ByteString, value: JSONValue)]) {
    func malformed(_ reason: String) -> FormatError {
      .malformed(place: file.path, reason: "no valid safetensors file: \(reason)")
    }
    guard file.bytes.count >= 8 else { throw malformed("it has only \(file.bytes.count) bytes") }
    let length = UInt64(littleEndian: file.bytes.loadUnaligned(as: UInt64.self))
    guard length <= UInt64(min(file.bytes.count - 8, maximumHeaderBytes)) else {
      throw malformed("the header is said to have \(length) bytes, the file has \(file.bytes.count)")
    }
    let text = UnsafeRawBufferPointer(rebasing: file.bytes[8..<8 + Int(length)])
    let value: JSONValue
    do { value = try JSONValue.parse(text.assumingMemoryBound(to: UInt8.self)) } catch {
      throw malformed("its header is \(error)")
    }
    guard let members = value.members else { throw malformed("its header is no JSON object") }
    return (Int(length), members)
  }

  private static func metadata(
    _ value: JSONValue, _ table: TensorTable
  ) throws(FormatError) -> [String: String] {
    var result: [String: String] = [:]
    guard let members = value.members else { throw table.malformed("'__metadata__' is no object") }
    for (key, value) in members {
      guard let text = value.string else { throw table.malformed("'__metadata__' holds more than strings") }
      result[key.string] = text
    }
    return result
  }

  private static func tensor(
    _ key: ByteString, _ value: JSONValue, _ dataStart: Int, _ fileSize: Int, _ table: TensorTable
  ) throws(FormatError) -> TensorInfo {
    let name = key.string
    guard let typeName = value["dtype"]?.string, let shapeValues = value["shape"]?.array,
      let offsets = value["data_offsets"]?.array, offsets.count == 2
    else { throw table.malformed("the tensor '\(name)' has no dtype, shape or data_offsets") }
    guard let type = TensorType(rawValue: typeName), type.blockElements == 1 else {
      throw table.malformed("the tensor '\(name)' has the unknown type '\(typeName)'")
    }
    let shape = shapeValues.compactMap(\.int)
    guard shape.count == shapeValues.count, shape.allSatisfy({ $0 >= 0 }) else {
      throw table.malformed("the tensor '\(name)' has an impossible shape")
    }
    guard let begin = offsets[0].int, let end = offsets[1].int, begin >= 0, begin <= end,
      end <= fileSize - dataStart
    else {
      throw table.malformed("the data of the tensor '\(name)' lie outside the file; it may be cut short")
    }
    return TensorInfo(name: name, type: type, shape: shape, byteRange: dataStart + begin..<dataStart + end)
  }

  private static func checkGaps(_ table: TensorTable, from start: Int, to end: Int) throws(FormatError) {
    var position = start
    for tensor in try table.checkOverlaps() {
      if tensor.byteRange.lowerBound != position {
        throw table.malformed("there is a gap before the tensor '\(tensor.name)'")
      }
      position = tensor.byteRange.upperBound
    }
    if position != end {
      throw table.malformed("\(end - position) bytes at the end belong to no tensor")
    }
  }
}

/// A tensor that is computed when its turn to be written comes, so that never more than one is there twice.
package struct LazyTensor {
  package enum Values {
    case f32(() -> [Float])
    case f64(() -> [Double])
  }

  let name: String
  let shape: [Int]
  let values: Values

  package init(name: String, shape: [Int], values: Values) {
    self.name = name
    self.shape = shape
    self.values = values
  }

  var type: TensorType {
    switch values {
    case .f32: .f32
    case .f64: .f64
    }
  }
}

/// Writes F32, BF16 or F64 tensors as a safetensors file.
package enum SafetensorsWriter {
  /// Writes tensors one after the other beside `path` and renames. The same input gives the same bytes.
  package static func write(
    to path: String, tensors: [LazyTensor], metadata: [(key: String, value: String)], force: Bool = false
  ) throws(FormatError) {
    let file = try OutputFile(path: path, force: force)
    try file.write(header(tensors.map { ($0.name, $0.shape, $0.type) }, metadata))
    for tensor in tensors {
      switch tensor.values {
      case .f32(let values): try write(values(), tensor, to: file)
      case .f64(let values): try write(values(), tensor, to: file)
      }
    }
    try file.commit()
  }

  private static func write<Number: BitwiseCopyable>(
    _ values: [Number], _ tensor: LazyTensor, to file: OutputFile
  ) throws(FormatError) {
    precondition(
      tensor.shape.reduce(1, *) == values.count,
      "tensor '\(tensor.name)': shape \(tensor.shape), \(values.count) values")
    let outcome = values.withUnsafeBytes { raw in
      Result { () throws(FormatError) in try file.write(raw) }
    }
    try outcome.get()
  }

  /// Writes the tensors in the given order beside `path` and renames. The same input gives the same bytes.
  package static func write(
    to path: String, tensors: [(name: String, shape: [Int], values: [Float])],
    metadata: [(key: String, value: String)] = [], asBF16: Bool = false, force: Bool = false
  ) throws(FormatError) {
    let file = try OutputFile(path: path, force: force)
    for tensor in tensors {
      precondition(
        tensor.shape.reduce(1, *) == tensor.values.count,
        "tensor '\(tensor.name)': shape \(tensor.shape), \(tensor.values.count) values")
    }
    try file.write(header(tensors.map { ($0.name, $0.shape, asBF16 ? .bf16 : .f32) }, metadata))
    for tensor in tensors {
      try write(tensor.values, asBF16: asBF16, to: file)
    }
    try file.commit()
  }

  private static func write(_ values: [Float], asBF16: Bool, to file: OutputFile) throws(FormatError) {
    func write(_ raw: UnsafeRawBufferPointer) -> Result<Void, FormatError> {
      Result { () throws(FormatError) in try file.write(raw) }
    }
    let outcome =
      asBF16
      ? values.map(HalfPrecision.bf16).withUnsafeBytes { write($0) } : values.withUnsafeBytes { write($0) }
    try outcome.get()
  }

  /// The length and the JSON header, padded with spaces so that the data begin at a multiple of eight bytes.
  private static func header(
    _ tensors: [(name: String, shape: [Int], type: TensorType)], _ metadata: [(key: String, value: String)]
  ) -> [UInt8] {
    var members: [(key: ByteString, value: JSONValue)] = []
    if !metadata.isEmpty {
      let strings = metadata.map { (key: ByteString($0.key), value: JSONValue($0.value)) }
      members.append((key: "__metadata__", value: .object(strings)))
    }
    var offset = 0
    for (name, shape, type) in tensors {
      let end = offset + type.blockBytes * shape.reduce(1, *)
      let entry: JSONValue = [
        "dtype": JSONValue(type.rawValue), "shape": .array(shape.map { JSONValue($0) }),
        "data_offsets": [JSONValue(offset), JSONValue(end)],
      ]
      members.append((key: ByteString(name), value: entry))
      offset = end
    }
    var text = JSONValue.object(members).serialized()
    text += repeatElement(0x20, count: (8 - text.count % 8) % 8)
    return withUnsafeBytes(of: UInt64(text.count).littleEndian) { Array($0) } + text
  }
}
