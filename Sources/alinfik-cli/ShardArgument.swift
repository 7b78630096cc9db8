import ArgumentParser
import Foundation
import LinFiK

/// `2/4`, or `auto`: what the launcher says of this process.
struct ShardArgument: ExpressibleByArgument {
  let shard: Shard

  init?(argument: String) {
    let found =
      argument == "auto" ? Shard(environment: ProcessInfo.processInfo.environment) : Shard(argument)
    guard let found else { return nil }
    shard = found
  }
}
