/// Token ids of several texts one after the other, without padding.
package struct EncoderBatch: Sendable {
  package private(set) var ids: [Int] = []
  /// Text s is `ids[offsets[s]..<offsets[s + 1]]`.
  package private(set) var offsets: [Int] = [0]

  package init() {}

  package init(_ texts: some Sequence<[Int]>) {
    for text in texts { append(text) }
  }

  package mutating func append(_ text: [Int]) {
    precondition(!text.isEmpty, "EncoderBatch: a text without tokens")
    ids += text
    offsets.append(ids.count)
  }

  package var count: Int { offsets.count - 1 }
  package var tokens: Int { ids.count }
  package var longest: Int { zip(offsets.dropFirst(), offsets).map { $0 - $1 }.max() ?? 0 }

  /// The position of every token within its text.
  var positions: [Int] {
    zip(offsets, offsets.dropFirst()).flatMap { Array(0..<($1 - $0)) }
  }
}
