/// How projected gradients are kept in a label file.
package enum GradientStorage: String, Sendable, CaseIterable {
  /// Two bytes a number.
  case f16
  /// One byte a number, and an f32 scale for each block of 64: `x = scale q`, scale the block's largest number / 127.
  case int8

  /// Numbers that share a scale.
  package static let block = 64

  package static func scaleCount(_ numbers: Int) -> Int { (numbers + block - 1) / block }

  /// Bytes that so many numbers take.
  package func byteCount(_ numbers: Int) -> Int {
    switch self {
    case .f16: 2 * numbers
    case .int8: numbers + 4 * Self.scaleCount(numbers)
    }
  }
}

/// A projected gradient as it is kept.
package enum StoredGradient: Sendable, Equatable {
  case f16([UInt16])
  case int8(scales: [Float], numbers: [Int8])

  /// Rounds to the nearest number that can be kept.
  package init(_ values: [Float], storage: GradientStorage) {
    switch storage {
    case .f16: self = .f16(values.map(HalfPrecision.f16))
    case .int8:
      var scales: [Float] = []
      var numbers: [Int8] = []
      numbers.reserveCapacity(values.count)
      for start in stride(from: 0, to: values.count, by: GradientStorage.block) {
        let block = values[start..<min(start + GradientStorage.block, values.count)]
        let isFinite = block.allSatisfy(\.isFinite)
        // A scale that is no number marks a block that cannot be kept: the row is then refused as a whole.
        let scale = isFinite ? block.reduce(0) { max($0, abs($1)) } / 127 : .nan
        scales.append(scale)
        numbers += block.map { scale > 0 ? Int8(clamping: Int(($0 / scale).rounded())) : 0 }
      }
      self = .int8(scales: scales, numbers: numbers)
    }
  }

  package var storage: GradientStorage {
    switch self {
    case .f16: .f16
    case .int8: .int8
    }
  }

  package var count: Int {
    switch self {
    case .f16(let numbers): numbers.count
    case .int8(_, let numbers): numbers.count
    }
  }

  var isFinite: Bool {
    switch self {
    case .f16(let numbers): numbers.allSatisfy { $0 & 0x7C00 != 0x7C00 }
    case .int8(let scales, _): scales.allSatisfy(\.isFinite)
    }
  }

  /// The numbers as floats.
  package var values: [Float] {
    switch self {
    case .f16(let numbers): numbers.map(HalfPrecision.float(f16:))
    case .int8(let scales, let numbers):
      numbers.indices.map { scales[$0 / GradientStorage.block] * Float(numbers[$0]) }
    }
  }

  /// The journal's bytes: numbers, little-endian; for int8 the scales before them.
  func append(to bytes: inout [UInt8]) {
    switch self {
    case .f16(let numbers): numbers.withUnsafeBytes { bytes.append(contentsOf: $0) }
    case .int8(let scales, let numbers):
      scales.withUnsafeBytes { bytes.append(contentsOf: $0) }
      numbers.withUnsafeBytes { bytes.append(contentsOf: $0) }
    }
  }

  /// From the journal's bytes.
  init(_ bytes: ArraySlice<UInt8>, count: Int, storage: GradientStorage) {
    self = bytes.withUnsafeBytes { raw in
      switch storage {
      case .f16:
        .f16((0..<count).map { raw.loadUnaligned(fromByteOffset: 2 * $0, as: UInt16.self) })
      case .int8:
        .int8(
          scales: (0..<GradientStorage.scaleCount(count)).map {
            raw.loadUnaligned(fromByteOffset: 4 * $0, as: Float.self)
          },
          numbers: (0..<count).map {
            raw.load(fromByteOffset: 4 * GradientStorage.scaleCount(count) + $0, as: Int8.self)
          })
      }
    }
  }
}
