import Formats
import Foundation
import TestSupport
import Testing

/// What the argument parser tells shells and man pages about the command.
@Suite struct ShellTests {
  private let description: JSONValue

  init() throws {
    let run = try Command.run("--experimental-dump-help")
    description = try #require(try JSONValue.parse(Array(run.output.utf8))["command"])
  }

  private var subcommands: [JSONValue] { description["subcommands"]?.array ?? [] }

  /// Every option and argument with its command's name, but the parser's own.
  private var arguments: [(name: String, content: JSONValue)] {
    subcommands.filter { $0["commandName"]?.string != "help" }.flatMap { command in
      (command["arguments"]?.array ?? []).map { argument in
        let name = argument["preferredName"]?["name"]?.string ?? argument["valueName"]?.string ?? "?"
        return ("\(command["commandName"]?.string ?? "?") \(name)", argument)
      }
    }
  }

  /// What bash offers for the last word of a command line.
  private func offered(_ words: String...) throws -> Set<String> {
    let folder = try TemporaryFolder()
    let script = try folder.file("alinfik", Command.run("--generate-completion-script", "bash").output)
    let ask = """
      source "$0"
      COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMP_LINE="$*" COMP_TYPE=9 COMPREPLY=()
      COMP_POINT=${#COMP_LINE}
      _alinfik alinfik "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
      printf '%s\\n' "${COMPREPLY[@]}"
      """
    let (process, pipe) = (Process(), Pipe())
    process.executableURL = URL(fileURLWithPath: "/bin/bash")
    process.arguments = ["-c", ask, script, "alinfik"] + words
    process.standardOutput = pipe
    try process.run()
    let output = pipe.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    #expect(process.terminationStatus == 0)
    return Set(String(decoding: output, as: UTF8.self).split(separator: "\n").map(String.init))
  }

  @Test func everythingHasAHelpText() {
    #expect(subcommands.count >= 11 && arguments.count > 150)
    for command in subcommands where command["commandName"]?.string != "help" {
      let name = command["commandName"]?.string ?? "?"
      #expect(command["abstract"]?.string?.isEmpty == false, "\(name)")
      #expect(command["discussion"]?.string?.hasPrefix("Examples:\n") == true, "\(name)")
    }
    for (name, content) in arguments {
      #expect(content["abstract"]?.string?.isEmpty == false, "\(name)")
    }
  }

  /// What names a file or folder is completed as one.
  @Test func pathsAreCompleted() {
    let paths = arguments.filter { _, content in
      let value = content["valueName"]?.string ?? ""
      return ["file", "dir", "path", "output", "model", "valuator", "labels"].contains(value)
    }
    #expect(paths.count > 40)
    for (name, content) in paths {
      let completion = content["completionKind"]
      #expect(completion?["file"] != nil || completion?["directory"] != nil, "\(name)")
    }
  }

  /// What two commands do alike has one name.
  @Test func copiesHaveOneName() {
    for command in ["select", "report"] {
      let duplicates = arguments.first { $0.name == "\(command) duplicates" }?.content
      #expect(
        duplicates?["allValues"]?.array?.compactMap(\.string) == ["near", "exact", "keep"], "\(command)")
      #expect(arguments.contains { $0.name == "\(command) likeness" }, "\(command)")
    }
  }

  @Test func manualPagesLoseNoLetter() {
    // The parser's tool writes ASCII alone, and takes a line that begins with a point for a command of its own.
    for (name, text) in arguments.map({ ($0.name, $0.content["abstract"]?.string ?? "") })
      + subcommands.map({ ($0["commandName"]?.string ?? "?", $0["discussion"]?.string ?? "") })
    {
      #expect(text.utf8.allSatisfy { $0 < 128 }, "\(name)")
      #expect(!text.contains("\n.") && !text.contains("\n'"), "\(name)")
    }
  }

  @Test(.enabled(if: FileManager.default.isExecutableFile(atPath: "/bin/bash"), "there is no /bin/bash"))
  func bashOffersCommandsValuesAndFiles() throws {
    let names = Set(subcommands.compactMap { $0["commandName"]?.string })
    #expect(names.isSuperset(of: ["label", "train", "score"]))
    #expect(try offered("").isSuperset(of: names))
    #expect(try offered("sc") == ["score"])
    #expect(try offered("score", "--pooling", "") == ["mean", "max", "first"])
    #expect(try offered("score", "--output-d") == ["--output-dir"])
    let folder = try TemporaryFolder()
    let records = try folder.file("records.jsonl", "")
    let valuator = folder.path("valuator")
    try FileManager.default.createDirectory(atPath: valuator, withIntermediateDirectories: false)
    let start = folder.path("")
    #expect(try offered("score", start) == [valuator], "a valuator is a directory")
    #expect(try offered("score", valuator, start) == [valuator, records])
    #expect(try offered("label", "--target", start) == [valuator, records])
  }

  /// Whether it is seen while the command line is read or only when the command runs, it is told with the usage of that command.
  @Test func aUsageErrorShowsItsCommandsUsage() throws {
    let file = try TemporaryFolder()
    let scored = try file.file("scored.jsonl", "")
    let late = try Command.run("verify", scored)
    let early = try Command.run("verify", scored, "--raw")
    for (run, said) in [(late, "is a file: --valuator says which"), (early, "want --valuator")] {
      #expect(
        run.status == 64 && run.errors.hasPrefix("Error: ") && run.errors.contains(said), "\(run.errors)")
    }
    func usage(_ run: Command.Result) -> String {
      run.errors.split(separator: "\n").dropFirst().joined(separator: "\n")
    }
    #expect(usage(late) == usage(early) && usage(late).hasPrefix("Usage: alinfik verify "), "\(late.errors)")
    #expect(late.errors.hasSuffix("  See 'alinfik verify --help' for more information.\n"), "\(late.errors)")
  }

  /// Swift's own `CommandLine` is empty there.
  @Test(.enabled(if: hidesProcesses("true"), "unshare cannot make a namespace without /proc here"))
  func theCommandLineIsReadWithoutProc() throws {
    let alinfik = Command.executable.path
    #expect(try Command.run("--version").output == alinfikVersion + "\n")
    let (asked, output) = (try TemporaryFolder(), Pipe())
    #expect(hidesProcesses("exec \"$0\" --version", alinfik, into: output))
    #expect(
      String(decoding: output.fileHandleForReading.availableData, as: UTF8.self) == alinfikVersion + "\n")
    #expect(!hidesProcesses("exec \"$0\" score \"$1\"", alinfik, asked.path("absent")), "no such valuator")
  }
}

/// Runs a shell's command where /proc is empty; true where it could and the command succeeded.
private func hidesProcesses(_ command: String, _ arguments: String..., into output: Pipe = Pipe()) -> Bool {
  let process = Process()
  process.executableURL = URL(fileURLWithPath: "/usr/bin/unshare")
  process.arguments =
    ["--user", "--map-root-user", "--mount", "/bin/sh", "-c", "mount -t tmpfs none /proc && \(command)"]
    + arguments
  process.standardOutput = output
  process.standardError = FileHandle.nullDevice
  guard (try? process.run()) != nil else { return false }
  process.waitUntilExit()
  return process.terminationStatus == 0
}
