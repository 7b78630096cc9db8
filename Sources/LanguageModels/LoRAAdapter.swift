import Formats
import Foundation
import TensorKernels

/// A LoRA adapter as PEFT saves it (Hu et al. 2021): two low matrices for some linear layers, `W + s B A`.
package struct LoRAAdapter {
  /// The matrices of one layer. A: r x inputs, B: outputs x r.
  package struct Layer: Sendable {
    let nameA: String
    let nameB: String
    package let a: MatrixView
    package let b: MatrixView
    /// `alpha / r`, or `alpha / sqrt(r)` for rank-stabilised LoRA.
    package let scale: Float

    package init(nameA: String, nameB: String, a: MatrixView, b: MatrixView, scale: Float) {
      (self.nameA, self.nameB) = (nameA, nameB)
      (self.a, self.b, self.scale) = (a, b, scale)
    }
  }

  /// What PEFT calls a layer's two matrices.
  package static func names(ofLayer layer: LinearLayer) -> (a: String, b: String) {
    let module = prefix + layer.name.dropLast(".weight".count)
    return (module + ".lora_A.weight", module + ".lora_B.weight")
  }

  /// The model that it changes.
  package let basePath: String
  package let weightsPath: String
  private let config: JSONValue
  private let configPath: String
  private let recordPath: String

  private static let prefix = "base_model.model."

  /// Nil where the directory holds no adapter. Throws for an adapter that is no plain LoRA, or whose model is not found.
  package init?(directory: String) throws {
    configPath = "\(directory)/adapter_config.json"
    weightsPath = "\(directory)/adapter_model.safetensors"
    guard FileManager.default.fileExists(atPath: configPath) else { return nil }
    config = try JSONValue.read(path: configPath)
    guard FileManager.default.fileExists(atPath: weightsPath) else {
      throw ModelError.missing("\(directory): has adapter_config.json but no adapter_model.safetensors")
    }
    basePath = try Self.basePath(config, directory: directory, configPath)
    try Self.refuseVariants(config, configPath)
    recordPath = "\(directory)/finetune.json"
  }

  /// `base_model_name_or_path` from the adapter's folder, or from the working directory.
  private static func basePath(_ config: JSONValue, directory: String, _ path: String) throws -> String {
    let name = config["base_model_name_or_path"]?.string ?? ""
    let places = name.hasPrefix("/") ? [name] : ["\(directory)/\(name)", name]
    guard !name.isEmpty, let found = places.first(where: FileManager.default.fileExists(atPath:)) else {
      throw ModelError.configuration(
        path,
        "'base_model_name_or_path' is '\(name)', which is no file or directory here; write the path of the model there"
      )
    }
    guard !FileManager.default.fileExists(atPath: found + "/adapter_config.json") else {
      throw ModelError.configuration(
        path,
        "'base_model_name_or_path' is '\(name)', which is an adapter itself; merge that one into its model")
    }
    return found
  }

  /// Throws where `alinfik finetune` made the adapter of other weights than are there now; reads them all.
  func refuseOtherBase() throws {
    guard FileManager.default.fileExists(atPath: recordPath),
      let known = try JSONValue.read(path: recordPath)["configuration"]?["model_sha256"]?.string
    else { return }
    let found = try ModelLoader.sha256(path: basePath)
    guard found == known else {
      throw ModelError.configuration(
        recordPath,
        "the adapter was trained for another model than '\(basePath)' is now (SHA-256 \(known.prefix(12))..., now "
          + "\(found.prefix(12))...)")
    }
  }

  private static func refuseVariants(_ config: JSONValue, _ path: String) throws {
    let type = config["peft_type"]?.string ?? "(none)"
    guard type == "LORA" else {
      throw ModelError.configuration(path, "'peft_type' is '\(type)', only 'LORA' is supported")
    }
    for key: ByteString in ["use_dora", "lora_bias", "use_qalora"] where config[key]?.bool == true {
      throw ModelError.configuration(path, "'\(key)' is true, only plain LoRA is supported")
    }
    let bias = config["bias"]?.string ?? "none"
    guard bias == "none" else {
      throw ModelError.configuration(path, "'bias' is '\(bias)', only 'none' is supported")
    }
  }

  /// The adapter's matrices by the index of the layer that they change. Throws for a tensor that belongs to none of
  /// the model's linear layers.
  package func layers(of model: any CausalLanguageModel) throws -> [Int: Layer] {
    let weights = try SafetensorsWeights(path: weightsPath)
    var layers: [Int: Layer] = [:]
    var known: Set<String> = []
    for (index, layer) in model.linearLayers.enumerated() {
      let module = String(layer.name.dropLast(".weight".count))
      let (nameA, nameB) = Self.names(ofLayer: layer)
      known.formUnion([nameA, nameB])
      guard let rank = (weights.shape(of: nameA) ?? weights.shape(of: nameB)?.reversed())?.first else {
        continue
      }
      layers[index] = Layer(
        nameA: nameA, nameB: nameB,
        a: try weights.matrix(nameA, rows: rank, columns: layer.inputWidth),
        b: try weights.matrix(nameB, rows: layer.outputWidth, columns: rank),
        scale: try scale(of: module, rank: rank))
    }
    if let stranger = weights.names.first(where: { !known.contains($0) }) {
      throw ModelError.tensor(
        weightsPath, stranger,
        "belongs to no linear layer inside the blocks of the base model, whose layers are named like "
          + "'\(model.linearLayers[0].name)'")
    }
    guard !layers.isEmpty else { throw ModelError.missing("\(weightsPath): has no LoRA matrices") }
    return layers
  }

  private func scale(of module: String, rank: Int) throws -> Float {
    var alpha = config["lora_alpha"]?.double ?? 8
    for (key, value) in config["alpha_pattern"]?.members ?? [] {
      guard
        key.bytes.allSatisfy({
          $0 < 0x80
            && ($0 == UInt8(ascii: ".") || $0 == UInt8(ascii: "_")
              || UnicodeScalar($0).properties.isAlphabetic || UnicodeScalar($0).properties.numericType != nil)
        })
      else {
        throw ModelError.configuration(
          configPath, "'alpha_pattern' has the pattern '\(key)'; only names are supported")
      }
      if module == key.string || module.hasSuffix("." + key.string) { alpha = value.double ?? alpha }
    }
    return Float(alpha / (config["use_rslora"]?.bool == true ? Double(rank).squareRoot() : Double(rank)))
  }
}

