import ArgumentParser
import Foundation
import LinFiK

extension Shard {
  /// Of `2/4`, or `auto`: what the launcher says of this process.
  static func argument(_ text: String) throws -> Shard {
    guard text == "auto" else {
      guard let shard = Shard(text) else {
        throw ValidationError("'\(text)' is no shard: give i/n with i from 1 to n, as 2/4, or auto")
      }
      return shard
    }
    guard let shard = Shard(environment: ProcessInfo.processInfo.environment) else {
      throw ValidationError(
        "'auto' finds no launcher that started several processes, in \(Shard.variables); give i/n")
    }
    return shard
  }
}
