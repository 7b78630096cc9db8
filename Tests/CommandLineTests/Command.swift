import Foundation
import Glibc
import TestSupport

/// Runs the built `alinfik` as a user does.
struct Command {
  struct Result {
    let status: Int32
    let output: String
    let errors: String
  }

  /// Beside the test bundle; built with the tests.
  static let executable: URL = {
    let folder = TestData.repository.appendingPathComponent(".build")
    for candidate in [Bundle.main.bundleURL, Bundle.main.executableURL?.deletingLastPathComponent()] {
      var url = candidate
      while let place = url, place.path != "/" {
        let program = place.appendingPathComponent("alinfik")
        var isDirectory: ObjCBool = false
        if FileManager.default.fileExists(atPath: program.path, isDirectory: &isDirectory),
          !isDirectory.boolValue
        {
          return program
        }
        url = place.deletingLastPathComponent()
      }
    }
    return folder.appendingPathComponent("release/alinfik")
  }()

  /// Runs the command to its end.
  static func run(
    _ arguments: String..., input: String? = nil
  ) throws -> Result {
    try run(arguments: arguments, input: input)
  }

  /// Runs a script of the shell, in which `$0` is the command.
  static func shell(_ script: String) throws -> Result {
    try run(arguments: ["-c", script, executable.path], program: URL(fileURLWithPath: "/bin/sh"))
  }

  /// Runs the command; `interrupt` sends SIGINT once that file has more than so many bytes.
  static func run(
    arguments: [String], input: String? = nil, environment: [String: String] = [:],
    interrupt: (file: String, bytes: Int)? = nil, program: URL? = nil
  ) throws -> Result {
    let process = Process()
    process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
    process.executableURL = program ?? executable
    process.arguments = arguments
    let folder = try TemporaryFolder()
    let (out, err) = (folder.path("out"), folder.path("err"))
    for path in [out, err] { try Data().write(to: URL(fileURLWithPath: path)) }
    process.standardOutput = FileHandle(forWritingAtPath: out)
    process.standardError = FileHandle(forWritingAtPath: err)
    if let input {
      let path = folder.path("in")
      try input.write(toFile: path, atomically: false, encoding: .utf8)
      process.standardInput = FileHandle(forReadingAtPath: path)
    } else {
      process.standardInput = FileHandle.nullDevice
    }
    try process.run()
    if let interrupt {
      while process.isRunning, size(interrupt.file) <= interrupt.bytes { usleep(2000) }
      process.interrupt()
    }
    process.waitUntilExit()
    return Result(
      status: process.terminationStatus, output: try String(contentsOfFile: out, encoding: .utf8),
      errors: try String(contentsOfFile: err, encoding: .utf8))
  }

  private static func size(_ path: String) -> Int {
    var status = stat()
    return stat(path, &status) == 0 ? Int(status.st_size) : 0
  }
}

extension TemporaryFolder {
  /// Two target texts.
  func tinyTarget() throws -> String {
    try file(
      "target.jsonl", #"{"text": "the cat sat on the mat."}"# + "\n" + #"{"text": "a dog ran."}"# + "\n")
  }

  /// A model directory: the random fixture with a tokenizer of single letters.
  func tinyModel(_ name: String = "model") throws -> String {
    let folder = url.appendingPathComponent(name)
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    for file in ["config.json", "model.safetensors"] {
      try FileManager.default.copyItem(
        atPath: TestData.fixture("llama/untied/\(file)"), toPath: folder.appendingPathComponent(file).path)
    }
    let letters = "abcdefghijklmnopqrstuvwxyz.,".map { String($0) }
    let vocabulary = (["<unk>", "<s>", "</s>", "▁"] + letters).enumerated()
      .map { "\"\($1)\": \($0)" }.joined(separator: ", ")
    let tokenizer = """
      {"version": "1.0", "added_tokens": [], "normalizer":
      {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}, "pre_tokenizer": null,
      "post_processor": null, "decoder": null, "model": {"type": "BPE", "unk_token": "<unk>", "fuse_unk": false,
      "byte_fallback": false, "vocab": {\(vocabulary)}, "merges": []}}
      """
    try tokenizer.write(
      to: folder.appendingPathComponent("tokenizer.json"), atomically: false, encoding: .utf8)
    try #"{"eos_token": "</s>", "unk_token": "<unk>"}"#
      .write(to: folder.appendingPathComponent("tokenizer_config.json"), atomically: false, encoding: .utf8)
    return folder.path
  }
}

/// Short texts that all differ, a record a line, of so many sources in turn where some are asked for.
func tinyRows(_ count: Int, sources: Int? = nil) -> String {
  let words = ["cat", "dog", "mat", "sun", "moon", "tree", "house", "river"]
  return (0..<count).map { i in
    let source = sources.map { #""source": "s\#(i % $0)", "# } ?? ""
    return
      #"{"id": "row-\#(i)", \#(source)"text": "\#(words[i % 8]) and \#(words[i / 8 % 8]) by the \#(words[i % 5])\#(i)."}"#
      + "\n"
  }.joined()
}
