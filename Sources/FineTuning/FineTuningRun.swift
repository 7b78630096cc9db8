import Formats
import Foundation
import LanguageModels
import LinFiK
import Records
import TensorKernels

/// What a run says of itself while it goes.
package enum FineTuningProgress: Sendable {
  case resumed(step: Int)
  /// After each step, counted from 1: the mean loss of its rows before it.
  case step(Int, of: Int, loss: Double, gradientNorm: Double, secondsLeft: Double)
  /// The mean loss of the held-out rows, at first, after each epoch and where it was asked for.
  case validated(step: Int, loss: Double)
}

/// Trains a language model on rows: AdamW down the mean of the rows' mean token losses, as labels see a row.
package struct FineTuningRun {
  package let training: any ModelInTraining
  package let rows: [TokenizedSample]
  /// Held out: their loss is said, nothing is chosen by it.
  package let validation: [TokenizedSample]
  package let configuration: FineTuningConfiguration
  /// What decides the run beside its configuration: hashes of model and rows.
  package let origin: JSONValue

  package struct Outcome: Sendable {
    /// The mean loss of each step's rows, before it.
    package var losses: [Double] = []
    package var validation: [HeldOutLoss] = []
    package var seconds = 0.0
  }

  /// What the held-out rows' losses were after a step.
  package struct HeldOutLoss: Sendable, Equatable {
    package var step: Int
    /// A row's mean loss over its scored tokens, in row order.
    package var rows: [Double]

    package var mean: Double { rows.reduce(0, +) / Double(rows.count) }
  }

  package init(
    training: any ModelInTraining, rows: [TokenizedSample], validation: [TokenizedSample] = [],
    configuration: FineTuningConfiguration, origin: JSONValue
  ) throws {
    try configuration.check()
    guard !rows.isEmpty else { throw FineTuningError.noRow }
    let steps = configuration.stepCount(rows: rows.count)
    for (option, chosen) in [
      ("--validate-at", configuration.validationSteps), ("--save-at", configuration.savedSteps),
    ] {
      if let beyond = chosen.max(), beyond > steps {
        throw FineTuningError.options("\(option) \(beyond): the run has \(steps) steps")
      }
    }
    self.training = training
    self.rows = rows
    self.validation = validation
    self.configuration = configuration
    self.origin = origin
  }

  package var stepCount: Int { configuration.stepCount(rows: rows.count) }

  /// Trains to the end, or on from what `checkpoint` holds, which is written on the way.
  ///
  /// - Parameters:
  ///   - save: takes what a run to one of `configuration.savedSteps` would have come to, when it is there.
  ///   - finish: takes what the whole run has come to; where it throws, a checkpoint is kept.
  ///   - isCancelled: asked before each step; true keeps a checkpoint and throws `FineTuningError.interrupted`.
  package func run(
    checkpoint path: String?, workers: Int, progress: (FineTuningProgress) -> Void,
    save: (Outcome) throws -> Void = { _ in }, finish: (Outcome) throws -> Void = { _ in },
    isCancelled: () -> Bool
  ) throws -> Outcome {
    let started = DispatchTime.now()
    var model = try training.model()
    let sums = GradientSums(training.parameters, model: model, takesOthers: training.trainsAll)
    let update = ParameterUpdate(training.parameters, configuration)
    let checkpoint = path.map { FineTuningCheckpoint(path: $0, configuration: description) }
    var outcome = Outcome()
    if let found = try checkpoint?.load(tensors(update), validation: validation.count) {
      outcome = found
      model = try training.model()
      progress(.resumed(step: found.losses.count))
    }
    func keep() throws { try checkpoint?.save(outcome, tensors(update)) }
    func validate() throws {
      guard !validation.isEmpty else { return }
      let losses = HeldOutLoss(step: outcome.losses.count, rows: try heldOutLosses(model, workers))
      outcome.validation.append(losses)
      progress(.validated(step: losses.step, loss: losses.mean))
    }
    let (first, perEpoch) = (
      outcome.losses.count, (rows.count + configuration.batchRows - 1) / configuration.batchRows
    )
    if first == 0, outcome.validation.isEmpty { try validate() }
    for step in first..<max(first, stepCount) {
      if isCancelled() {
        try keep()
        throw FineTuningError.interrupted(step: step, of: stepCount)
      }
      let batch = batch(step, perEpoch)
      let loss = try gradient(of: batch, model, sums, workers)
      guard loss.isFinite,
        let norm = try update.step(
          sums, rows: batch.count, step: step + 1,
          learningRate: configuration.learningRate(step: step, of: stepCount), workers: workers)
      else { throw FineTuningError.diverged(step: step + 1) }
      model = try training.model()
      outcome.losses.append(loss)
      let left = secondsSince(started) / Double(step + 1 - first) * Double(stepCount - step - 1)
      progress(.step(step + 1, of: stepCount, loss: loss, gradientNorm: norm, secondsLeft: left))
      let isEpochsEnd = (step + 1) % perEpoch == 0
      if isEpochsEnd || step + 1 == stepCount || configuration.validationSteps.contains(step + 1) {
        try validate()
      }
      let isDue = configuration.checkpointEvery.map { (step + 1) % $0 == 0 } == true
      if step + 1 < stepCount, isEpochsEnd || isDue { try keep() }
      if configuration.savedSteps.contains(step + 1) { try save(outcome) }
    }
    outcome.seconds = secondsSince(started)
    do { try finish(outcome) } catch {
      try? keep()
      throw error
    }
    return outcome
  }

  /// Removes a checkpoint that is needed no more.
  package static func discardCheckpoint(_ path: String) throws {
    if FileManager.default.fileExists(atPath: path) { try FileManager.default.removeItem(atPath: path) }
  }

  /// Fewer tokens than this do not pay for reading the weights.
  private static let leastBatchTokens = 256

  /// The rows of a step: consecutive ones of its epoch's order.
  private func batch(_ step: Int, _ perEpoch: Int) -> [TokenizedSample] {
    let (epoch, place) = step.quotientAndRemainder(dividingBy: perEpoch)
    var order = Array(rows.indices)
    if !configuration.keepsOrder {
      var generator = SeededGenerator(seed: configuration.seed, stream: "epoch \(epoch)")
      order.shuffle(using: &generator)
    }
    let start = place * configuration.batchRows
    return order[start..<min(rows.count, start + configuration.batchRows)].map { rows[$0] }
  }

  /// Writes the sum of the rows' gradients into `sums`; returns their mean loss.
  private func gradient(
    of batch: [TokenizedSample], _ model: any CausalLanguageModel, _ sums: GradientSums, _ workers: Int
  ) throws -> Double {
    sums.clear()
    // Quarters of a step, so that workers have like parts; their number must not decide.
    let quarter = batch.reduce(0) { $0 + $1.tokens.count } / 4
    let tokens = min(LabelDefaults.batchTokens(for: model), max(Self.leastBatchTokens, quarter))
    let losses = try BatchPlan(batch, batchTokens: tokens).map(workers: workers) { index, tokens, workspace in
      model.losses(of: tokens, workspace: workspace, observer: sums.observer(turn: index))
    }
    return losses.reduce(0, +) / Double(losses.count)
  }

  private func heldOutLosses(_ model: any CausalLanguageModel, _ workers: Int) throws -> [Double] {
    try BatchPlan(validation, batchTokens: LabelDefaults.batchTokens(for: model))
      .map(workers: workers) { _, batch, workspace in model.losses(of: batch, workspace: workspace) }
  }

  /// Everything that a checkpoint keeps.
  private func tensors(_ update: ParameterUpdate) -> [(name: String, matrix: Matrix)] {
    training.parameters.enumerated().flatMap { index, parameter in
      [
        (parameter.name, parameter.matrix), ("\(parameter.name).exp_avg", update.firstMoments[index]),
        ("\(parameter.name).exp_avg_sq", update.secondMoments[index]),
      ]
    }
  }

  /// Everything that decides the bits of a run.
  package var description: JSONValue {
    let c = configuration
    var names = HashStream()
    for parameter in training.parameters { names.update(Array("\(parameter.name)\u{0}".utf8)) }
    let settings: [(key: ByteString, value: JSONValue)] = [
      ("alinfik_version", JSONValue(alinfikVersion)), ("trained", JSONValue(training.summary)),
      ("parameters_sha256", JSONValue(names.hexDigest())), ("rows", JSONValue(rows.count)),
      ("steps", JSONValue(stepCount)), ("batch_rows", JSONValue(c.batchRows)),
      ("learning_rate", JSONValue(c.learningRate)), ("schedule", JSONValue(c.schedule.rawValue)),
      ("warm_up", JSONValue(c.warmUp)), ("weight_decay", JSONValue(c.weightDecay)),
      ("clip_norm", JSONValue(c.clipNorm)),
      ("betas", [JSONValue(c.firstMomentDecay), JSONValue(c.secondMomentDecay)]),
      ("epsilon", JSONValue(c.epsilon)), ("keeps_order", JSONValue(c.keepsOrder)),
      ("validate_at", .array(c.validationSteps.sorted().map { JSONValue($0) })),
      ("seed", JSONValue(String(c.seed))),
    ]
    return .object((origin.members ?? []) + (training.settings.members ?? []) + settings)
  }
}

private func secondsSince(_ start: DispatchTime) -> Double {
  Double(DispatchTime.now().uptimeNanoseconds - start.uptimeNanoseconds) / 1e9
}
