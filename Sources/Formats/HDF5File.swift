@preconcurrency import CHDF5
import Foundation

/// What every use of the HDF5 C library here shares: one lock, quiet errors, identifiers that are closed.
package enum HDF5 {
  private static let lock = NSLock()

  /// Runs `body` while no other thread is in the library, which is not thread-safe.
  package static func locked<Value>(_ body: () throws(FormatError) -> Value) throws(FormatError) -> Value {
    lock.lock()
    defer { lock.unlock() }
    // At the end of the process the library would try to flush files again that could not be closed, for ever.
    H5dont_atexit()
    H5open()
    H5Eset_auto2(0, nil, nil)
    return try body()
  }

  /// The library's innermost message about the call that has just failed.
  static func message() -> String {
    var text = "no reason given"
    withUnsafeMutablePointer(to: &text) { pointer in
      _ = H5Ewalk2(
        0, H5E_WALK_UPWARD,
        { depth, entry, context in
          guard depth == 0, let entry, let description = entry.pointee.desc else { return 0 }
          context?.assumingMemoryBound(to: String.self).pointee = String(cString: description)
          return 0
        }, pointer)
    }
    H5Eclear2(0)
    return text
  }
}

/// An HDF5 identifier that is closed when it goes. Live only inside `HDF5.locked`.
struct HDF5Handle: ~Copyable {
  let id: hid_t
  private let close: (hid_t) -> herr_t

  init(_ id: hid_t, _ close: @escaping (hid_t) -> herr_t) {
    self.id = id
    self.close = close
  }

  deinit { if id >= 0 { _ = close(id) } }
}

/// The number types of a label file, as they are stored: little-endian.
enum HDF5Element {
  case f32, f16, i32, i8, u8

  var size: Int {
    switch self {
    case .f32, .i32: 4
    case .f16: 2
    case .i8, .u8: 1
    }
  }

  func makeType() -> HDF5Handle {
    switch self {
    case .f32: return HDF5Handle(H5Tcopy(H5T_IEEE_F32LE_g), H5Tclose)
    case .i32: return HDF5Handle(H5Tcopy(H5T_STD_I32LE_g), H5Tclose)
    case .i8: return HDF5Handle(H5Tcopy(H5T_STD_I8LE_g), H5Tclose)
    case .u8: return HDF5Handle(H5Tcopy(H5T_STD_U8LE_g), H5Tclose)
    case .f16:
      // The library of today has no name for it; so it is described: sign at bit 15, exponent of 5 bits from bit 10
      // with bias 15, mantissa of 10 bits.
      let type = HDF5Handle(H5Tcopy(H5T_IEEE_F32LE_g), H5Tclose)
      H5Tset_fields(type.id, 15, 10, 5, 0, 10)
      H5Tset_size(type.id, 2)
      H5Tset_ebias(type.id, 15)
      return type
    }
  }
}

/// An open HDF5 file. Make and use it only inside `HDF5.locked`; errors carry the library's own message.
final class HDF5File {
  let path: String
  private let isWriting: Bool
  private var id: hid_t
  /// Chunks are about this large, so that one fits the library's cache.
  private static let chunkBytes = 1 << 19
  private static let stringBlock = 4096

  /// Creates a file, over one that is there.
  init(creating path: String) throws(FormatError) {
    self.path = path
    isWriting = true
    let truncate: UInt32 = 2
    id = H5Fcreate(path, truncate, 0, 0)
    if id < 0 { throw .inputOutput(path: path, reason: "cannot create it: \(HDF5.message())") }
  }

  /// Opens a file for reading.
  init(opening path: String) throws(FormatError) {
    self.path = path
    isWriting = false
    _ = try InputFile(path: path)
    guard H5Fis_hdf5(path) > 0 else { throw .malformed(place: path, reason: "it is no HDF5 file") }
    let readOnly: UInt32 = 0
    id = H5Fopen(path, readOnly, 0)
    if id < 0 { throw failure("open it") }
  }

