import Formats

/// What PyTorch in float64 found for a small language model (`scripts/fixtures`).
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
  /// The weights whose gradients PyTorch has taken.
  package let watched: [String]
  /// Indices into `samples` of the target examples.
  package let targets: [Int]

  /// Random models that are committed whole.
  package static let llama = ["llama/tied", "llama/untied", "llama/head-dim"]
  package static let gpt2 = ["gpt2/gelu-new", "gpt2/original"]
  /// One or more of each family, with every variant that is computed (`scripts/fixtures/decoders.py`).
  package static let decoders = [
    "llama3", "llama-linear", "llama-bias", "llama-yarn", "mistral", "qwen2", "qwen3", "smollm3", "phi3",
    "phi3-long", "phi3-partial", "gemma", "gemma2", "gemma3", "pythia", "gpt-neox-sequential",
  ].map { "decoders/\($0)" }

  /// LoRA adapters of such models (`scripts/fixtures/adapters.py`).
  package static let adapters = ["adapters/mistral", "adapters/qwen2", "adapters/gpt2"]

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
    watched = json["watched"]!.array!.map { $0.string! }
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
