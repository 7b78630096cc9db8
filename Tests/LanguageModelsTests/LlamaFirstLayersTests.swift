import Foundation
import LanguageModels
import TensorKernels
import TestSupport
import Testing

@Suite struct LlamaFirstLayersTests {
  private func model() throws -> Llama {
    try #require(try ModelLoader.load(path: GoldenModel("llama/tied").modelPath) as? Llama)
  }

  private func batch(_ sequences: [[Int32]]) -> TokenBatch {
    TokenBatch(sequences.map { ($0, $0.map { _ in false }) })
  }

  /// The whole model's states lead to its own logits; the embeddings are its tied head.
  @Test func statesOfAllLayersLeadToTheLogits() throws {
    let model = try model()
    let tokens: [Int32] = [3, 7, 1, 9, 4]
    let states = model.hiddenStates(of: batch([tokens]), workspace: Workspace()).rows(4..<5).values
    let logits = model.nextTokenLogits(tokens, workspace: Workspace())
    // RMS norm and head by hand, with the weights of the file the encoder is saved to (BF16: 2^-8 of each).
    let folder = try Folder()
    try model.saveAsEncoder(to: folder.path)
    let saved = try SavedWeights(folder.path)
    let inverse =
      1
      / (states.reduce(0) { $0 + $1 * $1 } / Float(states.count) + model.configuration.normEpsilon)
      .squareRoot()
    for (token, logit) in logits.enumerated() {
      let expected = states.indices.reduce(Float(0)) {
        $0 + states[$1] * inverse * saved.norm[$1] * saved.embedding[token * states.count + $1]
      }
      #expect(abs(expected - logit) < 0.02 * (1 + abs(logit)))
    }
  }

  /// Losses, states and errors belong together: the entropy of a prediction is `l - h . d`.
  @Test func predictionsAreThoseOfTheLogits() throws {
    let model = try model()
    let sequences: [([Int32], [Bool])] = [
      ([3, 7, 1, 9, 4], [false, false, true, true, true]), ([5, 2], [false, false]),
      ([8, 8, 6], [false, true, true]),
    ]
    let predicted = model.predictions(of: TokenBatch(sequences), workspace: Workspace())
    #expect((0..<3).map(predicted.rows) == [0..<3, 3..<3, 3..<5])
    var row = 0
    for (tokens, isScored) in sequences {
      for position in tokens.indices where isScored[position] {
        let logits = model.nextTokenLogits(Array(tokens[..<position]), workspace: Workspace()).map {
          Double($0)
        }
        let top = logits.max()!
        let total = top + log(logits.reduce(0) { $0 + exp($1 - top) })
        #expect(abs(predicted.losses[row] - (total - logits[Int(tokens[position])])) < 1e-4)
        let entropy = logits.reduce(0) { $0 + exp($1 - total) * (total - $1) }
        let product = dot(predicted.lastStates.rows(row..<row + 1), predicted.errors.rows(row..<row + 1))
        #expect(abs(predicted.losses[row] - product - entropy) < 1e-4)
        row += 1
      }
    }
    #expect(row == 5)
    let losses = model.losses(of: TokenBatch([sequences[0], sequences[2]]), workspace: Workspace())
    #expect(abs(predicted.losses[0..<3].reduce(0, +) / 3 - losses[0]) < 1e-5)
    #expect(abs(predicted.losses[3..<5].reduce(0, +) / 2 - losses[1]) < 1e-5)
  }

  @Test func laterLayersAreLeftOut() throws {
    let model = try model()
    let first = model.first(1)
    #expect(first.configuration.layers == 1 && first.linearLayers.count == 7)
    let tokens = batch([[3, 7, 1, 9, 4]])
    let one = first.hiddenStates(of: tokens, workspace: Workspace()).values
    #expect(one != model.hiddenStates(of: tokens, workspace: Workspace()).values)
    let folder = try Folder()
    try first.saveAsEncoder(to: folder.path)
    let loaded = try #require(try ModelLoader.load(path: folder.path) as? Llama)
    #expect(loaded.configuration.layers == 1)
    let again = loaded.hiddenStates(of: tokens, workspace: Workspace()).values
    for (a, b) in zip(one, again) { #expect(abs(a - b) < 0.03 * (1 + abs(a))) }
    // Saved once more nothing changes: its weights are bf16 already.
    let other = try Folder()
    try loaded.saveAsEncoder(to: other.path)
    let twice = try #require(try ModelLoader.load(path: other.path) as? Llama)
    #expect(twice.hiddenStates(of: tokens, workspace: Workspace()).values == again)
  }

  /// Every family's first layer is a model of the family, with all that its configuration must say.
  @Test(arguments: GoldenModel.decoders.filter { !$0.contains("pythia") && !$0.contains("neox") })
  func firstLayersOfEveryFamilyAreSavedAndLoaded(_ name: String) throws {
    let whole = try #require(try ModelLoader.load(path: GoldenModel(name).modelPath) as? Llama)
    let tokens = batch([[1, 5, 2, 8, 40, 3, 7, 7, 30, 2, 11, 4]])
    for count in [1, 2] {
      let part = whole.first(count)
      let (once, twice) = (try Folder(), try Folder())
      try part.saveAsEncoder(to: once.path)
      let loaded = try ModelLoader.loadEncoder(directory: once.path)
      let (a, b) = (
        part.hiddenStates(of: tokens, workspace: Workspace()).values,
        loaded.hiddenStates(of: tokens, workspace: Workspace()).values
      )
      let scale = a.map { abs($0) }.max()!
      for (x, y) in zip(a, b) { #expect(abs(x - y) < 0.05 * scale) }
      try loaded.saveAsEncoder(to: twice.path)
      let again = try ModelLoader.loadEncoder(directory: twice.path)
      #expect(again.hiddenStates(of: tokens, workspace: Workspace()).values == b)
      #expect(again.configuration == loaded.configuration)
    }
  }

  @Test func neighboursDoNotChangeAText() throws {
    let model = try model().first(1)
    let alone = model.hiddenStates(of: batch([[5, 2, 8]]), workspace: Workspace()).values
    let among = model.hiddenStates(of: batch([[1, 2], [5, 2, 8], [9]]), workspace: Workspace()).rows(2..<5)
      .values
    #expect(alone == among)
  }
}

/// A folder of its own, removed with the object.
private final class Folder {
  let path = FileManager.default.temporaryDirectory.appendingPathComponent("alinfik-\(UUID().uuidString)")
    .path

  init() throws { try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true) }
  deinit { try? FileManager.default.removeItem(atPath: path) }
}

private struct SavedWeights {
  let norm: [Float]
  let embedding: [Float]

  init(_ folder: String) throws {
    let weights = try SafetensorsWeights(path: folder + "/model.safetensors")
    let shape = try #require(weights.shape(of: "model.embed_tokens.weight"))
    norm = try weights.matrix("model.norm.weight", rows: 1, columns: shape[1]).values
    embedding = try weights.matrix("model.embed_tokens.weight", rows: shape[0], columns: shape[1]).values
  }
}
