/// Which rows train, stop, calibrate and test a valuator, decided by the order of the texts' SHA-256: no row changes its
/// part because of another seed, and equal texts never stand on two sides.
package struct DataParts: Sendable, Equatable {
  package var training: [Int]
  package var validation: [Int]
  package var calibration: [Int]
  package var test: [Int]

  /// How large the parts are.
  package struct Sizes: Sendable, Equatable {
    /// Test rows; nil for 15 % of all.
    package var testRows: Int?
    /// Shares of what the test part leaves.
    package var calibration = 0.1
    package var validation = 0.1
    /// Sources whose rows are kept from all but the test part, to see how true a valuator is of what it never saw.
    package var leftOut: Set<String> = []

    package init(testRows: Int? = nil) { self.testRows = testRows }
  }

  /// Rows sorted by hash: the first are the test part, then calibration, then validation, the rest is for training.
  /// A part may be a few rows larger than asked for, by copies of its last text.
  package init(hashes: [String], sources: [String] = [], sizes: Sizes) throws {
    let order = hashes.indices.sorted { (hashes[$0], $0) < (hashes[$1], $1) }
    let testCount = sizes.testRows ?? Int((0.15 * Double(order.count)).rounded())
    var start = 0
    func take(_ count: Int) -> [Int] {
      var end = min(order.count, start + count)
      while end > start, end < order.count, hashes[order[end]] == hashes[order[end - 1]] { end += 1 }
      defer { start = end }
      return order[start..<end].sorted()
    }
    test = take(testCount)
    let left = Double(order.count - start)
    calibration = take(Int((sizes.calibration * left).rounded()))
    validation = take(Int((sizes.validation * left).rounded()))
    training = take(order.count)
    if !sizes.leftOut.isEmpty {
      for part in [\DataParts.training, \.validation, \.calibration] {
        self[keyPath: part].removeAll { sizes.leftOut.contains(sources[$0]) }
      }
    }
    guard training.count >= 8, validation.count >= 2, calibration.count >= 2 else {
      throw DistillError.tooFewRows(
        """
        \(hashes.count) rows, \(test.count) of them for testing, leave \(training.count) for training, \
        \(validation.count) for validation and \(calibration.count) for calibration: label more rows, or test \
        fewer (--test-rows)
        """)
    }
  }
}
