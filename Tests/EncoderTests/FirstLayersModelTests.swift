import Encoder
import Formats
import Foundation
import LanguageModels
import TensorKernels
import TestSupport
import Testing
import Tokenization

@Suite struct FirstLayersModelTests {
  private func layers(_ count: Int) throws -> Llama {
    try #require(try ModelLoader.load(path: GoldenModel("llama/tied").modelPath) as? Llama).first(count)
  }

  /// Scored from the second token on, or from the third.
  private let texts =
    ([[3, 7, 1, 9, 4], [5, 3, 3], [2, 8, 2], [6, 6, 1]] + (0..<70).map { [$0 % 10, 1, $0 % 7, 4] })
    .enumerated()
    .map {
      row, ids in EncodedText(ids, isScored: ids.indices.map { $0 > (row + ids.count) % 2 })
    }

  @Test(arguments: [0, 1]) func featuresAreMeansOfTheStates(_ count: Int) throws {
    let layers = try layers(count)
    let reader = LayerFeatures(layers: layers, readsPredictions: false)
    let features = try reader(texts, workers: 2, workspaces: EncoderWorkspaces(2))
    let d = layers.configuration.hiddenSize
    #expect(features.columns == 3 * d + 1 && reader.count == 3 * d + 1)
    for (row, text) in texts.prefix(4).enumerated() {
      let batch = TokenBatch([(text.ids.map { Int32($0) }, text.ids.map { _ in false })])
      let states = layers.hiddenStates(of: batch, workspace: Workspace())
      func mean(_ positions: Range<Int>, _ column: Int) -> Float {
        positions.reduce(0) { $0 + states[$1, column] } / Float(max(1, positions.count))
      }
      let (n, split) = (text.ids.count, try #require(text.isScored.firstIndex(of: true)))
      for column in 0..<d {
        #expect(abs(features[row, column] - mean(1..<split, column)) < 1e-5)
        #expect(abs(features[row, d + column] - mean(split..<n, column)) < 1e-5)
        #expect(abs(features[row, 2 * d + column] - mean(split + (n - split) / 2..<n, column)) < 1e-5)
      }
      #expect(features[row, 3 * d] == Float(n - split).squareRoot())
    }
    let alone = try reader(texts, workers: 1, workspaces: EncoderWorkspaces(1))
    #expect(alone.values == features.values)
  }

  @Test func aWholeModelsPredictionsAreReadToo() throws {
    let layers = try layers(2)
    let reader = LayerFeatures(layers: layers, readsPredictions: true)
    let features = try reader(texts, workers: 2, workspaces: EncoderWorkspaces(2))
    let d = layers.configuration.hiddenSize
    #expect(reader.count == 3 * d + 11 && reader.linearCount == 11 && reader.scales.count == reader.count)
    let alone = try reader(texts, workers: 1, workspaces: EncoderWorkspaces(1))
    #expect(alone.values == features.values)
    for (row, text) in texts.prefix(4).enumerated() {
      let batch = TokenBatch([(text.ids.map { Int32($0) }, text.isScored)])
      let loss = layers.losses(of: batch, workspace: Workspace())[0]
      #expect(abs(exp(Double(features[row, 3 * d])) - loss) < 1e-4)
      let predicted = layers.predictions(of: batch, workspace: Workspace())
      let n = Double(predicted.losses.count)
      // |1/n sum d h^T| by its entries.
      var squares = 0.0
      for i in 0..<d {
        for j in 0..<d {
          let entry = (0..<predicted.losses.count).reduce(0.0) {
            $0 + Double(predicted.errors[$1, i] * predicted.lastStates[$1, j])
          }
          squares += entry * entry / (n * n)
        }
      }
      #expect(abs(exp(Double(features[row, 3 * d + 9])) - squares.squareRoot()) < 1e-3 * squares.squareRoot())
    }
    // A text of which nothing is predicted has features all the same.
    let single = try reader([EncodedText([3])], workers: 1, workspaces: EncoderWorkspaces(1))
    let areFinite = single.values.allSatisfy { $0.isFinite }
    #expect(areFinite)
  }

  private func model() throws -> FirstLayersModel {
    let reader = LayerFeatures(layers: try layers(1), readsPredictions: false)
    var generator = SeededGenerator(seed: 1)
    func numbers(_ count: Int) -> [Float] { (0..<count).map { _ in Float(generator.normal()) } }
    let p = reader.count
    let head = KernelHead(
      means: numbers(p), deviations: numbers(p).map { abs($0) + 0.5 }, scales: reader.scales,
      centres: Matrix(rows: 3, columns: p, values: numbers(3 * p)).view, weights: [1, -2, 0.5, 0.1],
      bias: 0.25,
      gamma: 0.3)
    return FirstLayersModel(reader: reader, head: head)
  }

  private func load(_ folder: String) throws -> FirstLayersModel {
    try #require(try FirstLayersModel.load(kind: "first-layers", directory: folder, precision: .f32))
  }

  @Test func comesBackFromItsFolder() throws {
    let folder = try TemporaryFolder()
    // Rounded once, as training does, the second saving keeps every bit.
    #expect(
      try model().save(to: folder.path, maxTokens: 64).sorted() == [
        "config.json", "head.safetensors", "model.safetensors",
      ])
    let first = try load(folder.path)
    let other = try TemporaryFolder()
    _ = try first.save(to: other.path, maxTokens: 64)
    let second = try load(other.path)
    let workspaces = EncoderWorkspaces(2)
    let scores = try first.scores(texts, workers: 2, workspaces: workspaces)
    #expect(try second.scores(texts, workers: 1, workspaces: workspaces) == scores)
    #expect(Set(scores).count > 10)
  }

  @Test func aDamagedHeadIsRefused() throws {
    let folder = try TemporaryFolder()
    _ = try model().save(to: folder.path, maxTokens: 64)
    let path = folder.path + "/head.safetensors"
    let p = LayerFeatures(layers: try layers(1), readsPredictions: false).count
    func head(deviation: Float = 1, gamma: Float = 1, units: Int = 1, width: Int) throws {
      try SafetensorsWriter.write(
        to: path,
        tensors: [
          ("means", [width], .init(repeating: 0, count: width)),
          ("deviations", [width], .init(repeating: deviation, count: width)),
          ("centres", [units, width], .init(repeating: 0, count: units * width)),
          ("weights", [units + 1], .init(repeating: 1, count: units + 1)), ("bias_gamma", [2], [0, gamma]),
          ("scales", [width], .init(repeating: 1, count: width)),
        ], force: true)
    }
    try head(width: p)
    _ = try load(folder.path)
    try head(deviation: 0, width: p)
    #expect(throws: EncoderError.self) { try load(folder.path) }
    try head(gamma: -1, width: p)
    #expect(throws: EncoderError.self) { try load(folder.path) }
    try head(units: 0, width: p)
    #expect(throws: (any Error).self) { try load(folder.path) }
    try head(width: p - 1)
    #expect(throws: FormatError.self) { try load(folder.path) }
    try FileManager.default.removeItem(atPath: path)
    #expect(throws: FormatError.self) { try load(folder.path) }
  }
}
