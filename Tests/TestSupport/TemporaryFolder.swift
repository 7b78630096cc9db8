import Foundation

/// A new folder that goes when the object goes.
package final class TemporaryFolder {
  package let path = FileManager.default.temporaryDirectory
    .appendingPathComponent("alinfik-test-\(UUID().uuidString)").path

  package init() throws {
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }
}
