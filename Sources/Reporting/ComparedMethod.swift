/// One way of valuing rows, and what it gave.
package struct ComparedMethod: Codable, Sendable, Equatable {
  /// What the method is to this comparison.
  package enum Role: String, Codable, Sendable {
    /// The label that every other method is held against. One method at most.
    case reference
    /// Another value computed from the model's gradients.
    case influence
    /// The trained encoder that is on trial.
    case valuator
    /// What a valuator must beat to be worth its training.
    case baseline
  }

  /// What valuing one more row asks for.
  package enum Need: String, Codable, Sendable {
    case gradients = "model and gradients"
    case model = "model, forward only"
    case text = "text only"
    case nothing
  }

  /// The same wherever the method is named.
  package var name: String
  /// What it computes, in one line.
  package var formula: String
  package var role: Role
  package var needs: Need
  /// A value for each row, nil where the method has none; no values at all where it is not drawn.
  package var values: [Double?]
  package var cost: Cost?
  /// Why the method is named but has no values.
  package var notDrawn: String?

  /// A method that was run. A value that is not finite is kept as "none".
  package init(
    name: String, formula: String, role: Role, needs: Need, values: [Double], cost: Cost? = nil
  ) {
    self.name = name
    self.formula = formula
    self.role = role
    self.needs = needs
    self.values = values.map { $0.isFinite ? $0 : nil }
    self.cost = cost
  }

  /// A method that is named with the reason why it is not drawn, as "TracIn with one checkpoint is LinFiK by
  /// definition".
  package init(name: String, formula: String, role: Role, needs: Need, notDrawn: String) {
    self.init(name: name, formula: formula, role: role, needs: needs, values: [])
    self.notDrawn = notDrawn
  }

  /// True where the method was run.
  package var isDrawn: Bool { notDrawn == nil }
}

/// What running a method took; nil is "not measured" and is never drawn as zero.
package struct Cost: Codable, Sendable, Equatable {
  /// Wall seconds for `rows` rows.
  package var seconds: Double?
  package var rows: Int
  /// Seconds spent once before the first row: for a valuator its labels and its training.
  package var preparationSeconds: Double?
  package var peakMemoryBytes: Int?
  package var diskBytes: Int?
  /// Where the numbers come from, if that needs saying ("from labels.h5").
  package var note: String?

  package init(
    seconds: Double?, rows: Int, preparationSeconds: Double? = nil, peakMemoryBytes: Int? = nil,
    diskBytes: Int? = nil, note: String? = nil
  ) {
    self.seconds = seconds.flatMap { $0.isFinite && $0 >= 0 ? $0 : nil }
    self.rows = rows
    self.preparationSeconds = preparationSeconds.flatMap { $0.isFinite && $0 >= 0 ? $0 : nil }
    self.peakMemoryBytes = peakMemoryBytes
    self.diskBytes = diskBytes
    self.note = note
  }

  package var secondsPerRow: Double? {
    guard let seconds, rows > 0 else { return nil }
    return seconds / Double(rows)
  }

  package var rowsPerSecond: Double? {
    guard let seconds, seconds > 0, rows > 0 else { return nil }
    return Double(rows) / seconds
  }
}
