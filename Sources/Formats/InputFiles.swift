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
  /// Throws `FormatError.missing` for a path that is not there and `malformed` for a folder without JSON Lines.
  ///
  /// - Parameter outputFolder: files below it are not inputs; nil where nothing is written to a folder.
  package static func found(_ arguments: [String], outputFolder: String? = nil) throws -> [File] {
    let named = arguments.filter { argument in
      ![".done.json", ".progress.json"].contains { argument.hasSuffix($0) }
    }
    return try (named.isEmpty ? arguments : named).flatMap { argument -> [File] in
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
  }

  /// The same, as paths.
  package static func paths(_ arguments: [String]) throws -> [String] { try found(arguments).map(\.path) }

  private static func files(in folder: String, outputFolder: String?) throws -> [File] {
    func real(_ path: String) -> String { URL(fileURLWithPath: path).resolvingSymlinksInPath().path + "/" }
    let all = FileManager.default.enumerator(atPath: folder)?.compactMap { $0 as? String } ?? []
    let names = all.filter { name in
      var isFolder: ObjCBool = false
      return endings.contains { name.hasSuffix($0) }
        && FileManager.default.fileExists(atPath: "\(folder)/\(name)", isDirectory: &isFolder)
        && !isFolder.boolValue
    }
    let inputs = names.filter { name in
      outputFolder.map { !real("\(folder)/\(name)").hasPrefix(real($0)) } ?? true
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
}
