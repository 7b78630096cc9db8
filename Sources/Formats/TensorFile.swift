/// How the numbers of a tensor are stored.
package enum TensorType: String, Sendable, CaseIterable {
  case f64 = "F64"
  case f32 = "F32"
  case f16 = "F16"
  case bf16 = "BF16"
  case i64 = "I64"
  case i32 = "I32"
  case i16 = "I16"
  case i8 = "I8"
  case u64 = "U64"
  case u32 = "U32"
  case u16 = "U16"
  case u8 = "U8"
  case bool = "BOOL"
  /// Blocks of 32: an f16 scale d and 32 signed bytes q; x = d q.
  case q80 = "Q8_0"
  /// Blocks of 32: an f16 scale d and 32 nibbles q; x = d (q - 8).
  case q40 = "Q4_0"
  /// Blocks of 32: an f16 scale d, an f16 minimum m and 32 nibbles q; x = d q + m.
  case q41 = "Q4_1"

  /// How many numbers are stored together.
  package var blockElements: Int {
    switch self {
    case .q80, .q40, .q41: 32
    default: 1
    }
  }

  /// The bytes of one block.
  package var blockBytes: Int {
    switch self {
    case .f64, .i64, .u64: 8
    case .f32, .i32, .u32: 4
    case .f16, .bf16, .i16, .u16: 2
    case .i8, .u8, .bool: 1
    case .q80: 34
    case .q40: 18
    case .q41: 20
    }
  }

  /// The bytes of `elements` numbers, or nil where they fill no whole blocks or overflow.
  package func byteCount(elements: Int) -> Int? {
    guard elements >= 0, elements.isMultiple(of: blockElements) else { return nil }
    let (bytes, overflow) = (elements / blockElements).multipliedReportingOverflow(by: blockBytes)
    return overflow ? nil : bytes
  }
}

/// What a file says of one tensor, after it was checked.
package struct TensorInfo: Sendable, Equatable {
  package var name: String
  package var type: TensorType
  /// Row-major, the last dimension varies fastest: [rows, columns] for a matrix.
  package var shape: [Int]
  /// Where the tensor lies in the file.
  package var byteRange: Range<Int>

  /// The product of the shape.
  package var elementCount: Int { shape.reduce(1, *) }
}

/// An opened file of named tensors, memory-mapped and checked as a whole.
///
/// The bytes of the tensors stay valid while the object lives, and must not change on disk as long.
package protocol TensorFile: AnyObject, Sendable {
  /// The mapped file.
  var file: MappedFile { get }
  /// The tensors in the order of the file.
  var tensors: [TensorInfo] { get }
  /// The tensor of that name, or nil.
  func tensor(named name: String) -> TensorInfo?
}

extension TensorFile {
  package var path: String { file.path }

  /// The stored bytes of a tensor of this file; valid while the file object lives.
  package func bytes(of tensor: TensorInfo) -> UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(rebasing: file.bytes[tensor.byteRange])
  }

  /// The numbers themselves where they are F32 and lie aligned, so that they need no copy; else nil. Valid
  /// while the file object lives.
  package func mappedFloats(of tensor: TensorInfo) -> UnsafeBufferPointer<Float>? {
    let raw = bytes(of: tensor)
    guard tensor.type == .f32, Int(bitPattern: raw.baseAddress) & 3 == 0 else { return nil }
    return raw.assumingMemoryBound(to: Float.self)
  }

  /// The numbers themselves where they are BF16 and lie aligned; else nil. Valid while the file object lives.
  package func mappedBFloat16(of tensor: TensorInfo) -> UnsafeBufferPointer<UInt16>? {
    let raw = bytes(of: tensor)
    guard tensor.type == .bf16, Int(bitPattern: raw.baseAddress) & 1 == 0 else { return nil }
    return raw.assumingMemoryBound(to: UInt16.self)
  }

  /// The tensor of that name and shape; throws where there is none or its shape is another.
  package func tensor(named name: String, shape: [Int]) throws(FormatError) -> TensorInfo {
    guard let tensor = tensor(named: name) else {
      throw .malformed(place: path, reason: "the tensor '\(name)' is missing")
    }
    guard tensor.shape == shape else {
      throw .malformed(
        place: path, reason: "the tensor '\(name)' has shape \(tensor.shape), \(shape) is expected")
    }
    return tensor
  }

  /// The numbers of the tensor of that name and shape as floats; throws too where one is NaN or infinite.
  package func floats(named name: String, shape: [Int]) throws(FormatError) -> [Float] {
    let tensor = try tensor(named: name, shape: shape)
    let outcome = Result { () throws(FormatError) in try supported(tensor) }
    try outcome.get()
    let values = [Float](unsafeUninitializedCapacity: tensor.elementCount) { buffer, count in
      decode(tensor, into: UnsafeMutableBufferPointer(rebasing: buffer[..<tensor.elementCount]))
      count = tensor.elementCount
    }
    guard values.allSatisfy(\.isFinite) else {
      throw .malformed(place: path, reason: "the tensor '\(name)' holds NaN or infinity")
    }
    return values
  }
}

/// The checks that both kinds of file share: sizes, ranges, overlaps.
struct TensorTable {
  let path: String
  private(set) var tensors: [TensorInfo] = []
  private(set) var indexByName: [String: Int] = [:]

  init(path: String) { self.path = path }

  func malformed(_ reason: String) -> FormatError { .malformed(place: path, reason: reason) }

  /// The product of the dimensions; throws where it overflows.
  func elementCount(_ shape: [Int], of name: String) throws(FormatError) -> Int {
    var product = 1
    for dimension in shape {
      let (next, overflow) = product.multipliedReportingOverflow(by: dimension)
      if overflow || dimension < 0 {
        throw malformed("the tensor '\(name)' has an impossible shape \(shape)")
      }
      product = next
    }
    return product
  }

  /// Adds a tensor whose range lies inside the file; throws where its name is taken or its size and shape
  /// disagree.
  mutating func add(_ tensor: TensorInfo) throws(FormatError) {
    let elements = try elementCount(tensor.shape, of: tensor.name)
    guard let size = tensor.type.byteCount(elements: elements) else {
      throw malformed(
        "the tensor '\(tensor.name)' of shape \(tensor.shape) fills no whole \(tensor.type.rawValue) blocks")
    }
    guard size == tensor.byteRange.count else {
      throw malformed(
        """
        the tensor '\(tensor.name)' has \(tensor.byteRange.count) bytes, but \(tensor.type.rawValue) of shape \
        \(tensor.shape) needs \(size)
        """)
    }
    guard indexByName.updateValue(tensors.count, forKey: tensor.name) == nil else {
      throw malformed("the tensor '\(tensor.name)' is there twice")
    }
    tensors.append(tensor)
  }

  /// Throws where two tensors share bytes. Gives the tensors by place.
  @discardableResult
  func checkOverlaps() throws(FormatError) -> [TensorInfo] {
    let sorted = tensors.sorted {
      ($0.byteRange.lowerBound, $0.byteRange.upperBound) < ($1.byteRange.lowerBound, $1.byteRange.upperBound)
    }
    for (before, after) in zip(sorted, sorted.dropFirst())
    where after.byteRange.lowerBound < before.byteRange.upperBound {
      throw malformed("the tensors '\(before.name)' and '\(after.name)' overlap")
    }
    return sorted
  }
}
