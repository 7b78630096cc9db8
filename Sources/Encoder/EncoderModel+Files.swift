import Formats
import TensorKernels

extension EncoderModel {
  /// Reads config.json and model.safetensors of a Hugging Face folder; the head stays zero.
  ///
  /// Names may begin with `bert.`, as in checkpoints of models with another head. Throws where a tensor is missing,
  /// has another shape or holds a value that is not finite.
  package static func load(directory: String) throws -> EncoderModel {
    let configurationPath = directory + "/config.json"
    let configuration = try EncoderConfiguration(
      json: JSONValue.read(path: configurationPath), path: configurationPath)
    let file = try SafetensorsFile(path: directory + "/model.safetensors")
    // Before any memory is taken: the weights must be there in about the number that the configuration claims.
    let stored = file.tensors.reduce(0) { $0 + $1.elementCount }
    guard configuration.leastWeights <= stored else {
      throw EncoderError.malformed(
        configurationPath,
        "it claims at least \(configuration.leastWeights) weights, model.safetensors holds \(stored)")
    }
    let model = EncoderModel(configuration: configuration)
    let first = model.layout.wordEmbeddings.name
    let prefix = file.tensor(named: first) == nil && file.tensor(named: "bert." + first) != nil ? "bert." : ""
    for place in model.layout.encoderPlaces {
      try model.parameters.read(place, from: file, name: prefix + place.name)
    }
    return model
  }

  /// The encoder's tensors under their Hugging Face names, to be written.
  var tensors: [(name: String, shape: [Int], values: [Float])] {
    layout.encoderPlaces.map { ($0.name, $0.shape, parameters.view($0).values) }
  }

  /// The head as a sentence-transformers `Dense` module names it.
  var headTensors: [(name: String, shape: [Int], values: [Float])] {
    [
      ("linear.weight", layout.headWeight.shape, parameters.view(layout.headWeight).values),
      ("linear.bias", layout.headBias.shape, parameters.view(layout.headBias).values),
    ]
  }

  func readHead(path: String) throws {
    let file = try SafetensorsFile(path: path)
    try parameters.read(layout.headWeight, from: file, name: "linear.weight")
    try parameters.read(layout.headBias, from: file, name: "linear.bias")
  }
}

extension FloatStorage {
  fileprivate func read(_ place: ParameterPlace, from file: SafetensorsFile, name: String) throws {
    let values = try file.floats(named: name, shape: place.shape)
    matrix(place).pointer.update(from: values, count: place.count)
  }
}