  deinit { if id >= 0 { H5Fclose(id) } }

  /// Closes the file; after writing, this is where a full disk may show.
  func close() throws(FormatError) {
    let closing = id
    id = -1
    if H5Fclose(closing) < 0 { throw failure("close it") }
  }

  /// The error for a call that has just failed.
  func failure(_ doing: String) -> FormatError {
    let reason = "cannot \(doing): \(HDF5.message())"
    return isWriting ? .inputOutput(path: path, reason: reason) : .malformed(place: path, reason: reason)
  }

  func malformed(_ reason: String) -> FormatError { .malformed(place: path, reason: reason) }

  private func check(_ code: herr_t, _ doing: @autoclosure () -> String) throws(FormatError) {
    if code < 0 { throw failure(doing()) }
  }

  // MARK: Attributes

  /// A type for strings of any length, in UTF-8 unless said otherwise.
  private func stringType(_ set: H5T_cset_t = H5T_CSET_UTF8) -> HDF5Handle {
    let type = HDF5Handle(H5Tcopy(H5T_C_S1_g), H5Tclose)
    H5Tset_size(type.id, -1)  // H5T_VARIABLE: the largest size_t
    H5Tset_cset(type.id, set)
    return type
  }

  private func writeAttribute(
    _ name: String, _ type: borrowing HDF5Handle, _ value: UnsafeRawPointer
  ) throws(FormatError) {
    let space = HDF5Handle(H5Screate(H5S_SCALAR), H5Sclose)
    let attribute = HDF5Handle(H5Acreate2(id, name, type.id, space.id, 0, 0), H5Aclose)
    guard attribute.id >= 0 else { throw failure("create the attribute '\(name)'") }
    try check(H5Awrite(attribute.id, type.id, value), "write the attribute '\(name)'")
  }

  func writeAttribute(_ name: String, _ text: String) throws(FormatError) {
    guard !text.utf8.contains(0) else { throw malformed("the attribute '\(name)' holds a NUL character") }
    let copy = strdup(text)
    defer { free(copy) }
    var pointer = UnsafePointer(copy)
    try writeAttribute(name, stringType(), &pointer)
  }

  func writeAttribute(_ name: String, _ value: Int64) throws(FormatError) {
    var value = value
    try writeAttribute(name, HDF5Handle(H5Tcopy(H5T_STD_I64LE_g), H5Tclose), &value)
  }

  func writeAttribute(_ name: String, _ value: UInt64) throws(FormatError) {
    var value = value
    try writeAttribute(name, HDF5Handle(H5Tcopy(H5T_STD_U64LE_g), H5Tclose), &value)
  }

  func writeAttribute(_ name: String, _ value: Double) throws(FormatError) {
    var value = value
    try writeAttribute(name, HDF5Handle(H5Tcopy(H5T_IEEE_F64LE_g), H5Tclose), &value)
  }

  /// Opens an attribute that must be one value of a class.
  private func attribute(_ name: String, _ classes: [H5T_class_t]) throws(FormatError) -> HDF5Handle {
    guard H5Aexists(id, name) > 0 else { throw malformed("the attribute '\(name)' is missing") }
    let attribute = HDF5Handle(H5Aopen(id, name, 0), H5Aclose)
    guard attribute.id >= 0 else { throw failure("open the attribute '\(name)'") }
    let type = HDF5Handle(H5Aget_type(attribute.id), H5Tclose)
    let space = HDF5Handle(H5Aget_space(attribute.id), H5Sclose)
    guard classes.contains(H5Tget_class(type.id)), H5Sget_simple_extent_npoints(space.id) == 1 else {
      throw malformed("the attribute '\(name)' is of the wrong type")
    }
    return attribute
  }

