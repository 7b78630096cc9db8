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
    let features = try layers.features(texts, workers: 2, workspaces: EncoderWorkspaces(2))
    let d = layers.configuration.hiddenSize
    #expect(features.columns == 3 * d + 2)
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
      #expect(features[row, 3 * d] == Float(split).squareRoot())
      #expect(features[row, 3 * d + 1] == Float(n - split).squareRoot())
    }
    let alone = try layers.features(texts, workers: 1, workspaces: EncoderWorkspaces(1))
    #expect(alone.values == features.values)
  }

  private func model() throws -> FirstLayersModel {
    let layers = try layers(1)
    var generator = SeededGenerator(seed: 1)
    func numbers(_ count: Int) -> [Float] { (0..<count).map { _ in Float(generator.normal()) } }
    let p = layers.featureCount
    let head = KernelHead(
      means: numbers(p), deviations: numbers(p).map { abs($0) + 0.5 },
      centres: Matrix(rows: 3, columns: p, values: numbers(3 * p)).view, weights: [1, -2, 0.5], bias: 0.25,
      slope: 0.1,
      gamma: 0.3)
    return FirstLayersModel(layers: layers, head: head)
  }

  @Test func comesBackFromItsFolder() throws {
    let folder = try TemporaryFolder()
    // Rounded once, as training does, the second saving keeps every bit.
    #expect(
      try model().save(to: folder.path, maxTokens: 64).sorted() == [
        "config.json", "head.safetensors", "model.safetensors",
      ])
    let first = try FirstLayersModel.load(directory: folder.path)
    let other = try TemporaryFolder()
    _ = try first.save(to: other.path, maxTokens: 64)
    let second = try FirstLayersModel.load(directory: other.path)
    let workspaces = EncoderWorkspaces(2)
    let scores = try first.scores(texts, workers: 2, workspaces: workspaces)
    #expect(try second.scores(texts, workers: 1, workspaces: workspaces) == scores)
    #expect(Set(scores).count > 10)
  }

  @Test func aDamagedHeadIsRefused() throws {
    let folder = try TemporaryFolder()
    _ = try model().save(to: folder.path, maxTokens: 64)
    let path = folder.path + "/head.safetensors"
    let p = try layers(1).featureCount
    func head(deviation: Float = 1, gamma: Float = 1, units: Int = 1, width: Int) throws {
      try SafetensorsWriter.write(
        to: path,
        tensors: [
          ("means", [width], .init(repeating: 0, count: width)),
          ("deviations", [width], .init(repeating: deviation, count: width)),
          ("centres", [units, width], .init(repeating: 0, count: units * width)),
          ("weights", [units], .init(repeating: 1, count: units)), ("bias_slope_gamma", [3], [0, 0, gamma]),
        ], force: true)
    }
    try head(width: p)
    _ = try FirstLayersModel.load(directory: folder.path)
    try head(deviation: 0, width: p)
    #expect(throws: EncoderError.self) { try FirstLayersModel.load(directory: folder.path) }
    try head(gamma: -1, width: p)
    #expect(throws: EncoderError.self) { try FirstLayersModel.load(directory: folder.path) }
    try head(units: 0, width: p)
    #expect(throws: (any Error).self) { try FirstLayersModel.load(directory: folder.path) }
    try head(width: p - 1)
    #expect(throws: FormatError.self) { try FirstLayersModel.load(directory: folder.path) }
    try FileManager.default.removeItem(atPath: path)
    #expect(throws: FormatError.self) { try FirstLayersModel.load(directory: folder.path) }
  }
}
