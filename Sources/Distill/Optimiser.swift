import Encoder
import Foundation
import Layers
import TensorKernels

/// One step at a time down the mean squared error to the targets: gradients of a batch's blocks are added in block
/// order, clipped, and given to AdamW. The same bits whatever the number of workers.
final class Optimiser: @unchecked Sendable {
  /// Blocks a batch is cut into; fixed, because sums in another order have other bits.
  static let blocks = 4

  private let model: EncoderModel
  private let settings: Optimisation
  private let lengthDimension: Int
  private let workers: Int
  private let adam = AdamW()
  private let gradients: [ParameterBuffer]
  private let firstMoment: ParameterBuffer
  private let secondMoment: ParameterBuffer
  private let chunks: [Chunk]
  private let workspaces: [EncoderWorkspace]
  private var step = 0

  /// Rows of a parameter that one worker updates at a time.
  private struct Chunk: Sendable {
    let place: ParameterPlace
    let rows: Range<Int>
    /// Of the base rate, and the decay (none for biases and norms).
    let rateFactor: Double
    let weightDecay: Double
  }

  init(model: EncoderModel, settings: Optimisation, lengthDimension: Int, workers: Int) {
    self.lengthDimension = lengthDimension
    self.model = model
    self.settings = settings
    self.workers = workers
    let withTables = settings.trainsEmbeddingTables
    func buffer() -> ParameterBuffer { ParameterBuffer(model.layout, withTables: withTables) }
    gradients = (0..<Self.blocks).map { _ in buffer() }
    firstMoment = buffer()
    secondMoment = buffer()
    workspaces = (0..<Self.blocks).map { _ in EncoderWorkspace() }
    let top = model.configuration.layers + 1
    chunks = model.layout.places.filter { $0.offset >= (withTables ? 0 : gradientsFirst(model.layout)) }
      .flatMap { place -> [Chunk] in
        let isHead = place.depth == top
        let factor =
          isHead
          ? settings.headLearningRate / settings.learningRate
          : pow(settings.layerDecay, Double(top - 1 - place.depth))
        let decays = !place.isVector
        let rows = max(1, (1 << 19) / place.columns)
        return stride(from: 0, to: place.rows, by: rows).map {
          Chunk(
            place: place, rows: $0..<min(place.rows, $0 + rows), rateFactor: factor,
            weightDecay: decays ? settings.weightDecay : 0)
        }
      }
  }

  /// What the steps so far have left beside the weights.
  var moments: [(name: String, storage: FloatStorage)] {
    [("first_moment", firstMoment.storage), ("second_moment", secondMoment.storage)]
  }

  /// Goes on after so many steps, whose moments have been read into place.
  func resume(after steps: Int) { step = steps }

  /// One step on a batch whose rows are dealt to blocks by length. Returns the loss.
  func step(_ batch: [TrainingRow], learningRate: Double) throws -> Double {
    step += 1
    let dealt = Self.deal(batch)
    let outputs = try parallelMap(count: dealt.count, workers: workers) { [self] _, index in
      model.forward(EncoderBatch(dealt[index].map(\.ids)), workspace: workspaces[index])
    }
    let rows = dealt.flatMap { $0 }
    let errors = zip(outputs.flatMap { $0 }, rows).map { Double($0) - $1.target }
    let value = errors.reduce(0) { $0 + $1 * $1 } / Double(rows.count)
    let gradient = errors.map { Float(2 * $0 / Double(rows.count)) }
    guard value.isFinite else { throw DistillError.diverged(step: step) }
    let starts = dealt.reduce(into: [0]) { $0.append($0.last! + $1.count) }
    try parallelForEach(count: dealt.count, workers: workers) { [self] _, index in
      gradients[index].clear()
      model.backward(
        outputGradient: Array(gradient[starts[index]..<starts[index + 1]]), into: gradients[index],
        workspace: workspaces[index])
      keepLengthExact(gradients[index])
    }
    try update(blocks: dealt.count, learningRate: learningRate)
    return value
  }

  /// Keeps the length exact: its dimension of the last norm stays as `openLengthDimension` set it, and of the features
  /// scaled by sqrt(n) only it has a weight. The others are the means once more, as many times larger as they are noisier.
  private func keepLengthExact(_ gradient: ParameterBuffer) {
    let last = model.layout.layers.last!
    gradient.matrix(last.outputNormWeight)[0, lengthDimension] = 0
    gradient.matrix(last.outputNormBias)[0, lengthDimension] = 0
    let width = model.configuration.hiddenSize
    let root = gradient.matrix(model.layout.headWeight).columns(width..<2 * width)
    let length = root.view[0, lengthDimension]
    root.fill(0)
    root[0, lengthDimension] = length
  }

  /// Deals rows to blocks, the longest first, each to the block with the fewest tokens so far.
  private static func deal(_ batch: [TrainingRow]) -> [[TrainingRow]] {
    var dealt = [[TrainingRow]](repeating: [], count: min(blocks, batch.count))
    var tokens = [Int](repeating: 0, count: dealt.count)
    let order = batch.indices.sorted {
      batch[$0].ids.count != batch[$1].ids.count ? batch[$0].ids.count > batch[$1].ids.count : $0 < $1
    }
    for index in order {
      let block = tokens.indices.min { tokens[$0] < tokens[$1] }!
      dealt[block].append(batch[index])
      tokens[block] += batch[index].ids.count
    }
    return dealt
  }

  private func update(blocks: Int, learningRate: Double) throws {
    let squares = try parallelMap(count: chunks.count, workers: workers) { [self] _, index in
      let chunk = chunks[index]
      let sum = gradients[0].matrix(chunk.place).rows(chunk.rows)
      for block in gradients[1..<blocks] { add(block.view(chunk.place).rows(chunk.rows), to: sum) }
      return dot(sum.view, sum.view)
    }
    let norm = squares.reduce(0, +).squareRoot()
    guard norm.isFinite else { throw DistillError.diverged(step: step) }
    let factor = norm > settings.clipNorm ? Float(settings.clipNorm / norm) : 1
    try parallelForEach(count: chunks.count, workers: workers) { [self] _, index in
      let chunk = chunks[index]
      let gradient = gradients[0].matrix(chunk.place).rows(chunk.rows)
      if factor < 1 { scale(gradient, by: factor) }
      adam.update(
        model.parameters.matrix(chunk.place).rows(chunk.rows), gradient: gradient.view,
        firstMoment: firstMoment.matrix(chunk.place).rows(chunk.rows),
        secondMoment: secondMoment.matrix(chunk.place).rows(chunk.rows), step: step,
        learningRate: Float(learningRate * chunk.rateFactor), weightDecay: Float(chunk.weightDecay))
    }
  }
}

/// Where the parameters begin that are trained even with frozen tables.
private func gradientsFirst(_ layout: EncoderLayout) -> Int { layout.embeddingNormWeight.offset }
