import Foundation
import Synchronization

/// Progress, counts and warnings: standard error only, standard output carries data.
struct Terminal: Sendable {
  let isQuiet: Bool

  /// Whether standard error is a terminal, where a line may be rewritten.
  private static let isInteractive = isatty(STDERR_FILENO) == 1

  /// A line that stays.
  func say(_ line: String) {
    if !isQuiet { Self.write((Self.isInteractive ? "\r\u{1B}[K" : "") + line + "\n") }
  }

  /// A line that stays even with `--quiet`.
  func warn(_ line: String) { Self.write((Self.isInteractive ? "\r\u{1B}[K" : "") + "warning: \(line)\n") }

  /// A line that the next one replaces; where nothing can be replaced it is not shown.
  func progress(_ line: String) {
    if !isQuiet && Self.isInteractive { Self.write("\r\u{1B}[K\(line)") }
  }

  static func write(_ text: String) { FileHandle.standardError.write(Data(text.utf8)) }
}

/// Whether a tenth of the work has been finished since last asked.
final class ProgressMilestones: Sendable {
  private let tenths = Atomic<Int>(0)

  func passes(done: Int, of total: Int) -> Bool {
    let tenth = total > 0 ? 10 * done / total : 10
    return tenths.exchange(max(tenth, tenths.load(ordering: .relaxed)), ordering: .relaxed) < tenth
  }
}

/// `45 s`, `3 min 20 s`, `2 h 5 min`
func durationText(_ seconds: Double) -> String {
  guard seconds.isFinite else { return "?" }
  let whole = Int(seconds.rounded())
  if whole < 60 { return "\(whole) s" }
  if whole < 3600 { return "\(whole / 60) min \(whole % 60) s" }
  return "\(whole / 3600) h \(whole % 3600 / 60) min"
}