/// A model with a LoRA adapter: what it computes is that of the merged weights `W + s B A`, and behind the base's
/// linear layers stand the adapter's own, A and B of each, so that their gradients can be observed.
///
/// With d the gradient of a changed layer's output and x its input: `dA = (s B^T d) x^T` and `dB = d (s A x)^T`.
package struct AdaptedModel: CausalLanguageModel {
  package let linearLayers: [LinearLayer]
  /// With merged weights.
  private let merged: any CausalLanguageModel
  /// In the order of the layers that they change.
  private let adapters: [(layer: Int, matrices: LoRAAdapter.Layer)]

  package init(base: any CausalLanguageModel, adapter: LoRAAdapter) throws {
    self.init(
      base: base, adapters: try adapter.layers(of: base).sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
    )
  }

  /// - Parameter adapters: in the order of the layers that they change.
  package init(
    base: any CausalLanguageModel, adapters: [(layer: Int, matrices: LoRAAdapter.Layer)]
  ) {
    self.adapters = adapters
    var weights = base.linearLayers.indices.map { base.linearWeight($0) }
    for (layer, matrices) in adapters {
      weights[layer] = Self.merged(weights[layer], adding: [(matrices.a, matrices.b, matrices.scale)])
    }
    merged = base.replacingLinearWeights(weights)
    linearLayers =
      base.linearLayers
      + adapters.flatMap { _, matrices in
        [
          LinearLayer(
            name: matrices.nameA, inputWidth: matrices.a.columns, outputWidth: matrices.a.rows),
          LinearLayer(
            name: matrices.nameB, inputWidth: matrices.b.columns, outputWidth: matrices.b.rows),
        ]
      }
  }

  private init(
    linearLayers: [LinearLayer], merged: any CausalLanguageModel,
    adapters: [(layer: Int, matrices: LoRAAdapter.Layer)]
  ) {
    self.linearLayers = linearLayers
    self.merged = merged
    self.adapters = adapters
  }

  /// `W + sum s B A`, in memory of its own.
  private static func merged(
    _ weight: WeightMatrix, adding products: [(a: MatrixView, b: MatrixView, scale: Float)]
  ) -> WeightMatrix {
    let sum = Matrix(rows: weight.rows, columns: weight.columns)
    for row in 0..<weight.rows { weight.copyRow(row, into: sum.rows(row..<row + 1)) }
    for (a, b, scale) in products { gemm(b, .no, a, .no, into: sum, alpha: scale, beta: 1) }
    return .f32(sum.view)
  }

  private var baseCount: Int { merged.linearLayers.count }
  package var adapterLayers: Range<Int> { baseCount..<linearLayers.count }
  package var precision: Precision { merged.precision }
  package var vocabularySize: Int { merged.vocabularySize }
  package var contextLength: Int { merged.contextLength }
  package var headParameters: Int { merged.headParameters }
  package var attentionWidth: Int { merged.attentionWidth }

  package var summary: String {
    merged.summary + ", with a LoRA adapter of \(adapters.count) layers"
  }

  /// The adapter's part is small: x A^T and d B, one layer at a time.
  package func activationBytes(tokens: Int) -> Int {
    let widest = adapters.map(\.matrices.a.rows).max() ?? 0
    return merged.activationBytes(tokens: tokens) + MemoryLayout<Float>.stride * (2 * tokens * widest + 32)
  }

  package func losses(of batch: TokenBatch, workspace: Workspace) -> [Double] {
    merged.losses(of: batch, workspace: workspace)
  }

  package func losses(of batch: TokenBatch, workspace: Workspace, observer: some GradientObserver) -> [Double]
  {
    let adapted = AdapterObserver(
      observer: observer, adapters: adapters, baseCount: baseCount, precision: precision)
    return merged.losses(of: batch, workspace: workspace, observer: adapted)
  }

  package func headStates(of batch: TokenBatch, workspace: Workspace) -> MatrixView {
    merged.headStates(of: batch, workspace: workspace)
  }

  package func nextTokenLogits(_ tokens: [Int32], workspace: Workspace) -> [Float] {
    merged.nextTokenLogits(tokens, workspace: workspace)
  }

  /// Of a layer that the adapter changes: the merged weight.
  package func linearWeight(_ layer: Int) -> WeightMatrix {
    if layer < baseCount { return merged.linearWeight(layer) }
    let (index, isB) = (layer - baseCount).quotientAndRemainder(dividingBy: 2)
    let matrices = adapters[index].matrices
    return .f32(isB == 1 ? matrices.b : matrices.a)
  }

  /// A changed layer's merged weight takes the difference that other adapter matrices make on top.
  package func replacingLinearWeights(_ weights: [WeightMatrix]) -> AdaptedModel {
    precondition(
      weights.count == linearLayers.count, "\(weights.count) weights for \(linearLayers.count) layers")
    var base = Array(weights[..<baseCount])
    let changed = adapters.enumerated().map { index, adapter in
      let (old, a, b) = (
        adapter.matrices, weights[baseCount + 2 * index].f32, weights[baseCount + 2 * index + 1].f32
      )
      if a.pointer != old.a.pointer || b.pointer != old.b.pointer {
        base[adapter.layer] = Self.merged(
          base[adapter.layer], adding: [(old.a, old.b, -old.scale), (a, b, old.scale)])
      }
      return (
        layer: adapter.layer,
        matrices: LoRAAdapter.Layer(nameA: old.nameA, nameB: old.nameB, a: a, b: b, scale: old.scale)
      )
    }
    return AdaptedModel(
      linearLayers: linearLayers, merged: merged.replacingLinearWeights(base), adapters: changed)
  }
}

