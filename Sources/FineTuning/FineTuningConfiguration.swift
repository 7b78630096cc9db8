import Foundation

/// How a language model is trained further.
package struct FineTuningConfiguration: Sendable, Equatable {
  /// How the learning rate goes on after the warm-up.
  package enum Schedule: String, Sendable, CaseIterable { case constant, linear, cosine }

  package var epochs = 1
  /// Steps at most; nil for all of the epochs.
  package var steps: Int?
  /// Rows of a step, whose mean loss it goes down. They pass through the model in packed batches, so memory does not grow
  /// with them.
  package var batchRows = 16
  package var learningRate = 2e-5
  package var schedule = Schedule.cosine
  /// Share of all steps in which the learning rate rises.
  package var warmUp = 0.05
  /// Of matrices; vectors (norms, biases) do not decay.
  package var weightDecay = 0.01
  /// The longest gradient, in Euclid's norm.
  package var clipNorm = 1.0
  package var firstMomentDecay: Float = 0.9
  package var secondMomentDecay: Float = 0.999
  package var epsilon: Float = 1e-8
  /// Rows in the order in which they are given, rather than another in each epoch.
  package var keepsOrder = false
  package var seed: UInt64 = 0
  /// Steps after which the held-out rows' losses are taken, beside the ends of epochs.
  package var validationSteps: Set<Int> = []
  /// Steps after which the model is saved as it is then.
  package var savedSteps: Set<Int> = []
  /// Steps between two checkpoints; they are written after each epoch and at an interruption anyway.
  package var checkpointEvery: Int?

  package init() {}

  /// The learning rate of a step, counted from 0, of so many: up in a straight line, then as the schedule says, down to zero.
  package func learningRate(step: Int, of total: Int) -> Double {
    let warm = (warmUp * Double(total)).rounded(.up)
    let position = Double(step) + 1
    if position <= warm { return learningRate * position / warm }
    let share = (Double(step) - warm) / max(1, Double(total) - warm)
    switch schedule {
    case .constant: return learningRate
    case .linear: return learningRate * (1 - share)
    case .cosine: return learningRate * 0.5 * (1 + cos(.pi * share))
    }
  }

  /// Steps of a run over so many rows.
  package func stepCount(rows: Int) -> Int {
    let all = epochs * ((rows + batchRows - 1) / batchRows)
    return min(all, steps ?? all)
  }

  /// Throws `FineTuningError.options` for what no run can do.
  package func check() throws {
    func want(_ isRight: Bool, _ what: String) throws {
      if !isRight { throw FineTuningError.options(what) }
    }
    try want(epochs > 0, "--epochs \(epochs): above 0")
    try want(steps ?? 1 > 0, "--steps \(steps ?? 0): above 0")
    try want(batchRows > 0, "--batch-rows \(batchRows): above 0")
    try want(learningRate > 0 && learningRate.isFinite, "--learning-rate \(learningRate): a number above 0")
    try want((0...1).contains(warmUp), "--warm-up \(warmUp): a share, from 0 to 1")
    try want(weightDecay >= 0 && weightDecay.isFinite, "--weight-decay \(weightDecay): 0 or above")
    try want(clipNorm > 0, "--clip-norm \(clipNorm): above 0")
    for step in validationSteps { try want(step > 0, "--validate-at \(step): above 0") }
    for step in savedSteps { try want(step > 0, "--save-at \(step): above 0") }
    try want(checkpointEvery ?? 1 > 0, "--checkpoint-every \(checkpointEvery ?? 0): above 0")
  }
}
