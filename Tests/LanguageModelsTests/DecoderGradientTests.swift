import Formats
import Foundation
import TensorKernels
import TestSupport
import Testing

import LanguageModels

/// Every family that Llama's file computes, on random models: loss and per-sample gradients against PyTorch, and
/// against themselves.
@Suite struct DecoderGradientTests {
  @Test(arguments: GoldenModel.decoders) func gradientsOfRandomModelsEqualPyTorch(_ name: String) throws {
    try GradientChecks(name).gradientsEqualPyTorch()
  }

  @Test(arguments: GoldenModel.decoders) func rowInABatchEqualsTheRowAlone(_ name: String) throws {
    try GradientChecks(name).rowInABatchEqualsTheRowAlone()
  }

  @Test(arguments: GoldenModel.decoders) func gradientsEqualFiniteDifferences(_ name: String) throws {
    try GradientChecks(name).gradientsEqualFiniteDifferences()
  }

  @Test(arguments: GoldenModel.decoders) func lossWithoutBackwardIsTheSame(_ name: String) throws {
    for precision in Precision.allCases {
      try GradientChecks(name, precision: precision).lossWithoutBackwardIsTheSame()
    }
  }
}
