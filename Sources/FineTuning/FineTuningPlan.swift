import Formats
import LanguageModels
import LinFiK

/// What a fine-tuning will take, before it starts.
package struct FineTuningPlan: CustomStringConvertible {
  package let steps: Int
  package let tokens: Int
  /// Floating-point operations of the forward and backward passes.
  package let operations: Double
  /// Weights, their gradients and both moments, and the workers' activations.
  package let memoryBytes: Double
  /// The model, and a checkpoint while it runs.
  package let diskBytes: Double

  package init(_ run: FineTuningRun, model: any CausalLanguageModel, workers: Int) {
    steps = run.stepCount
    let perEpoch = (run.rows.count + run.configuration.batchRows - 1) / run.configuration.batchRows
    let rowTokens = run.rows.reduce(0) { $0 + $1.tokens.count }
    tokens = Int(Double(rowTokens) * Double(steps) / Double(max(1, perEpoch)))
    let weights = model.linearLayers.reduce(0) { $0 + $1.inputWidth * $1.outputWidth }
    let scored = run.rows.reduce(0.0) { $0 + Double($1.scored.count { $0 }) } / Double(max(1, rowTokens))
    let trained = Double(run.training.parameters.reduce(0) { $0 + $1.matrix.rows * $1.matrix.columns })
    let perToken = Double(weights) + scored * Double(model.headParameters)
    // A forward pass, the states' gradients, and the weights' own where they are trained.
    operations = 2 * Double(tokens) * (2 * perToken + min(perToken, trained))
    let batch = LabelDefaults.batchTokens(for: model)
    memoryBytes =
      4 * Double(weights + 2 * model.headParameters) + 16 * trained
      + Double(workers) * Double(model.activationBytes(tokens: batch) + 4 * model.headParameters)
    diskBytes = 4 * trained + 12 * trained
  }

  package var description: String {
    let teraflop = (operations / 1e11).rounded() / 10
    return
      "\(steps) steps, \(tokens) tokens, \(teraflop) TFLOP, about \(Int(memoryBytes / 1e6)) MB of memory, "
      + "\(Int(diskBytes / 1e6)) MB of disk"
  }

  package var json: String {
    let object: JSONValue = [
      "steps": JSONValue(steps), "tokens": JSONValue(tokens), "operations": JSONValue(operations),
      "memory_bytes": JSONValue(memoryBytes), "disk_bytes": JSONValue(diskBytes),
    ]
    return String(decoding: object.serialized(), as: UTF8.self)
  }
}
