import Formats
import Foundation

/// A valuator's directory as files: what alinfik.json says of them, and what lies there.
package struct ValuatorFiles: Sendable {
  package static let cardName = "alinfik.json"
  /// An Ed25519 signature of alinfik.json's bytes, which hold the hash of every other file.
  package static let signatureName = "alinfik.sig"

  package let directory: String
  /// alinfik.json, and as it stands there.
  package let json: JSONValue
  package let cardBytes: [UInt8]
  /// Every file but alinfik.json and its signature, as it was saved.
  package let listed: [(name: String, sha256: String)]

  package var cardPath: String { directory + "/" + Self.cardName }
  package var signaturePath: String { directory + "/" + Self.signatureName }
  package var names: [String] { listed.map(\.name) }

  /// Reads alinfik.json. Throws where there is none, or it names files outside of its directory or none at all.
  package init(directory: String) throws {
    self.directory = directory
    let path = directory + "/" + Self.cardName
    guard FileManager.default.fileExists(atPath: path) else {
      throw EncoderError.missing(directory, "this is no valuator: it has no \(Self.cardName)")
    }
    cardBytes = Array(try Data(contentsOf: URL(fileURLWithPath: path)))
    json = try Self.parse(cardBytes, path: path)
    guard let members = json["files"]?.members, !members.isEmpty else {
      throw EncoderError.malformed(path, "'files' is missing")
    }
    listed = members.map { (name: $0.key.string, sha256: $0.value.string ?? "") }
    for name in names where name.hasPrefix("/") || name.split(separator: "/").contains("..") {
      throw EncoderError.malformed(path, "'files' names \(name), which is not in the directory")
    }
  }

  /// As `JSONValue.read` names what is wrong; of bytes that have been read, so that a signature and the hashes are of the same ones.
  private static func parse(_ bytes: [UInt8], path: String) throws(FormatError) -> JSONValue {
    do {
      return try JSONValue.parse(bytes)
    } catch {
      let line = 1 + bytes[..<min(error.offset, bytes.count)].count { $0 == 0x0A }
      throw .malformed(place: "\(path):\(line)", reason: error.description)
    }
  }

  /// What loading reads wherever it lies there, whether alinfik.json lists it or not.
  private static let readNames = [
    "2_Dense/model.safetensors", "adapter_config.json", "chat_template.jinja", "config.json",
    "head.safetensors", "model.safetensors", "model.safetensors.index.json", "special_tokens_map.json",
    "tokenizer.json", "tokenizer_config.json",
  ]

  /// Files that loading would read and that no hash vouches for: they change what a signed valuator says.
  package var unlistedButRead: [String] {
    let known = Set(names)
    return Self.readNames.filter {
      !known.contains($0) && FileManager.default.fileExists(atPath: directory + "/" + $0)
    }
  }

  /// Throws `EncoderError.tampered` naming the first file that is not the one that was saved, and `malformed` naming one
  /// that loading would read and that was not saved.
  package func requireUnchanged() throws {
    if let name = unlistedButRead.first {
      throw EncoderError.malformed(
        directory,
        "'files' in \(Self.cardName) does not list '\(name)', which would be read: remove it, or train anew")
    }
    for (name, hash) in listed where try FileHash.sha256(path: directory + "/" + name) != hash {
      throw EncoderError.tampered(directory: directory, file: name)
    }
  }

  /// The listed files that are missing, and those that are not what was saved.
  package func differences() throws -> (missing: [String], changed: [String]) {
    var missing: [String] = []
    var changed: [String] = []
    for (name, hash) in listed {
      let path = directory + "/" + name
      if !FileManager.default.fileExists(atPath: path) {
        missing.append(name)
      } else if try FileHash.sha256(path: path) != hash {
        changed.append(name)
      }
    }
    return (missing, changed)
  }

  /// Files in the directory that no hash vouches for, sorted.
  package func unlisted() throws -> [String] {
    let known = Set(names + [Self.cardName, Self.signatureName])
    return try FileManager.default.subpathsOfDirectory(atPath: directory).filter { name in
      var isFolder: ObjCBool = false
      return !known.contains(name)
        && FileManager.default.fileExists(atPath: directory + "/" + name, isDirectory: &isFolder)
        && !isFolder.boolValue
    }.sorted()
  }
}
