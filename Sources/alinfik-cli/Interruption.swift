import Foundation
import Synchronization

/// SIGINT and SIGTERM: commands are asked to stop at the next safe place; a second signal ends the process at once.
enum Interruption {
  private static let received = Atomic<Int32>(0)

  /// The signal that asked this process to stop, if one did.
  static var signal: Int32? {
    let number = received.load(ordering: .relaxed)
    return number == 0 ? nil : number
  }

  static func install() {
    for number in [SIGINT, SIGTERM] {
      Foundation.signal(number) { number in
        if Interruption.received.exchange(number, ordering: .relaxed) != 0 { _exit(128 + number) }
      }
    }
    // Whoever started this process may have blocked them, as worker threads of Dispatch do, and masks are inherited.
    var signals = sigset_t()
    sigemptyset(&signals)
    sigaddset(&signals, SIGINT)
    sigaddset(&signals, SIGTERM)
    pthread_sigmask(SIG_UNBLOCK, &signals, nil)
    // A closed pipe shows up as a write error, which ends the command quietly.
    Foundation.signal(SIGPIPE, SIG_IGN)
  }
}
