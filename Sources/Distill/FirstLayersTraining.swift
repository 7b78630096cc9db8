import Encoder
import Formats
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
    let modelSHA256 = try ModelLoader.sha256(path: modelPath)
    var file = try FeatureFile(
      path: configuration.features.path, reader: description(reader, modelSHA256), width: reader.count)
    let features = try features(of: material.texts, reader, &file, progress)
    let others = try taught.map { taught in
      progress(.taught(rows: taught.records.count, leftOut: taught.leftOut))
      let texts = try material.encoding.encodeAll(taught.records, workers: configuration.workers)
      return KernelRegression.OtherRows(
        features: try self.features(of: texts, reader, &file, progress), targets: taught.targets,
        weight: TeachersRows.weight)
    }
    let fitting = HeadFitting(
      reader: reader, features: features, dataset: dataset, material: material, others: others,
      includesTexts: configuration.includesTexts, seed: configuration.seed, isCancelled: isCancelled)
    let fit = try fitting.fit(material.learned)
    progress(.kernelFitted(gamma: fit.gamma, lambda: fit.lambda, validationSpearman: fit.spearman))
    let curve = try fitting.curve(upTo: fit, progress)
    let head = fit.head.at(configuration.precision.products)
    let frozen = try frozen(features, material)
    return TrainedModel(
      model: FirstLayersModel(reader: reader, head: head), tokenizer: tokenizer,
      name: URL(fileURLWithPath: modelPath).lastPathComponent,
      material: material,
      outputs: head(features).map { Double($0) },
      embeddings: head.embeddings(features), frozen: frozen, epochs: 0,
      keptEpoch: 0,
      validationSpearman: fit.spearman,
      warnings: modelSHA256 == dataset.modelSHA256
        ? [] : ["the labels are another model's than \(modelPath), whose layers read the text"],
      heldOut: taught == nil ? Array(zip(material.learned, fit.heldOut)) : [],
      taught: taught?.hashes ?? [], curve: curve)
  }

  /// Everything that decides the bits of a text's features, beside its tokens.
  private func description(_ reader: LayerFeatures, _ modelSHA256: String) -> JSONValue {
    [
      "precision": JSONValue(configuration.precision.rawValue),
      "model": JSONValue(modelSHA256), "layers": JSONValue(reader.layers.configuration.layers),
      "features": JSONValue(reader.count), "kernels": JSONValue(vectorInstructionSet),
    ]
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
    let width = LayerFeatures(layers: layers, readsPredictions: isWhole).count
    let tables = isWhole && !model.configuration.tiesEmbeddings ? 2 * table : table
    return """
      \(material.summary)
      features of \(texts.count) texts, \(tokens) tokens, by \(weights) frozen weights: \(Int(operations / 1e9)) GFLOP
      disk: \((2 * (weights + tables)) >> 20) MiB and the head; while it runs \((4 * width * texts.count) >> 20) MiB of features
      """
  }

  private func taught(_ dataset: DistillationDataset, _ material: TrainingMaterial) throws -> TeachersRows? {
    try configuration.teacher.map {
      try TeachersRows(
        teacher: $0.directory, scored: $0.scored, dataset: dataset, material: material,
        without: configuration.parts.leftOut)
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
      maxPositions: model.contextLength, learnsValidation: true, configuration)
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
    return try ModelLoader.loadEncoder(directory: folder, precision: configuration.precision.products)
  }

  private func features(
    of texts: [EncodedText], _ reader: LayerFeatures, _ file: inout FeatureFile,
    _ progress: (TrainingProgress) -> Void
  ) throws -> MatrixView {
    let workspaces = EncoderWorkspaces(configuration.workers)
    let started = DispatchTime.now()
    return try file.features(
      of: texts, isCancelled: isCancelled,
      progress: { done, count in
        let left = seconds(since: started) / Double(done) * Double(count - done)
        progress(.features(done: done, of: count, secondsLeft: left))
      },
      read: { try reader($0, workers: configuration.workers, workspaces: workspaces) })
  }

  /// The same features with a linear head, and by nearest neighbours, as baselines.
  private func frozen(_ features: MatrixView, _ material: TrainingMaterial) throws -> FrozenEncoder {
    let texts = features.columns(0..<features.columns - 1)
    let heads = material.heads(texts, of: material.parts.training, lambdas: [0.3, 1, 3, 10])
    let best = material.bestOnValidation(heads, outputs: { material.validationOutputs($0.head, texts) })
    guard let lambda = best?.candidate.lambda,
      let head = material.heads(texts, of: material.learned, lambdas: [lambda]).first?.head
    else { throw DistillError.singular("ridge regression") }
    return FrozenEncoder(head, features: texts, material: material)
  }
}
