import Formats
import Foundation
import TensorKernels
import TestSupport
import Testing

import LanguageModels

/// LoRA adapters as PEFT saves them, against PEFT itself.
@Suite struct LoRAAdapterTests {
  @Test(arguments: GoldenModel.adapters) func gradientsEqualPyTorch(_ name: String) throws {
    try GradientChecks(name).gradientsEqualPyTorch()
  }

  @Test(arguments: GoldenModel.adapters) func gradientsEqualFiniteDifferences(_ name: String) throws {
    try GradientChecks(name).gradientsEqualFiniteDifferences()
  }

  @Test func theAdaptersMatricesStandBehindTheBasesLayers() throws {
    let golden = try GoldenModel("adapters/mistral")
    let model = try ModelLoader.load(path: golden.modelPath)
    #expect(model.adapterLayers == 14..<26)
    #expect(model.linearLayers[..<14].allSatisfy { !$0.name.contains("lora") })
    let first = model.linearLayers[14]
    #expect(first.name == "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight")
    #expect(first.inputWidth == 16 && first.outputWidth == 3)
    #expect(Set(golden.watched) == Set(model.linearLayers[14...].map(\.name)))
  }

  /// Its own files and the base model's.
  @Test func filesAreThoseOfAdapterAndBase() throws {
    let names = try ModelLoader.files(path: TestData.fixture("adapters/mistral")).map {
      $0.split(separator: "/").last!
    }
    #expect(
      Set(names) == ["adapter_config.json", "adapter_model.safetensors", "config.json", "model.safetensors"])
  }

  /// The message with which the adapter is refused after a change of its configuration.
  private func refusal(_ change: (old: String, new: String)) throws -> String {
    let source = TestData.fixture("adapters/mistral")
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("alinfik-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let weights = "adapter_model.safetensors"
    try FileManager.default.copyItem(
      atPath: "\(source)/\(weights)", toPath: folder.appendingPathComponent(weights).path)
    let config = try String(contentsOfFile: "\(source)/adapter_config.json", encoding: .utf8)
      .replacing("../../decoders/mistral", with: TestData.fixture("decoders/mistral"))
    try #require(config.contains(change.old))
    try config.replacing(change.old, with: change.new)
      .write(to: folder.appendingPathComponent("adapter_config.json"), atomically: true, encoding: .utf8)
    return "\(try #require(throws: (any Error).self) { try ModelLoader.load(path: folder.path) })"
  }

  @Test func whatIsNoPlainLoRAIsRefused() throws {
    let base = TestData.fixture("decoders/mistral")
    #expect(try refusal((#""peft_type": "LORA""#, #""peft_type": "IA3""#)).contains("'peft_type' is 'IA3'"))
    #expect(try refusal((#""use_dora": false"#, #""use_dora": true"#)).contains("'use_dora' is true"))
    #expect(try refusal((#""bias": "none""#, #""bias": "all""#)).contains("'bias' is 'all'"))
    #expect(try refusal((base, "org/model")).contains("'base_model_name_or_path' is 'org/model'"))
    #expect(try refusal((base, TestData.fixture("decoders/phi3"))).contains("belongs to no linear layer"))
    #expect(try refusal((base, TestData.fixture("decoders/llama3"))).contains("has shape"))
  }
}

/// Weights that are spread over several files.
@Suite struct ShardedWeightsTests {
  /// A model's tensors in two files with an index; `change` may spoil what was written.
  private func sharded(_ change: (URL) throws -> Void = { _ in }) throws -> (
    model: any CausalLanguageModel, files: [String]
  ) {
    let source = TestData.fixture("decoders/mistral")
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("alinfik-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    try FileManager.default.copyItem(
      atPath: "\(source)/config.json", toPath: folder.appendingPathComponent("config.json").path)
    let whole = try SafetensorsFile(path: "\(source)/model.safetensors")
    var map: [(key: ByteString, value: JSONValue)] = []
    for part in 0..<2 {
      let name = "model-0000\(part + 1)-of-00002.safetensors"
      let tensors = try whole.tensors.enumerated().filter { $0.offset % 2 == part }.map { _, tensor in
        (
          name: tensor.name, shape: tensor.shape,
          values: try whole.floats(named: tensor.name, shape: tensor.shape)
        )
      }
      try SafetensorsWriter.write(to: folder.appendingPathComponent(name).path, tensors: tensors)
      map += tensors.map { (ByteString($0.name), JSONValue(name)) }
    }
    let index: JSONValue = ["metadata": [:], "weight_map": .object(map)]
    try Data(index.serialized()).write(to: folder.appendingPathComponent("model.safetensors.index.json"))
    try change(folder)
    let files = try ModelLoader.files(path: folder.path).map { String($0.split(separator: "/").last!) }
    return (try ModelLoader.load(path: folder.path), files)
  }

  @Test func modelEqualsThatOfOneFile() throws {
    let (model, files) = try sharded()
    let whole = try ModelLoader.load(path: TestData.fixture("decoders/mistral"))
    let tokens: [Int32] = [1, 5, 9, 2, 40, 3]
    #expect(
      model.nextTokenLogits(tokens, workspace: Workspace())
        == whole.nextTokenLogits(tokens, workspace: Workspace()))
    #expect(
      files == [
        "config.json", "model.safetensors.index.json", "model-00001-of-00002.safetensors",
        "model-00002-of-00002.safetensors",
      ])
  }

  @Test func whatIsMissingIsNamed() throws {
    func message(_ change: (URL) throws -> Void) throws -> String {
      "\(try #require(throws: (any Error).self) { _ = try sharded(change) })"
    }
    let second = "model-00002-of-00002.safetensors"
    #expect(
      try message { try FileManager.default.removeItem(at: $0.appendingPathComponent(second)) }.contains(
        second))
    #expect(
      try message {
        try Data("{}".utf8).write(to: $0.appendingPathComponent("model.safetensors.index.json"))
      }.contains("weight_map"))
    #expect(
      try message {
        let first = $0.appendingPathComponent("model-00001-of-00002.safetensors")
        try FileManager.default.removeItem(at: $0.appendingPathComponent(second))
        try FileManager.default.copyItem(at: first, to: $0.appendingPathComponent(second))
      }.contains("in another file"))
  }
}
