import Formats
import Foundation
import TensorKernels
import Tokenization

/// Megabytes of text a second through a tokenizer, and a hash of all ids, by which they can be compared with a peer's.
struct TokenizeBenchmark {
  static func run(_ options: Options) throws {
    let tokenizer = try Tokenizer.load(try options.required("tokenizer"))
    let threads = options.integer("threads", default: 1)
    let path = try options.required("texts")
    let reader = try LineReader(path: path)
    var texts: [[UInt8]] = []
    while let line = try reader.next() {
      if let text = try JSONValue.parse(line.bytes)["text"]?.byteString { texts.append(text.bytes) }
    }
    let bytes = texts.reduce(0) { $0 + $1.count }
    let all = texts
    let share = 64
    func encode() throws -> [[Int32]] {
      try parallelMap(count: (all.count + share - 1) / share, workers: threads) { _, part in
        all[part * share..<min(all.count, (part + 1) * share)].flatMap {
          tokenizer.encode($0, addSpecialTokens: false)
        }
      }
    }
    var ids: [[Int32]] = []
    let times = try (0...options.integer("repeat", default: 3)).map { _ in
      try seconds { ids = try encode() }
    }
    var hash = HashStream()
    for part in ids { hash.update(numbers: part) }
    let best = times.dropFirst().min()!
    printLine([
      ("peer", "alinfik"), ("threads", JSONValue(threads)),
      ("megabytes_per_second", JSONValue(Double(bytes) / best / 1e6)), ("bytes", JSONValue(bytes)),
      ("ids", JSONValue(ids.reduce(0) { $0 + $1.count })), ("ids_sha256", JSONValue(hash.hexDigest())),
    ])
  }
}