  func stringAttribute(_ name: String) throws(FormatError) -> String {
    let attribute = try attribute(name, [H5T_STRING])
    let type = HDF5Handle(H5Aget_type(attribute.id), H5Tclose)
    if H5Tis_variable_str(type.id) > 0 {
      var pointer: UnsafeMutablePointer<CChar>?
      let memory = stringType(H5Tget_cset(type.id))
      try check(H5Aread(attribute.id, memory.id, &pointer), "read the attribute '\(name)'")
      defer { H5free_memory(pointer) }
      return pointer.map { String(cString: $0) } ?? ""
    }
    let size = H5Tget_size(type.id)
    guard size <= 1 << 16 else { throw malformed("the attribute '\(name)' is too long") }
    var bytes = [UInt8](repeating: 0, count: size)
    try check(H5Aread(attribute.id, type.id, &bytes), "read the attribute '\(name)'")
    return String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
  }

  func integerAttribute(_ name: String) throws(FormatError) -> Int64 {
    var value: Int64 = 0
    let attribute = try attribute(name, [H5T_INTEGER])
    try check(H5Aread(attribute.id, H5T_NATIVE_INT64_g, &value), "read the attribute '\(name)'")
    return value
  }

  func unsignedAttribute(_ name: String) throws(FormatError) -> UInt64 {
    var value: UInt64 = 0
    let attribute = try attribute(name, [H5T_INTEGER])
    try check(H5Aread(attribute.id, H5T_NATIVE_UINT64_g, &value), "read the attribute '\(name)'")
    return value
  }

  func doubleAttribute(_ name: String) throws(FormatError) -> Double {
    var value = 0.0
    let attribute = try attribute(name, [H5T_FLOAT, H5T_INTEGER])
    try check(H5Aread(attribute.id, H5T_NATIVE_DOUBLE_g, &value), "read the attribute '\(name)'")
    return value
  }

  /// The names of the attributes that are strings.
  func stringAttributeNames() throws(FormatError) -> [String] {
    var all: [String] = []
    let code = withUnsafeMutablePointer(to: &all) { pointer in
      H5Aiterate2(
        id, H5_INDEX_NAME, H5_ITER_INC, nil,
        { _, name, _, context in
          let names = context?.assumingMemoryBound(to: [String].self)
          if let name { names?.pointee.append(String(cString: name)) }
          return 0
        }, pointer)
    }
    try check(code, "list the attributes")
    var names: [String] = []
    for name in all {
      let attribute = HDF5Handle(H5Aopen(id, name, 0), H5Aclose)
      guard attribute.id >= 0 else { throw failure("open the attribute '\(name)'") }
      let type = HDF5Handle(H5Aget_type(attribute.id), H5Tclose)
      if H5Tget_class(type.id) == H5T_STRING { names.append(name) }
    }
    return names
  }

  // MARK: Datasets

  func hasDataset(_ name: String) -> Bool { H5Lexists(id, name, 0) > 0 }

  /// Opens a dataset that must have this many dimensions; gives their sizes.
  private func dataset(
    _ name: String, rank: Int, _ expected: H5T_class_t
  ) throws(FormatError) -> (id: hid_t, shape: [Int]) {
    guard hasDataset(name) else { throw malformed("the dataset /\(name) is missing") }
    let dataset = H5Dopen2(id, name, 0)
    guard dataset >= 0 else { throw failure("open the dataset /\(name)") }
    let type = HDF5Handle(H5Dget_type(dataset), H5Tclose)
    let space = HDF5Handle(H5Dget_space(dataset), H5Sclose)
    var sizes = [hsize_t](repeating: 0, count: 32)
    guard H5Tget_class(type.id) == expected, H5Sget_simple_extent_ndims(space.id) == rank,
      H5Sget_simple_extent_dims(space.id, &sizes, nil) == rank
    else {
      H5Dclose(dataset)
      throw malformed("the dataset /\(name) has the wrong type or number of dimensions")
    }
    return (dataset, sizes.prefix(rank).map { Int(clamping: $0) })
  }

