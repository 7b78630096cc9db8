import Foundation

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
