import TensorKernels

/// Where one parameter lies in the flat memory that all of an encoder's parameters share.
package struct ParameterPlace: Sendable {
  /// The Hugging Face weight name.
  package let name: String
  package let rows: Int
  package let columns: Int
  package let offset: Int
  /// Biases and norms have one dimension in files; tables and weights two.
  package let isVector: Bool
  /// 0 for the embeddings, 1... for the encoder's layers, `layers + 1` for the head.
  package let depth: Int

  package var count: Int { rows * columns }
  package var shape: [Int] { isVector ? [columns] : [rows, columns] }
}

/// The places of one encoder layer's parameters. Query, key and value follow each other, so that one product makes
/// all three.
package struct EncoderLayerLayout: Sendable {
  package let queryKeyValueWeight: ParameterPlace
  package let queryKeyValueBias: ParameterPlace
  package let attentionOutputWeight: ParameterPlace
  package let attentionOutputBias: ParameterPlace
  package let attentionNormWeight: ParameterPlace
  package let attentionNormBias: ParameterPlace
  package let intermediateWeight: ParameterPlace
  package let intermediateBias: ParameterPlace
  package let outputWeight: ParameterPlace
  package let outputBias: ParameterPlace
  package let outputNormWeight: ParameterPlace
  package let outputNormBias: ParameterPlace
}

/// How an encoder's parameters and its value head lie in one allocation; the same for weights, gradients and moments.
package struct EncoderLayout: Sendable {
  package let wordEmbeddings: ParameterPlace
  package let positionEmbeddings: ParameterPlace
  package let typeEmbeddings: ParameterPlace
  package let embeddingNormWeight: ParameterPlace
  package let embeddingNormBias: ParameterPlace
  package let layers: [EncoderLayerLayout]
  package let headWeight: ParameterPlace
  package let headBias: ParameterPlace
  /// Every parameter under its Hugging Face name, in order of offset; the head's two come last.
  package let places: [ParameterPlace]
  package let count: Int

  package init(_ shape: EncoderConfiguration) {
    var builder = LayoutBuilder()
    let h = shape.hiddenSize
    wordEmbeddings = builder.weight("embeddings.word_embeddings.weight", shape.vocabularySize, h)
    positionEmbeddings = builder.weight("embeddings.position_embeddings.weight", shape.maxPositions, h)
    typeEmbeddings = builder.weight("embeddings.token_type_embeddings.weight", shape.typeVocabularySize, h)
    embeddingNormWeight = builder.vector("embeddings.LayerNorm.weight", h)
    embeddingNormBias = builder.vector("embeddings.LayerNorm.bias", h)
    layers = (0..<shape.layers).map { index in
      builder.depth = index + 1
      return builder.layer("encoder.layer.\(index)", hidden: h, intermediate: shape.intermediateSize)
    }
    builder.depth = shape.layers + 1
    headWeight = builder.weight("head.weight", 1, 2 * h)
    headBias = builder.vector("head.bias", 1)
    places = builder.places
    count = builder.end
  }

  /// The encoder's own parameters, without the head.
  package var encoderPlaces: ArraySlice<ParameterPlace> { places.dropLast(2) }
}

/// Hands out consecutive places.
private struct LayoutBuilder {
  var places: [ParameterPlace] = []
  var end = 0
  var depth = 0

  mutating func weight(_ name: String, _ rows: Int, _ columns: Int) -> ParameterPlace {
    place(name, rows, columns, isVector: false)
  }

  mutating func vector(_ name: String, _ count: Int) -> ParameterPlace {
    place(name, 1, count, isVector: true)
  }

  mutating func layer(_ prefix: String, hidden h: Int, intermediate: Int) -> EncoderLayerLayout {
    let parts = ["query", "key", "value"]
    let weights = parts.map { weight("\(prefix).attention.self.\($0).weight", h, h) }
    let biases = parts.map { vector("\(prefix).attention.self.\($0).bias", h) }
    return EncoderLayerLayout(
      queryKeyValueWeight: fused(weights, rows: 3 * h, columns: h),
      queryKeyValueBias: fused(biases, rows: 1, columns: 3 * h),
      attentionOutputWeight: weight("\(prefix).attention.output.dense.weight", h, h),
      attentionOutputBias: vector("\(prefix).attention.output.dense.bias", h),
      attentionNormWeight: vector("\(prefix).attention.output.LayerNorm.weight", h),
      attentionNormBias: vector("\(prefix).attention.output.LayerNorm.bias", h),
      intermediateWeight: weight("\(prefix).intermediate.dense.weight", intermediate, h),
      intermediateBias: vector("\(prefix).intermediate.dense.bias", intermediate),
      outputWeight: weight("\(prefix).output.dense.weight", h, intermediate),
      outputBias: vector("\(prefix).output.dense.bias", h),
      outputNormWeight: vector("\(prefix).output.LayerNorm.weight", h),
      outputNormBias: vector("\(prefix).output.LayerNorm.bias", h))
  }

  private mutating func place(
    _ name: String, _ rows: Int, _ columns: Int, isVector: Bool
  ) -> ParameterPlace {
    let place = ParameterPlace(
      name: name, rows: rows, columns: columns, offset: end, isVector: isVector, depth: depth)
    end += place.count
    places.append(place)
    return place
  }

  /// One place over parameters that follow each other without a gap.
  private func fused(_ parts: [ParameterPlace], rows: Int, columns: Int) -> ParameterPlace {
    ParameterPlace(
      name: parts[0].name, rows: rows, columns: columns, offset: parts[0].offset,
      isVector: parts[0].isVector, depth: parts[0].depth)
  }
}

/// Numbers laid out as an encoder's parameters, for gradients and moments; with or without the embedding tables,
/// which are half of a small encoder and may be frozen.
package struct ParameterBuffer: Sendable {
  package let storage: FloatStorage
  /// Where the first parameter lies that this buffer holds.
  package let first: Int

  package init(_ layout: EncoderLayout, withTables: Bool = true) {
    first = withTables ? 0 : layout.embeddingNormWeight.offset
    storage = FloatStorage(count: layout.count - first)
  }

  package var hasTables: Bool { first == 0 }

  package func matrix(_ place: ParameterPlace) -> Matrix {
    Matrix(storage: storage, offset: place.offset - first, rows: place.rows, columns: place.columns)
  }

  package func view(_ place: ParameterPlace) -> MatrixView { matrix(place).view }

  package func clear() { storage.base.update(repeating: 0, count: storage.count) }
}

extension FloatStorage {
  /// The parameter at `place`, to be written.
  package func matrix(_ place: ParameterPlace) -> Matrix {
    Matrix(storage: self, offset: place.offset, rows: place.rows, columns: place.columns)
  }

  /// The parameter at `place`, to be read.
  package func view(_ place: ParameterPlace) -> MatrixView { matrix(place).view }
}
