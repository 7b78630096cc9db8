import Encoder
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
    isCancelled: @escaping @Sendable () -> Bool
  ) {
    self.model = model
    self.material = material
    self.configuration = configuration
    self.isCancelled = isCancelled
    workspaces = EncoderWorkspaces(configuration.workers)
    kept = FloatStorage(count: model.layout.count)
    lengthDimension = model.openLengthDimension()
  }

  private var settings: Optimisation { configuration.optimisation }

  // MARK: The frozen encoder

  /// Fits the head by ridge on the untouched encoder, a strongly penalised one as the head to begin from. Returns for
  /// every row what the penalty that is best on the validation rows predicts, and for the test rows what their neighbours do.
  mutating func fitHead(_ progress: (TrainingProgress) -> Void) throws -> FrozenEncoder {
    let started = DispatchTime.now()
    let (parts, width) = (material.parts, model.configuration.hiddenSize)
    let features = try frozenFeatures().columns(0..<width)
    let rootLengths = material.ids.map { Double($0.count).squareRoot() }
    func predictions(_ head: HeadRegression, _ rows: [Int]) -> [Double] {
      head(features.selecting(rows), rootLengths: rows.map { rootLengths[$0] })
    }
    let training = features.selecting(parts.training)
    var chosen: (spearman: Double, head: HeadRegression)?
    for lambda in [0.1, 0.3, 1, 3, Self.firstHeadPenalty] {
      guard
        let head = HeadRegression(
          features: training, rootLengths: parts.training.map { rootLengths[$0] },
          slope: material.targets.slope, targets: material.trainingRows.map(\.target), lambda: lambda)
      else { continue }
      let outputs = predictions(head, parts.validation)
      let value = validationSpearman(outputs)
      if value > chosen?.spearman ?? -.infinity { chosen = (value, head) }
      if lambda == Self.firstHeadPenalty { begin(with: head, validation: outputs) }
    }
    guard let chosen else { throw DistillError.diverged(step: 0) }
    progress(.headFitted(validationSpearman: chosen.spearman, seconds: seconds(since: started)))
    return FrozenEncoder(
      ridge: predictions(chosen.head, Array(material.ids.indices)),
      neighbours: nearestNeighbours(
        features: features, of: parts.test, training: parts.training,
        targets: material.trainingRows.map(\.target)))
  }

  /// In shares, so that an interruption is heard.
  private func frozenFeatures() throws -> MatrixView {
    let features = Matrix(rows: material.ids.count, columns: 2 * model.configuration.hiddenSize)
    for start in stride(from: 0, to: features.rows, by: 128) {
      if isCancelled() { throw DistillError.interrupted }
      let rows = start..<min(features.rows, start + 128)
      features.rows(rows).copy(
        try model.features(Array(material.ids[rows]), workers: configuration.workers, workspaces: workspaces)
          .view)
    }
    return features.view
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

  /// Trains until the epochs are over or `patience` of them in a row were clearly worse than the best; the model ends
  /// with the weights that were kept.
  mutating func fineTune(_ progress: (TrainingProgress) -> Void) throws {
    let optimiser = Optimiser(
      model: model, settings: settings, lengthDimension: lengthDimension, workers: configuration.workers)
    var order = Array(material.trainingRows.indices)
    var generator = SeededGenerator(seed: configuration.seed, stream: "training-order")
    let perEpoch = (order.count + settings.batchRows - 1) / settings.batchRows
    let total = settings.epochs * perEpoch
    let started = DispatchTime.now()
    for epoch in 1...settings.epochs {
      order.shuffle(using: &generator)
      var loss = 0.0
      for start in stride(from: 0, to: order.count, by: settings.batchRows) {
        if isCancelled() { throw DistillError.interrupted }
        let batch = order[start..<min(order.count, start + settings.batchRows)].map { index in
          let row = material.trainingRows[index]
          return generator.uniform() < settings.cropShare
            ? row.cropped(slope: material.targets.slope, using: &generator) : row
        }
        let value = try optimiser.step(batch, learningRate: learningRate(step: steps, of: total))
        steps += 1
        loss += value * Double(batch.count) / Double(order.count)
        let left = seconds(since: started) / Double(steps) * Double(total - steps)
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
          epoch: epoch, epochs: settings.epochs, loss: loss, validationSpearman: validationSpearman(outputs),
          isKept: isKept,
          seconds: seconds(since: started),
          secondsLeft: seconds(since: started) / Double(steps) * Double(total - steps)))
      if isKept { keep(outputs, epoch: epoch) }
      if epoch - keptEpoch >= settings.patience && epoch < settings.epochs {
        progress(.stoppedEarly(epoch: epoch, keptEpoch: keptEpoch))
        break
      }
    }
    model.parameters.base.update(from: kept.base, count: model.layout.count)
  }

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
      material.parts.validation.map { material.ids[$0] }, workers: configuration.workers,
      workspaces: workspaces
    ).map(Double.init)
  }

  private var validationLabels: [Double] { material.parts.validation.map { material.labels[$0] } }

  private func validationSpearman(_ outputs: [Double]) -> Double { spearman(outputs, validationLabels) ?? -1 }

  /// Whether these outputs rank the validation rows worse than the best so far, by more than chance (the 95 % bootstrap
  /// interval of the difference on the same rows). Of epochs that differ by chance the last is kept, for it has the
  /// smallest learning rate behind it.
  private func isClearlyWorse(_ outputs: [Double]) -> Bool {
    let (best, labels) = (bestOutputs, validationLabels)
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
    (keptSpearman, keptEpoch) = (validationSpearman(outputs), epoch)
    if bestOutputs.isEmpty || keptSpearman > validationSpearman(bestOutputs) { bestOutputs = outputs }
  }

  /// The head's output for every row.
  func outputs() throws -> [Double] {
    try model.scores(material.ids, workers: configuration.workers, workspaces: workspaces).map(Double.init)
  }
}

extension MatrixView {
  /// A copy of some rows.
  func selecting(_ rows: [Int]) -> MatrixView {
    let result = Matrix(rows: rows.count, columns: columns)
    for (place, row) in rows.enumerated() {
      result.rows(place..<place + 1).copy(self.rows(row..<row + 1))
    }
    return result.view
  }
}