  /// The shape of a dataset; throws where its numbers could not come out of a file of this size.
  func shape(_ name: String, rank: Int, isString: Bool = false, isInteger: Bool = false)
    throws(FormatError) -> [Int]
  {
    let expected = isString ? H5T_STRING : isInteger ? H5T_INTEGER : H5T_FLOAT
    let (opened, shape) = try dataset(name, rank: rank, expected)
    let dataset = HDF5Handle(opened, H5Dclose)
    // Gzip packs at most 1032 to 1; what is announced beyond that would only take memory.
    let limit = Int(clamping: H5Dget_storage_size(dataset.id)).multipliedReportingOverflow(by: 1100)
    var product = 1
    for size in shape {
      let (next, overflow) = product.multipliedReportingOverflow(by: size)
      product = overflow ? Int.max : next
    }
    guard limit.overflow || product <= limit.partialValue else {
      throw malformed("the dataset /\(name) announces more rows than it can hold")
    }
    return shape
  }

  /// Creates a dataset of numbers, chunked, with shuffle and gzip; gives the rows of a chunk.
  func createNumbers(_ name: String, shape: [Int], _ element: HDF5Element) throws(FormatError) -> Int {
    let columns = shape.dropFirst().reduce(1, *)
    let chunkRows = max(1, min(shape[0], Self.chunkBytes / max(1, columns * element.size)))
    let chunk = [chunkRows] + shape.dropFirst().map { max(1, min($0, Self.chunkBytes / element.size)) }
    let properties = HDF5Handle(H5Pcreate(H5P_CLS_DATASET_CREATE_ID_g), H5Pclose)
    H5Pset_obj_track_times(properties.id, false)
    try check(H5Pset_chunk(properties.id, Int32(chunk.count), chunk.map { hsize_t($0) }), "set chunks")
    try check(H5Pset_shuffle(properties.id), "use the shuffle filter")
    try check(H5Pset_deflate(properties.id, 1), "use the gzip filter")
    try create(name, shape, element.makeType(), properties)
    return chunkRows
  }

  private func create(
    _ name: String, _ shape: [Int], _ type: borrowing HDF5Handle, _ properties: borrowing HDF5Handle
  ) throws(FormatError) {
    let space = HDF5Handle(H5Screate_simple(Int32(shape.count), shape.map { hsize_t($0) }, nil), H5Sclose)
    let dataset = HDF5Handle(H5Dcreate2(id, name, type.id, space.id, 0, properties.id, 0), H5Dclose)
    guard dataset.id >= 0 else { throw failure("create the dataset /\(name)") }
  }

  /// Reads or writes rows of a dataset: opens it, selects them, hands over to `body` and checks what it gives.
  private func transfer(
    _ name: String, rows: Range<Int>, _ doing: String,
    _ body: (_ dataset: hid_t, _ memorySpace: hid_t, _ fileSpace: hid_t) -> herr_t
  ) throws(FormatError) {
    let dataset = HDF5Handle(H5Dopen2(id, name, 0), H5Dclose)
    guard dataset.id >= 0 else { throw failure("open the dataset /\(name)") }
    let fileSpace = HDF5Handle(H5Dget_space(dataset.id), H5Sclose)
    let rank = Int(H5Sget_simple_extent_ndims(fileSpace.id))
    var count = [hsize_t](repeating: 0, count: max(rank, 1))
    H5Sget_simple_extent_dims(fileSpace.id, &count, nil)
    var start = [hsize_t](repeating: 0, count: count.count)
    start[0] = hsize_t(rows.lowerBound)
    count[0] = hsize_t(rows.count)
    try check(
      H5Sselect_hyperslab(fileSpace.id, H5S_SELECT_SET, start, nil, count, nil), "select rows of /\(name)")
    let memorySpace = HDF5Handle(H5Screate_simple(Int32(rank), count, nil), H5Sclose)
    try check(body(dataset.id, memorySpace.id, fileSpace.id), "\(doing) the dataset /\(name)")
  }

  /// Writes some rows of a dataset of numbers.
  func writeNumbers<Number: BitwiseCopyable>(
    _ name: String, rows: Range<Int>, _ values: [Number], _ element: HDF5Element
  ) throws(FormatError) {
    precondition(MemoryLayout<Number>.size == element.size, "numbers of /\(name)")
    let type = element.makeType()
    try transfer(name, rows: rows, "write") { dataset, memory, file in
      H5Dwrite(dataset, type.id, memory, file, 0, values)
    }
  }

