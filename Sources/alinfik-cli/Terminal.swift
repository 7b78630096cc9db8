import Foundation
import Logging
import Synchronization

/// Progress, counts and warnings: standard error only, standard output carries data.
struct Terminal: Sendable {
  private let logger: Logger

  init(isQuiet: Bool) {
    var logger = Logger(label: "alinfik") { _ in StandardErrorHandler() }
    logger.logLevel = isQuiet ? .warning : .info
    self.logger = logger
  }

  /// Whether standard error is a terminal, where a line may be rewritten.
  fileprivate static let isInteractive = isatty(STDERR_FILENO) == 1

  /// A line that stays.
  func say(_ line: String) { logger.info("\(line)") }

  /// A line that stays even with `--quiet`.
  func warn(_ line: String) { logger.warning("\(line)") }

  /// A line that the next one replaces; where nothing can be replaced it is not shown.
  func progress(_ line: String) {
    if logger.logLevel <= .info && Self.isInteractive { Self.write("\r\u{1B}[K\(line)") }
  }

  /// A closed or full standard error is no reason to stop working.
  static func write(_ text: String) { try? FileHandle.standardError.write(contentsOf: Data(text.utf8)) }
}

/// Writes messages as a person reads them: warnings say so, the rest is the bare line.
private struct StandardErrorHandler: LogHandler {
  var logLevel = Logger.Level.info
  var metadata: Logger.Metadata = [:]

  subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { metadata[key] }
    set { metadata[key] = newValue }
  }

  func log(event: LogEvent) {
    let clear = Terminal.isInteractive ? "\r\u{1B}[K" : ""
    Terminal.write("\(clear)\(event.level >= .warning ? "\(event.level): " : "")\(event.message)\n")
  }
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

extension String {
  /// On one line and without control characters: what records hold must not steer a terminal.
  var printable: String {
    String(
      String.UnicodeScalarView(unicodeScalars.map { $0.properties.generalCategory == .control ? " " : $0 }))
  }
}
