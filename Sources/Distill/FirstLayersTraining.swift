import Encoder
import Foundation
import LanguageModels
import RankStatistics
import TensorKernels
import Tokenization

/// A valuator from the first layers of a language model, frozen: its features of every row once, then a head of Gaussian
/// units in closed form.
struct FirstLayersTraining {
  /// Nil for all.
  let count: Int?
  let modelPath: String
  let configuration: TrainingConfiguration
  let isCancelled: @Sendable () -> Bool

  func run(_ dataset: DistillationDataset, _ progress: (TrainingProgress) -> Void) throws -> TrainedModel {
    let (whole, tokenizer, material) = try load(dataset)
    let count = count ?? whole.configuration.layers
    let reader = LayerFeatures(
      layers: try rounded(whole.first(count)), readsPredictions: count == whole.configuration.layers)
    let taught = try taught(dataset, material)
    progress(material.summary)
    let features = try features(reader, material.texts, progress)
    let others = try taught.map { taught in
      progress(.taught(rows: taught.records.count, leftOut: taught.leftOut))
      let texts = try material.encoding.encodeAll(taught.records, workers: configuration.workers)
      return KernelRegression.OtherRows(
        features: try self.features(reader, texts, progress), targets: taught.targets,
        weight: TeachersRows.weight)
    }
    let parts = material.parts
    let labels = parts.training.map { material.labels[$0] }
    let sources = parts.training.map { dataset.rows[$0].source }
    guard
      let fit = try KernelRegression(
        features: features.selecting(parts.training), scales: reader.scales,
        linear: reader.linearCount,
        targets: material.trainingRows.map(\.target),
        others: others,
        texts: material.hashes.training, seed: configuration.seed,
        quality: { predictions in
          if isCancelled() { throw DistillError.interrupted }
          return (spearman(predictions, labels) ?? -1)
            + (spearmanWithin(predictions, labels, groups: sources).mean ?? 0)
        })
    else { throw DistillError.singular("the head") }
    let outputs = fit.head(features).map { Double($0) }
    let validationSpearman = material.validationSpearman(parts.validation.map { outputs[$0] })
    progress(.kernelFitted(gamma: fit.gamma, lambda: fit.lambda, validationSpearman: validationSpearman))
    return TrainedModel(
      model: FirstLayersModel(features: reader, head: fit.head), tokenizer: tokenizer,
      name: URL(fileURLWithPath: modelPath).lastPathComponent,
      material: material,
      outputs: outputs, frozen: try frozen(features, material), epochs: 0, keptEpoch: 0,
      validationSpearman: validationSpearman,
      warnings: try ModelLoader.sha256(path: modelPath) == dataset.modelSHA256
        ? [] : ["the labels are another model's than \(modelPath), whose layers read the text"],
      taught: taught?.hashes ?? [])
  }

  func plan(_ dataset: DistillationDataset) throws -> String {
    let (model, _, material) = try load(dataset)
    let layers = model.first(count ?? model.configuration.layers)
    let taught = try taught(dataset, material)
    let weights = layers.linearLayers.reduce(0) { $0 + $1.inputWidth * $1.outputWidth }
    let table = layers.vocabularySize * layers.configuration.hiddenSize
    let isWhole = layers.configuration.layers == model.configuration.layers
    let others = try taught.map { taught in
      try material.encoding.encodeAll(taught.records, workers: configuration.workers)
    }
    let texts = material.texts + (others ?? [])
    let tokens = texts.reduce(0) { $0 + $1.ids.count }
    // Logits, and their error back through the head.
    let predicted = isWhole ? texts.reduce(0) { $0 + $1.isScored.count { $0 } } : 0
    let operations = 2 * Double(weights) * Double(tokens) + 4 * Double(table) * Double(predicted)
    let tables = isWhole && !model.configuration.tiesEmbeddings ? 2 * table : table
    return """
      \(material.summary)
      features of \(texts.count) texts, \(tokens) tokens, by \(weights) frozen weights: \(Int(operations / 1e9)) GFLOP
      disk: \((2 * (weights + tables)) >> 20) MiB and the head
      """
  }

  private func taught(_ dataset: DistillationDataset, _ material: TrainingMaterial) throws -> TeachersRows? {
    try configuration.teacher.map {
      try TeachersRows(teacher: $0.directory, scored: $0.scored, dataset: dataset, material: material)
    }
  }

  private func load(_ dataset: DistillationDataset) throws -> (Llama, Tokenizer, TrainingMaterial) {
    if let file = dataset.fileWithoutRecords {
      throw DistillError.badLabels(
        file,
        "it has no /records, so what is scored cannot be told from the rest, which --size and --first-layers want; label again, or "
          + "train a text encoder")
    }
    guard let model = try ModelLoader.load(path: modelPath) as? Llama else {
      throw DistillError.options(
        "--size and --first-layers want a model of the Llama family; \(modelPath) is of another")
    }
    guard (0...model.configuration.layers).contains(count ?? 0) else {
      throw DistillError.options(
        "--first-layers \(count ?? 0): \(modelPath) has \(model.configuration.layers) layers")
    }
    let tokenizer = try Tokenizer.load(carrying: modelPath)
    guard tokenizer.vocabularySize <= model.vocabularySize else {
      throw DistillError.options(
        "\(modelPath): its tokenizer has \(tokenizer.vocabularySize) tokens, the model only \(model.vocabularySize)"
      )
    }
    let material = try TrainingMaterial(
      dataset, tokenizer: tokenizer, reading: FirstLayersModel.reading,
      maxTokens: configuration.maxTokens ?? min(dataset.maxTokens ?? .max, model.contextLength),
      maxPositions: model.contextLength, configuration)
    return (model, tokenizer, material)
  }

  /// The layers as the valuator's folder will hold them, so that training and scoring see the same bits.
  private func rounded(_ layers: Llama) throws -> Llama {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("alinfik-\(UUID().uuidString)")
      .path
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    // The mapped file lives on without its name.
    defer { try? FileManager.default.removeItem(atPath: folder) }
    try layers.saveAsEncoder(to: folder)
    return try ModelLoader.loadEncoder(directory: folder)
  }

  private func features(
    _ reader: LayerFeatures, _ texts: [EncodedText], _ progress: (TrainingProgress) -> Void
  ) throws -> MatrixView {
    let workspaces = EncoderWorkspaces(configuration.workers)
    let started = DispatchTime.now()
    let count = texts.count
    return try readInShares(
      texts, width: reader.count, isCancelled: isCancelled,
      progress: { done in
        let left = seconds(since: started) / Double(done) * Double(count - done)
        progress(.features(done: done, of: count, secondsLeft: left))
      },
      of: { try reader($0, workers: configuration.workers, workspaces: workspaces) })
  }

  /// The same features with a linear head, and by nearest neighbours, as baselines.
  private func frozen(_ features: MatrixView, _ material: TrainingMaterial) throws -> FrozenEncoder {
    let texts = features.columns(0..<features.columns - 1)
    let heads = material.heads(texts, lambdas: [0.3, 1, 3, 10]).map(\.head)
    guard let best = material.bestOnValidation(heads, outputs: { material.validationOutputs($0, texts) })
    else {
      throw DistillError.singular("ridge regression")
    }
    return FrozenEncoder(best.candidate, features: texts, material: material)
  }
}