  /// Creates and writes a dataset with a number a row.
  func writeVector<Number: BitwiseCopyable>(
    _ name: String, _ values: [Number], _ element: HDF5Element
  ) throws(FormatError) {
    _ = try createNumbers(name, shape: [values.count], element)
    try writeNumbers(name, rows: 0..<values.count, values, element)
  }

  /// Reads some rows of a dataset of numbers whose rows have `columns` of them.
  func readNumbers<Number: BitwiseCopyable & ExpressibleByIntegerLiteral>(
    _ name: String, rows: Range<Int>, columns: Int = 1, _ element: HDF5Element
  ) throws(FormatError) -> [Number] {
    precondition(MemoryLayout<Number>.size == element.size, "numbers of /\(name)")
    let type = element.makeType()
    var values = [Number](repeating: 0, count: rows.count * columns)
    if values.isEmpty { return values }
    try transfer(name, rows: rows, "read") { dataset, memory, file in
      H5Dread(dataset, type.id, memory, file, 0, &values)
    }
    return values
  }

  /// Creates and writes a dataset with a string a row, in UTF-8.
  func writeStrings(_ name: String, _ values: [ByteString]) throws(FormatError) {
    let properties = HDF5Handle(H5Pcreate(H5P_CLS_DATASET_CREATE_ID_g), H5Pclose)
    H5Pset_obj_track_times(properties.id, false)
    let type = stringType()
    try create(name, [values.count], type, properties)
    for start in stride(from: 0, to: values.count, by: Self.stringBlock) {
      let rows = start..<min(start + Self.stringBlock, values.count)
      let pointers = values[rows].map { Self.cString($0) }
      defer { for pointer in pointers { free(pointer) } }
      try transfer(name, rows: rows, "write") { dataset, memory, file in
        H5Dwrite(dataset, type.id, memory, file, 0, pointers)
      }
    }
  }

  /// A copy that ends in NUL; to be freed.
  private static func cString(_ text: ByteString) -> UnsafeMutableRawPointer {
    let copy = UnsafeMutableRawBufferPointer(start: malloc(text.count + 1), count: text.count + 1)
    copy.copyBytes(from: text.bytes)
    copy[text.count] = 0
    return copy.baseAddress!
  }

  /// Reads a dataset with a string of any length a row; throws where one is no UTF-8.
  func readStrings(_ name: String, count: Int) throws(FormatError) -> [ByteString] {
    let (opened, _) = try dataset(name, rank: 1, H5T_STRING)
    let dataset = HDF5Handle(opened, H5Dclose)
    let stored = HDF5Handle(H5Dget_type(dataset.id), H5Tclose)
    guard H5Tis_variable_str(stored.id) > 0 else {
      throw malformed("the dataset /\(name) has strings of one length; variable-length strings are expected")
    }
    let type = stringType(H5Tget_cset(stored.id))
    var result: [ByteString] = []
    result.reserveCapacity(count)
    for start in stride(from: 0, to: count, by: Self.stringBlock) {
      let rows = start..<min(start + Self.stringBlock, count)
      var pointers = [UnsafeMutablePointer<CChar>?](repeating: nil, count: rows.count)
      try transfer(name, rows: rows, "read") { dataset, memory, file in
        H5Dread(dataset, type.id, memory, file, 0, &pointers)
      }
      defer { for pointer in pointers { H5free_memory(pointer) } }
      for pointer in pointers {
        let bytes = UnsafeRawBufferPointer(start: pointer, count: pointer.map { strlen($0) } ?? 0)
        let text = ByteString(Array(bytes))
        guard text.isValidUTF8 else { throw malformed("row \(result.count) of /\(name) is no UTF-8") }
        result.append(text)
      }
    }
    return result
  }
}
