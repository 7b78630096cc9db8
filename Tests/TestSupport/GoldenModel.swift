import Formats

/// What PyTorch in float64 found for a small language model (`scripts/fixtures/llama.py`, `gpt2.py`).
package struct GoldenModel: Sendable {
  package struct Sample: Sendable {
    package let id: String
    package let tokens: [Int32]
    package let isScored: [Bool]
    package let loss: Double
    package let dot: Double
    package let cosine: Double
    package let layerCosine: Double
    package let gradientNorm: Double
    package let dotPerTarget: [Double]
  }

  /// The family and the fixture, for example `llama/tied`.
  package let name: String
  package let samples: [Sample]
  /// Indices into `samples` of the target examples.
  package let targets: [Int]

  /// Random models that are committed whole.
  package static let llama = ["llama/tied", "llama/untied", "llama/head-dim"]
  package static let gpt2 = ["gpt2/gelu-new", "gpt2/original"]

  package init(_ name: String) throws {
    self.name = name
    let json = try JSONValue.read(path: TestData.fixture("\(name)/golden.json"))
    samples = json["samples"]!.array!.map { sample in
      Sample(
        id: sample["id"]!.string!, tokens: sample["ids"]!.array!.map { Int32($0.int!) },
        isScored: sample["scored"]!.array!.map { $0.bool! }, loss: sample["loss"]!.double!,
        dot: sample["dot"]!.double!, cosine: sample["cosine"]!.double!,
        layerCosine: sample["layer_cosine"]!.double!, gradientNorm: sample["gradient_norm"]!.double!,
        dotPerTarget: sample["dot_per_target"]!.array!.map { $0.double! })
    }
    let ids = samples.map(\.id)
    targets = json["targets"]!.array!.map { ids.firstIndex(of: $0.string!)! }
  }

  /// The model's directory: the fixture's own, or the real one among the test data.
  package var modelPath: String {
    name == "llama/stories260k" ? TestData.path("stories260k") : TestData.fixture("\(name)")
  }

  /// The per-sample gradients, named `<sample>/<weight name>`.
  package var gradientsPath: String { TestData.fixture("\(name)/golden.safetensors") }
}
