import Formats
import LanguageModels
import Records
import TensorKernels
import Tokenization

/// A language model with all that reading text for it takes.
package struct LoadedModel: Sendable {
  package let path: String
  package let model: any CausalLanguageModel
  package let tokenizer: Tokenizer
  /// Of configuration, weights and tokenizer (`ModelLoader.sha256`).
  package let sha256: String

  /// Opens a Hugging Face directory or a GGUF file.
  package init(path: String, precision: Precision = .f32) throws {
    self.path = path
    model = try ModelLoader.load(path: path, precision: precision)
    tokenizer = try Tokenizer.load(ModelLoader.tokenizerPath(path: path))
    guard tokenizer.vocabularySize <= model.vocabularySize else {
      throw ModelError.configuration(
        path, "its tokenizer knows \(tokenizer.vocabularySize) tokens, the model only \(model.vocabularySize)"
      )
    }
    sha256 = try ModelLoader.sha256(path: path)
  }

  /// Turns records into what this model sees. `maximumTokens` keeps the first so many tokens of a row.
  package func sampleEncoder(maximumTokens: Int?) -> SampleEncoder {
    SampleEncoder(tokenizer: tokenizer, maximumTokens: maximumTokens, contextLength: model.contextLength)
  }
}
