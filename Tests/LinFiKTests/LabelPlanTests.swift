import Formats
import Foundation
import LinFiK
import Records
import TestSupport
import Testing

@Suite struct LabelPlanTests {
  private func run() throws -> LabelRun {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("plan-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let path = folder.appendingPathComponent("rows.jsonl").path
    try #"{"text": "Once upon a time there was a cat."}"#.write(
      toFile: path, atomically: true, encoding: .utf8)
    let model = try LoadedModel(path: TestData.path("stories260k"))
    let rows = try PreparedRows(
      paths: [path], options: RecordOptions(), encoder: model.sampleEncoder(maximumTokens: nil))
    return try LabelRun(model: model, targets: rows, samples: rows, configuration: LabelConfiguration())
  }

  @Test(.enabled(if: TestData.isAvailable, "wants stories260k in ALINFIK_DATA"))
  func tooLittleMemoryIsSaidWithWhatToChange() throws {
    let plan = try LabelPlan(try run(), workers: 2)
    try plan.refuseTooLittleMemory(available: plan.memoryBytes)
    try plan.refuseTooLittleMemory(available: nil)
    let error = #expect(throws: LabelError.self) {
      try plan.refuseTooLittleMemory(available: plan.memoryBytes - 1)
    }
    let message = try #require(error).description
    for part in ["--threads", "--max-tokens", "--projection"] { #expect(message.contains(part)) }
    #expect(plan.memoryBytes > 2 * plan.workerBytes)
  }

  @Test(
    .enabled(if: TestData.isAvailable, "wants stories260k in ALINFIK_DATA"),
    arguments: [CurvatureKind.fisher, .ekfac, .adam])
  func aShardOfCurvatureKeepsItsBlocksApart(_ kind: CurvatureKind) throws {
    let run = try run()
    let recipe = CurvatureRecipe(
      kind: kind, model: run.model, watched: run.watched, samples: run.samples,
      projection: kind == .fisher ? .random(rank: 1) : .none, beta2: 0.999, seed: 1)
    let (whole, last) = (recipe.memoryBytes, try #require(Shard(index: 16, count: 16)))
    try recipe.refuseTooLittleMemory(available: whole)
    try recipe.refuseTooLittleMemory(shard: last, available: whole)
    let error = #expect(throws: LabelError.self) {
      try recipe.refuseTooLittleMemory(shard: Shard(index: 1, count: 2), available: whole)
    }
    #expect("\(try #require(error))".contains("more shards"))
  }
}
