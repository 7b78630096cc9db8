import Formats

/// The label files of one command's shards, put together again: the same file as one run writes, but for `command`.
package struct LabelShards {
  private let files: [LabelFile]
  private let attributes: LabelAttributes

  /// Reads the files, in any order.
  ///
  /// Throws `LabelError.options` naming the file where one is no shard, is there twice or missing, or was made otherwise
  /// than the first.
  package init(paths: [String], command: String) throws {
    let files = try paths.map { try LabelFile(path: $0) }
    let shards = try files.map { file -> Shard in
      guard let shard = file.attributes.extra["shard"].flatMap({ Shard($0) }) else {
        throw LabelError.options("\(file.path): it is no shard; files of `label --shard` are merged")
      }
      return shard
    }
    let found = try ShardOrder(shards: shards, paths: paths)
    self.files = found.order.map { files[$0] }
    var whole = self.files[0].attributes
    whole.extra["shard"] = nil
    whole.command = command
    for file in self.files {
      if let what = Self.difference(file, self.files[0]) {
        throw LabelError.options("\(file.path): it was made with another \(what) than \(self.files[0].path)")
      }
    }
    attributes = whole
  }

  package var count: Int { files.reduce(0) { $0 + $1.count } }

  /// Writes the whole beside `path` and renames.
  package func write(to path: String, force: Bool) throws {
    try LabelFile.write(to: path, attributes: attributes, joining: files, force: force)
  }

  /// The first thing in which two shards' making differs.
  private static func difference(_ a: LabelFile, _ b: LabelFile) -> String? {
    let (x, y) = (a.attributes, b.attributes)
    let strings: [(String, String, String)] = [
      ("version of this program", x.alinfikVersion, y.alinfikVersion), ("kind", x.kind, y.kind),
      ("model", x.modelSHA256, y.modelSHA256), ("target", x.targetSHA256, y.targetSHA256),
      ("target description", x.targetDescription, y.targetDescription),
      ("projection", "\(x.projection) \(x.rank)", "\(y.projection) \(y.rank)"),
      ("damping", "\(x.damping)", "\(y.damping)"), ("precision", x.precision, y.precision),
      ("seed", "\(x.seed)", "\(y.seed)"), ("max-tokens", "\(x.maxTokens ?? 0)", "\(y.maxTokens ?? 0)"),
    ]
    if let found = strings.first(where: { $0.1 != $0.2 }) { return found.0 }
    for key in Set(x.extra.keys).union(y.extra.keys).sorted() where key != "shard" {
      if x.extra[key] != y.extra[key] { return key }
    }
    if a.columns.targetIDs != b.columns.targetIDs { return "set of target ids" }
    var (p, q) = (a.shape, b.shape)
    (p.rows, q.rows) = (0, 0)
    return p == q ? nil : "set of datasets"
  }
}

/// The order in which shards follow each other.
struct ShardOrder {
  /// For each shard the place of its file.
  let order: [Int]

  /// Throws `LabelError.options` where one is missing or there twice, or their numbers differ.
  init(shards: [Shard], paths: [String]) throws {
    guard let count = shards.first?.count else { throw LabelError.options("there is nothing to merge") }
    var places = [Int?](repeating: nil, count: count)
    for (place, shard) in shards.enumerated() {
      guard shard.count == count else {
        throw LabelError.options(
          "\(paths[place]): it is shard \(shard), but \(paths[0]) is shard \(shards[0]); all must be of one number"
        )
      }
      if let other = places[shard.index - 1] {
        throw LabelError.options("\(paths[place]): it is shard \(shard), as \(paths[other]) is")
      }
      places[shard.index - 1] = place
    }
    let missing = places.indices.filter { places[$0] == nil }.map { "\($0 + 1)/\(count)" }
    guard missing.isEmpty else {
      throw LabelError.options("shard \(missing.joined(separator: ", ")) is missing")
    }
    order = places.compactMap { $0 }
  }
}
