import Encoder
import Formats
import Foundation
import RankStatistics
import TensorKernels

/// One training under way: the weights move, and those of an epoch are kept unless they are clearly worse.
struct TrainingSession {
  private let model: EncoderModel
  private let material: TrainingMaterial
  private let configuration: TrainingConfiguration
  private let isCancelled: @Sendable () -> Bool
  private let workspaces: EncoderWorkspaces
  private let kept: FloatStorage
  private let lengthDimension: Int
  private let checkpoint: TrainingCheckpoint
  private let log: TrainingLog

  /// The validation rows' outputs of the epoch that ranked them best.
  private var bestOutputs: [Double] = []
  /// Of the epoch whose weights are kept, on the validation rows.
  private(set) var keptSpearman = -Double.infinity
  /// 0 where every epoch was clearly worse than the frozen encoder.
  private(set) var keptEpoch = 0
  private(set) var epochsRun = 0
  private(set) var steps = 0

  init(
    model: EncoderModel, material: TrainingMaterial, configuration: TrainingConfiguration,
    log: TrainingLog, isCancelled: @escaping @Sendable () -> Bool
  ) {
    self.model = model
    self.material = material
    self.configuration = configuration
    self.isCancelled = isCancelled
    workspaces = EncoderWorkspaces(configuration.workers)
    kept = FloatStorage(count: model.layout.count)
    self.log = log
    checkpoint = TrainingCheckpoint(
      path: configuration.checkpoint, configuration: Self.description(material, configuration, model))
    lengthDimension = model.openLengthDimension()
  }

  private var settings: Optimisation { configuration.optimisation }

  // MARK: The frozen encoder

  /// Fits the head by ridge on the untouched encoder, a strongly penalised one as the head to begin from. Returns for
  /// every row what the penalty that is best on the validation rows predicts, and for the test rows what their neighbours do.
  mutating func fitHead(_ progress: (TrainingProgress) -> Void) throws -> FrozenEncoder {
    let started = DispatchTime.now()
    let features = try readInShares(
      material.texts, width: 2 * model.configuration.hiddenSize, isCancelled: isCancelled
    ) {
      try model.features($0, workers: configuration.workers, workspaces: workspaces)
    }.columns(0..<model.configuration.hiddenSize)
    let heads = material.heads(
      features, of: material.parts.training, lambdas: [0.1, 0.3, 1, 3, Self.firstHeadPenalty])
    if let first = heads.first(where: { $0.lambda == Self.firstHeadPenalty })?.head {
      begin(with: first, validation: material.validationOutputs(first, features))
    }
    guard
      let best = material.bestOnValidation(
        heads.map(\.head), outputs: { material.validationOutputs($0, features) })
    else { throw DistillError.singular("ridge regression") }
    progress(.headFitted(validationSpearman: best.spearman, seconds: seconds(since: started)))
    return FrozenEncoder(best.candidate, features: features, material: material)
  }

  /// A head that fits the training rows as far as it can leaves fine-tuning nothing to learn from; this penalty
  /// ranks nearly as well and keeps the weights small.
  private static let firstHeadPenalty = 10.0

  private mutating func begin(with head: HeadRegression, validation outputs: [Double]) {
    let weight = model.parameters.matrix(model.layout.headWeight)
    weight.fill(0)
    for (index, value) in head.weights.enumerated() { weight[0, index] = Float(value) }
    weight[0, head.weights.count + lengthDimension] = Float(head.slope)
    model.parameters.matrix(model.layout.headBias)[0, 0] = Float(head.bias)
    keep(outputs, epoch: 0)
  }

  // MARK: Fine-tuning

  /// Everything that decides the bits of a training beside the encoder's own weights.
  private static func description(
    _ material: TrainingMaterial, _ configuration: TrainingConfiguration, _ model: EncoderModel
  ) -> JSONValue {
    var data = HashStream()
    for row in material.trainingRows {
      data.update(numbers: row.ids.map { Int32($0) })
      data.update(numbers: [row.target])
    }
    for row in material.parts.validation {
      data.update(numbers: material.texts[row].ids.map { Int32($0) })
      data.update(numbers: [material.labels[row]])
    }
    data.update(numbers: [material.targets.slope])
    var weights = HashStream()
    weights.update(
      UnsafeRawBufferPointer(
        UnsafeBufferPointer(start: model.parameters.base, count: model.layout.count)))
    let settings = configuration.optimisation
    return [
      "rows": JSONValue(data.hexDigest()), "encoder": JSONValue(weights.hexDigest()),
      "kernels": JSONValue(vectorInstructionSet), "seed": JSONValue(String(configuration.seed)),
      "epochs": JSONValue(settings.epochs), "patience": JSONValue(settings.patience),
      "batch_rows": JSONValue(settings.batchRows), "learning_rate": JSONValue(settings.learningRate),
      "head_learning_rate": JSONValue(settings.headLearningRate), "crop_share": JSONValue(settings.cropShare),
      "train_embeddings": JSONValue(settings.trainsEmbeddingTables ? 1 : 0),
    ]
  }

  private func storages(_ optimiser: Optimiser) -> [(name: String, storage: FloatStorage)] {
    [("weights", model.parameters), ("kept", kept)] + optimiser.moments
  }

