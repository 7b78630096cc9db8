import TestSupport
import TensorKernels
import Testing

/// Loss and per-sample gradients against PyTorch in float64, and against themselves.
@Suite struct LlamaGradientTests {
  @Test(arguments: GoldenModel.llama) func gradientsOfRandomModelsEqualPyTorch(_ name: String) throws {
    try GradientChecks(name).gradientsEqualPyTorch()
  }

  @Test(.enabled(if: TestData.isAvailable, "wants stories260k in ALINFIK_DATA"))
  func gradientsOfStories260kEqualPyTorch() throws {
    try GradientChecks("llama/stories260k").gradientsEqualPyTorch()
  }

  @Test func rowInABatchEqualsTheRowAlone() throws {
    try GradientChecks("llama/untied").rowInABatchEqualsTheRowAlone()
  }

  @Test(arguments: GoldenModel.llama) func gradientsEqualFiniteDifferences(_ name: String) throws {
    try GradientChecks(name).gradientsEqualFiniteDifferences()
  }

  @Test func longSequenceEqualsItsBeginning() throws {
    try GradientChecks("llama/tied").longSequenceEqualsItsBeginning()
  }

  @Test(arguments: Precision.allCases) func lossWithoutBackwardIsTheSame(_ precision: Precision) throws {
    try GradientChecks("llama/tied", precision: precision).lossWithoutBackwardIsTheSame()
  }
}
