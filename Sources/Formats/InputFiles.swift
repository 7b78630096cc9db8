import Foundation

/// Files of JSON Lines as a command line names them: one by one, or by folders in which they lie.
package enum InputFiles {
  package struct File: Sendable, Equatable {
    package var path: String
    /// Its own name, or within a folder that was named its path there.
    package var name: String
  }

  /// How names of JSON Lines end.
  package static let endings = [".jsonl", ".jsonl.gz", ".jsonl.zst"]

  /// The files that arguments name, in the arguments' order and within a folder in the order of their paths' bytes. `-` is standard
  /// input, whoever reads it. What a pattern like `scored/*` finds beside scored files (`NAME.done.json`, `NAME.progress.json`) is
  /// passed over where anything else is named.
  ///
  /// Throws `FormatError.missing` for a path that is not there, `malformed` for a folder without JSON Lines and for what is no data, and
  /// `repeated` for a file that is named twice.
  ///
  /// - Parameter outputFolder: files below it are not inputs; nil where nothing is written to a folder.
  package static func found(_ arguments: [String], outputFolder: String? = nil) throws -> [File] {
    let named = arguments.filter { argument in
      ![".done.json", ".progress.json"].contains { argument.hasSuffix($0) }
    }
    if named.isEmpty, let mark = arguments.first {
      throw FormatError.malformed(
        place: mark, reason: "it says how a file was scored and holds no records; name the file itself")
    }
    let found = try named.flatMap { argument -> [File] in
      if argument == "-" { return [File(path: argument, name: argument)] }
      var isFolder: ObjCBool = false
      guard FileManager.default.fileExists(atPath: argument, isDirectory: &isFolder) else {
        throw FormatError.missing(path: argument)
      }
      guard isFolder.boolValue else {
        return [File(path: argument, name: URL(fileURLWithPath: argument).lastPathComponent)]
      }
      return try files(in: argument, outputFolder: outputFolder)
    }
    var seen: Set<String> = []
    for file in found where !seen.insert(real(file.path)).inserted {
      throw FormatError.repeated(path: file.path)
    }
    return found
  }

  /// Files that were scored, as paths: the same, but what `score` has not ended, or a folder in which such a file lies, is refused by
  /// `FormatError.malformed`, for a part of the data would be taken for all of it.
  package static func scored(_ arguments: [String]) throws -> [String] {
    for argument in arguments {
      var visited: Set<String> = [real(argument)]
      let inside = names(in: argument, visited: &visited)
      let paths = inside.isEmpty ? [argument] : inside.map { "\(argument)/\($0)" }
      guard
        let part = paths.first(where: { path in
          unfinishedEndings.contains { ending in endings.contains { path.hasSuffix($0 + ending) } }
        })
      else { continue }
      throw FormatError.malformed(
        place: part,
        reason:
          "this file's scoring has not ended; the same `alinfik score` command goes on with it, or name the files to be read one by one"
      )
    }
    return try found(arguments).map(\.path)
  }

  /// How names end beside that of a file that is being scored.
  private static let unfinishedEndings = [".partial", ".progress.json"]

  private static func real(_ path: String) -> String {
    path == "-" ? path : URL(fileURLWithPath: path).resolvingSymlinksInPath().path
  }

  private static func files(in folder: String, outputFolder: String?) throws -> [File] {
    var visited: Set<String> = [real(folder)]
    let names = names(in: folder, visited: &visited).filter { name in endings.contains { name.hasSuffix($0) }
    }
    let inputs = names.filter { name in
      outputFolder.map { !real("\(folder)/\(name)").hasPrefix(real($0) + "/") } ?? true
    }
    if inputs.isEmpty {
      throw FormatError.malformed(
        place: folder,
        reason: names.isEmpty
          ? "no \(endings.joined(separator: ", no ")) is in this folder"
          : "all that is in this folder lies where the output is to go; give a folder of its own for the output"
      )
    }
    return inputs.sorted { Array($0.utf8).lexicographicallyPrecedes(Array($1.utf8)) }
      .map { File(path: "\(folder)/\($0)", name: $0) }
  }

  /// Paths of all files within a folder. Links are followed, no folder twice.
  private static func names(in folder: String, visited: inout Set<String>) -> [String] {
    var names: [String] = []
    for name in (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? [] {
      let path = "\(folder)/\(name)"
      var isFolder: ObjCBool = false
      guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) else { continue }
      if !isFolder.boolValue {
        names.append(name)
      } else if visited.insert(real(path)).inserted {
        names += self.names(in: path, visited: &visited).map { "\(name)/\($0)" }
      }
    }
    return names
  }
}