/// Shows an observer each layer and, behind it, the adapter's matrices of that layer.
private final class AdapterObserver<Observer: GradientObserver>: GradientObserver {
  private let observer: Observer
  private let matrices: [Int: (index: Int, matrices: LoRAAdapter.Layer)]
  private let baseCount: Int
  private let precision: Precision
  private let arena = Arena(capacity: 0)

  init(
    observer: Observer, adapters: [(layer: Int, matrices: LoRAAdapter.Layer)], baseCount: Int,
    precision: Precision
  ) {
    self.observer = observer
    self.baseCount = baseCount
    self.precision = precision
    matrices = Dictionary(
      uniqueKeysWithValues: adapters.enumerated().map { ($1.layer, (index: $0, matrices: $1.matrices)) })
  }

  func observe(layer: Int, input x: MatrixView, outputGradient d: MatrixView, batch: TokenBatch) {
    observer.observe(layer: layer, input: x, outputGradient: d, batch: batch)
    guard let (index, lora) = matrices[layer] else { return }
    arena.reset(capacity: 2 * (x.rows * lora.a.rows + 16))
    let (inner, dinner) = (arena.matrix(x.rows, lora.a.rows), arena.matrix(x.rows, lora.a.rows))
    gemm(x, .no, lora.a, .yes, into: inner, alpha: lora.scale, precision: precision)
    gemm(d, .no, lora.b, .no, into: dinner, alpha: lora.scale, precision: precision)
    let first = baseCount + 2 * index
    observer.observe(layer: first + 1, input: inner.view, outputGradient: d, batch: batch)
    observer.observe(layer: first, input: x, outputGradient: dinner.view, batch: batch)
  }
}