  /// Trains until the epochs are over or `patience` of them in a row were clearly worse than the best; the model ends
  /// with the weights that were kept.
  mutating func fineTune(_ progress: (TrainingProgress) -> Void) throws {
    let optimiser = Optimiser(
      model: model, settings: settings, lengthDimension: lengthDimension, workers: configuration.workers)
    let rows = material.trainingRows
    var order = Array(rows.indices)
    var generator = SeededGenerator(seed: configuration.seed, stream: "training-order")
    var first = 1
    let places = (rows: rows.count, validation: material.parts.validation.count, epochs: settings.epochs)
    if let found = try checkpoint.load(storages(optimiser), fitting: places) {
      optimiser.resume(after: found.steps)
      (first, steps, order) = (found.epoch + 1, found.steps, found.order)
      generator = SeededGenerator(state: found.generator)
      (keptEpoch, keptSpearman, bestOutputs) = (found.keptEpoch, found.keptSpearman, found.bestOutputs)
      epochsRun = found.epoch
      log.resume(found.log)
      progress(.resumed(epoch: found.epoch))
    }
    let begun = steps
    let perEpoch = (order.count + settings.batchRows - 1) / settings.batchRows
    let total = settings.epochs * perEpoch
    let started = DispatchTime.now()
    for epoch in first..<max(first, settings.epochs + 1) where !isOver {
      order.shuffle(using: &generator)
      var loss = 0.0
      for start in stride(from: 0, to: order.count, by: settings.batchRows) {
        if isCancelled() { throw DistillError.interrupted }
        let batch = order[start..<min(order.count, start + settings.batchRows)].map { index in
          let row = rows[index]
          return generator.uniform() < settings.cropShare
            ? row.cropped(slope: material.targets.slope, using: &generator) : row
        }
        let value = try optimiser.step(batch, learningRate: learningRate(step: steps, of: total))
        steps += 1
        loss += value * Double(batch.count) / Double(order.count)
        let left = seconds(since: started) / Double(steps - begun) * Double(total - steps)
        progress(
          .step(
            epoch: epoch, epochs: settings.epochs, step: steps, steps: total, loss: value,
            secondsLeft: left))
      }
      epochsRun = epoch
      let outputs = try validationOutputs()
      let isKept = !isClearlyWorse(outputs)
      progress(
        .validated(
          epoch: epoch, epochs: settings.epochs, loss: loss,
          validationSpearman: material.validationSpearman(outputs),
          isKept: isKept,
          seconds: seconds(since: started),
          secondsLeft: seconds(since: started) / Double(steps - begun) * Double(total - steps)))
      if isKept { keep(outputs, epoch: epoch) }
      if isOver && epoch < settings.epochs { progress(.stoppedEarly(epoch: epoch, keptEpoch: keptEpoch)) }
      try checkpoint.save(
        TrainingCheckpoint.Numbers(
          epoch: epoch, steps: steps, generator: generator.state, order: order, keptEpoch: keptEpoch,
          keptSpearman: keptSpearman, bestOutputs: bestOutputs, log: log.lines), storages(optimiser))
    }
    model.parameters.base.update(from: kept.base, count: model.layout.count)
  }

  /// Whether the last epochs were clearly worse, as many as patience bears.
  private var isOver: Bool { epochsRun - keptEpoch >= settings.patience }

  /// Rises over the warm-up, then falls along half a cosine to zero.
  private func learningRate(step: Int, of total: Int) -> Double {
    let warm = max(1, settings.warmUp * Double(total))
    let position = Double(step) + 1
    if position < warm { return settings.learningRate * position / warm }
    let share = (position - warm) / max(1, Double(total) - warm + 1)
    return settings.learningRate * 0.5 * (1 + cos(.pi * share))
  }

  private func validationOutputs() throws -> [Double] {
    try model.scores(
      material.parts.validation.map { material.texts[$0] }, workers: configuration.workers,
      workspaces: workspaces
    ).map(Double.init)
  }

  /// Whether these outputs rank the validation rows worse than the best so far, by more than chance (the 95 % bootstrap
  /// interval of the difference on the same rows). Of epochs that differ by chance the last is kept, for it has the
  /// smallest learning rate behind it.
  private func isClearlyWorse(_ outputs: [Double]) -> Bool {
    let (best, labels) = (bestOutputs, material.validationLabels)
    let difference = bootstrapInterval(seed: configuration.seed, count: labels.count) { draw in
      let truth = draw.map { labels[$0] }
      guard let ours = spearman(draw.map { outputs[$0] }, truth),
        let theirs = spearman(draw.map { best[$0] }, truth)
      else { return nil }
      return ours - theirs
    }
    return difference.map { $0.upper < 0 } ?? false
  }

  private mutating func keep(_ outputs: [Double], epoch: Int) {
    kept.base.update(from: model.parameters.base, count: model.layout.count)
    (keptSpearman, keptEpoch) = (material.validationSpearman(outputs), epoch)
    if bestOutputs.isEmpty || keptSpearman > material.validationSpearman(bestOutputs) {
      bestOutputs = outputs
    }
  }
}
