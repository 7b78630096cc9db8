import Formats
import Foundation

/// `NAME.done.json` beside a whole scored file: what it was made of, with which settings, and its size and SHA-256. Nobody signs it.
package struct ScoreMark: Sendable {
  /// Its own path.
  package let path: String
  let json: JSONValue

  package static func path(beside output: String) -> String { output + ".done.json" }

  /// The mark of a scored file; nil where there is none. Throws `FormatError.malformed` where it is no JSON.
  package static func read(beside output: String) throws -> ScoreMark? {
    let path = path(beside: output)
    guard output != "-", FileManager.default.fileExists(atPath: path) else { return nil }
    return ScoreMark(path: path, json: try JSONValue.read(path: path))
  }

  /// The same, where it must fit: throws `FormatError.malformed` where the file has another size or SHA-256 than the one it was made for.
  package static func fitting(_ output: String) throws -> ScoreMark? {
    guard let mark = try read(beside: output) else { return nil }
    guard try mark.outputBytes == FileStamp(path: output).bytes,
      try mark.outputSHA256 == FileHash.sha256(path: output)
    else {
      throw FormatError.malformed(
        place: mark.path,
        reason:
          "it is not of \(output) as it is now: something has changed that since it was scored; score it again, or "
          + "remove the mark if the change was yours")
    }
    return mark
  }

  package var settings: JSONValue { json["settings"] ?? .null }
  package var outputBytes: Int? { json["output_bytes"]?.int }
  package var outputSHA256: String? { json["output_sha256"]?.string }

  /// Nil where it does not say all of it, the whole hash among it.
  package var origin: ScoreOrigin? {
    guard let valuator = settings["valuator_sha256"]?.string, valuator.count == 64,
      valuator.allSatisfy({ $0.isASCII && $0.isHexDigit }), let isRaw = settings["raw"]?.bool,
      let pooling = settings["pooling"]?.string.flatMap({ WindowPooling(rawValue: $0) })
    else { return nil }
    return ScoreOrigin(valuator: valuator, isRaw: isRaw, pooling: pooling)
  }
}
