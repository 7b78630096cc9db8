import ArgumentParser
import Duplicates
import FineTuning
import Formats
import Foundation
import LanguageModels
import LinFiK
import Records
import Tokenization
import Verification

/// Exit codes of the contract (sysexits.h).
enum Exit {
  /// Of `drift`, as `diff` says it: nothing went wrong, and there is a difference.
  static let drift: Int32 = 1
  static let usage: Int32 = 64
  static let badData: Int32 = 65
  static let missingInput: Int32 = 66
  static let internalError: Int32 = 70
  static let inputOutput: Int32 = 74
}

/// An error of ours that knows how the process should end.
protocol ExitCoded: Error {
  var exitCode: Int32 { get }
}

extension FormatError: ExitCoded {
  var exitCode: Int32 {
    switch self {
    case .missing: Exit.missingInput
    case .malformed, .changed: Exit.badData
    case .inputOutput: Exit.inputOutput
    case .exists, .repeated, .isInput, .differentConfiguration, .scoredOtherwise, .unfinished: Exit.usage
    }
  }
}

extension ModelError: ExitCoded {
  var exitCode: Int32 {
    if case .missing = self { return Exit.missingInput }
    return Exit.badData
  }
}

extension LabelError: ExitCoded {
  var exitCode: Int32 {
    switch self {
    case .noLayer, .noAdapter, .options, .singular, .otherCurvature: Exit.usage
    case .emptyTarget, .noSample, .notFinite, .audit: Exit.badData
    case .interrupted, .auditInterrupted: 128 + (Interruption.signal ?? SIGINT)
    }
  }
}

extension FineTuningError: ExitCoded {
  var exitCode: Int32 {
    switch self {
    case .options: Exit.usage
    case .noRow, .noHeldOutRow, .diverged: Exit.badData
    case .interrupted: 128 + (Interruption.signal ?? SIGINT)
    }
  }
}

extension VerificationError: ExitCoded {
  var exitCode: Int32 {
    switch self {
    case .refuted, .key, .unknown: Exit.badData
    case .options, .signed: Exit.usage
    case .interrupted: 128 + (Interruption.signal ?? SIGINT)
    }
  }
}

extension DuplicatesError: ExitCoded {
  var exitCode: Int32 { Exit.badData }
}

extension RecordError: ExitCoded {
  var exitCode: Int32 { Exit.badData }
}

extension TokenizerError: ExitCoded {
  var exitCode: Int32 {
    if case .missing = self { return Exit.missingInput }
    return Exit.badData
  }
}

extension JSONError: ExitCoded {
  var exitCode: Int32 { Exit.badData }
}

/// One message for an error, and the exit code it ends the process with.
struct ErrorReport {
  private let error: any Error
  private let command: (any ParsableCommand.Type)?

  /// - Parameter command: the one that threw it while it ran; nil where the command line could not be read.
  init(_ error: any Error, in command: (any ParsableCommand.Type)?) {
    (self.error, self.command) = (error, command)
  }

  func exit() -> Never {
    if let error = error as? ValidationError, let command { exit(error, usageOf: command) }
    if error is ExitCode || error is ValidationError || error is CleanExit || isParserError {
      Alinfik.exit(withError: error)
    }
    if isClosedPipe { Foundation.exit(0) }
    if let error = error as? CocoaError {
      Terminal.write("error: \(error.filePath.map { $0 + ": " } ?? "")\(error.localizedDescription)\n")
      Foundation.exit(Exit.inputOutput)
    }
    Terminal.write("error: \(error)\n")
    Foundation.exit((error as? any ExitCoded)?.exitCode ?? Exit.internalError)
  }

  /// As the argument parser writes what it finds itself: it takes what a running command throws for an error of the root.
  private func exit(_ error: ValidationError, usageOf command: any ParsableCommand.Type) -> Never {
    Terminal.write(
      """
      Error: \(error.message)
      Usage: \(Alinfik.usageString(for: command))
        See 'alinfik \(command.configuration.commandName ?? "") --help' for more information.

      """)
    Foundation.exit(Exit.usage)
  }

  /// Errors of the argument parser print their own usage; its exit code is 64 already.
  private var isParserError: Bool {
    Alinfik.exitCode(for: error) == .validationFailure || Alinfik.exitCode(for: error) == .success
  }

  /// The reader of our output has gone: nothing is wrong with us.
  private var isClosedPipe: Bool {
    if case .inputOutput(_, let reason) = error as? FormatError {
      return reason.hasSuffix(String(cString: strerror(EPIPE)))
    }
    return false
  }
}
