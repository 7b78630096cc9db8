import Foundation
import Reporting

/// What a method's run took: wall seconds, and the most memory this process held meanwhile.
func measured<Value>(_ body: () throws -> Value) rethrows -> (value: Value, seconds: Double, peakBytes: Int?)
{
  resetPeakMemory()
  let start = ContinuousClock.now
  let value = try body()
  return (value, start.duration(to: .now) / .seconds(1), peakMemoryBytes())
}

/// Asks the kernel to count this process's peak memory from now on; where it cannot, the peak is the whole run's.
private func resetPeakMemory() {
  guard let file = FileHandle(forWritingAtPath: "/proc/self/clear_refs") else { return }
  try? file.write(contentsOf: Data("5".utf8))
  try? file.close()
}

private func peakMemoryBytes() -> Int? {
  guard let status = try? String(contentsOfFile: "/proc/self/status", encoding: .utf8) else { return nil }
  let line = status.split(separator: "\n").first { $0.hasPrefix("VmHWM:") }
  let kilobytes = line?.split(separator: " ").dropFirst().first {
    Int($0) != nil || $0.allSatisfy(\.isNumber)
  }
  return kilobytes.flatMap { Int($0) }.map { $0 * 1024 }
}
