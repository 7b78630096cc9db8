/// A strictly increasing piecewise-linear map, as from a head's own output to label units.
///
/// Between two knots it is the straight line, outside them it goes on with the average slope from the first
/// to the last knot. Being strictly increasing it keeps every order, so no rank statistic changes.
package struct IsotonicMap: Codable, Sendable, Equatable {
  /// Strictly increasing, at least one.
  package let inputs: [Double]
  /// Strictly increasing, one for each input.
  package let outputs: [Double]
  /// The slope outside the knots.
  package let outerSlope: Double

  /// Nil where the knots are no strictly increasing map: counts differ, none, a number that is not finite, or
  /// out of order.
  package init?(inputs: [Double], outputs: [Double], outerSlope: Double) {
    guard inputs.count == outputs.count, !inputs.isEmpty, outerSlope > 0 else { return nil }
    guard (inputs + outputs + [outerSlope]).allSatisfy(\.isFinite) else { return nil }
    guard zip(inputs, inputs.dropFirst()).allSatisfy({ $0 < $1 }) else { return nil }
    guard zip(outputs, outputs.dropFirst()).allSatisfy({ $0 < $1 }) else { return nil }
    self.inputs = inputs
    self.outputs = outputs
    self.outerSlope = outerSlope
  }

  /// Reads what `encode(to:)` wrote and refuses knots that are no strictly increasing map.
  package init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: CodingKeys.self)
    let map = IsotonicMap(
      inputs: try container.decode([Double].self, forKey: .inputs),
      outputs: try container.decode([Double].self, forKey: .outputs),
      outerSlope: try container.decode(Double.self, forKey: .outerSlope))
    guard let map else {
      let problem = "an isotonic map's knots are finite, strictly increasing, an output for each input"
      throw DecodingError.dataCorrupted(.init(codingPath: decoder.codingPath, debugDescription: problem))
    }
    self = map
  }

  /// The value at `input`. The order of any two inputs is kept.
  package func callAsFunction(_ input: Double) -> Double {
    let last = inputs.count - 1
    if input <= inputs[0] { return outputs[0] + outerSlope * (input - inputs[0]) }
    if input >= inputs[last] { return outputs[last] + outerSlope * (input - inputs[last]) }
    var low = 0
    var high = last
    while high - low > 1 {
      let middle = (low + high) / 2
      if inputs[middle] <= input { low = middle } else { high = middle }
    }
    let slope = (outputs[high] - outputs[low]) / (inputs[high] - inputs[low])
    return min(outputs[high], outputs[low] + slope * (input - inputs[low]))
  }

  private enum CodingKeys: String, CodingKey {
    case inputs, outputs
    case outerSlope = "outer_slope"
  }
}

extension IsotonicMap {
  /// The least-squares map among those whose slope is nowhere below a floor.
  ///
  /// Rows are sorted by input and averaged in runs of at least `minimumCount` (equal inputs stay together), so
  /// that one outlier makes no knot. With the floor `s` taken off, `y - s x` is fitted by
  /// pool-adjacent-violators (Ayer et al. 1955), each pooled block becomes one knot at its mean input, and
  /// `s x` is put back. `s` is `slopeFloor` times the ratio of the spreads of outputs and inputs, so the fit
  /// does not depend on units; where the outputs do not vary it is relative to one.
  ///
  /// Nil without rows or with a value that is not finite.
  package static func fit(
    inputs: [Double], outputs: [Double], slopeFloor: Double = 1e-3, minimumCount: Int = 5
  ) -> IsotonicMap? {
    precondition(
      inputs.count == outputs.count, "IsotonicMap: \(inputs.count) inputs, \(outputs.count) outputs")
    precondition(slopeFloor > 0 && minimumCount > 0, "IsotonicMap: the floor and the count are above zero")
    guard !inputs.isEmpty, (inputs + outputs).allSatisfy(\.isFinite) else { return nil }
    let floor = slopeFloor * unitRatio(of: outputs, to: inputs)
    let rows = zip(inputs, outputs).map { Block(input: $0, output: $1 - floor * $0, weight: 1) }
    let blocks = pooled(averaged(rows.sorted { $0.input < $1.input }, minimumCount: minimumCount))
    let knotInputs = blocks.map(\.input)
    let knotOutputs = blocks.map { $0.output + floor * $0.input }
    let width = knotInputs[blocks.count - 1] - knotInputs[0]
    let rise = knotOutputs[blocks.count - 1] - knotOutputs[0]
    let outerSlope = width > 0 ? max(floor, rise / width) : floor
    return IsotonicMap(inputs: knotInputs, outputs: knotOutputs, outerSlope: outerSlope)
  }

  /// Rows averaged together: mean input, mean output, how many.
  private struct Block {
    var input: Double
    var output: Double
    var weight: Double

    mutating func absorb(_ other: Block) {
      let total = weight + other.weight
      input += (other.input - input) * other.weight / total
      output += (other.output - output) * other.weight / total
      weight = total
    }
  }

  /// Runs of at least `minimumCount` rows; a run never ends between equal inputs, and a short rest joins the
  /// last run.
  private static func averaged(_ rows: [Block], minimumCount: Int) -> [Block] {
    var runs: [Block] = []
    var start = 0
    while start < rows.count {
      var end = min(start + minimumCount, rows.count)
      while end < rows.count, rows[end].input == rows[end - 1].input { end += 1 }
      if rows.count - end < minimumCount { end = rows.count }
      var run = rows[start]
      for row in rows[(start + 1)..<end] { run.absorb(row) }
      runs.append(run)
      start = end
    }
    return runs
  }

  /// Pool-adjacent-violators: neighbours whose outputs do not increase become one block.
  private static func pooled(_ runs: [Block]) -> [Block] {
    var blocks: [Block] = []
    for run in runs {
      blocks.append(run)
      while blocks.count > 1, blocks[blocks.count - 2].output >= blocks[blocks.count - 1].output {
        let last = blocks.removeLast()
        blocks[blocks.count - 1].absorb(last)
      }
    }
    return blocks
  }

  /// The spread of the outputs over the spread of the inputs; a spread of zero counts as one.
  private static func unitRatio(of outputs: [Double], to inputs: [Double]) -> Double {
    func spread(_ values: [Double]) -> Double {
      let mean = values.reduce(0, +) / Double(values.count)
      let variance = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(values.count)
      return variance > 0 ? variance.squareRoot() : 1
    }
    return spread(outputs) / spread(inputs)
  }
}
