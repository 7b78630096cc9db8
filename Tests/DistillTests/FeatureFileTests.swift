import Distill
import Encoder
import Formats
import Foundation
import TensorKernels
import Testing

@Suite struct FeatureFileTests {
  private let texts = (0..<150).map { EncodedText([7, $0 % 100, 3], isScored: [false, $0 < 100, true]) }

  /// What stands for a forward pass: (first scored place, second id).
  private func read(_ texts: [EncodedText]) -> MatrixView {
    Matrix(
      rows: texts.count, columns: 2,
      values: texts.flatMap { [Float($0.isScored.firstIndex(of: true)!), Float($0.ids[1])] }
    ).view
  }

  private func features(_ path: String, layers: Int = 3, readAtMost most: Int = .max) throws -> (
    values: [Float], read: Int
  ) {
    var count = 0
    var file = try FeatureFile(path: path, reader: ["layers": JSONValue(layers)], width: 2)
    let matrix = try file.features(
      of: texts, isCancelled: { count >= most }, progress: { _, _ in },
      read: {
        count += $0.count
        return read($0)
      })
    return (matrix.values, count)
  }

  private func temporary() -> String {
    FileManager.default.temporaryDirectory.path + "/\(UUID().uuidString).features"
  }

  /// Equal tokens that are marked otherwise are another text.
  @Test func whatIsThereIsNotReadAgain() throws {
    let path = temporary()
    defer { try? FileManager.default.removeItem(atPath: path) }
    #expect(throws: DistillError.interrupted) { try features(path, readAtMost: 64) }
    let rest = try features(path)
    #expect(rest.read == 150 - 64)
    #expect(rest.values == read(texts).values)
    #expect(try features(path).read == 0)
  }

  @Test func aTornEndIsReadAgain() throws {
    let path = temporary()
    defer { try? FileManager.default.removeItem(atPath: path) }
    _ = try features(path)
    let whole = try Data(contentsOf: URL(fileURLWithPath: path))
    try whole.dropLast(5).write(to: URL(fileURLWithPath: path))
    let again = try features(path)
    #expect(again.read == 1 && again.values == read(texts).values)
    #expect(try Data(contentsOf: URL(fileURLWithPath: path)).count == whole.count)
  }

  @Test func featuresOfOtherLayersAreRefused() throws {
    let path = temporary()
    defer { try? FileManager.default.removeItem(atPath: path) }
    _ = try features(path)
    #expect(
      throws: FormatError.differentConfiguration(path: path, option: "layers", journal: "3", now: "4")
    ) {
      try features(path, layers: 4)
    }
  }
}
