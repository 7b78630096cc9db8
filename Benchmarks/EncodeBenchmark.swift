import Encoder
import Formats
import Foundation
import TensorKernels

/// Throughput of a BERT encoder on texts of one length, as one JSON line that stands beside the peers'.
struct EncodeBenchmark {
  static func run(_ options: Options) throws {
    guard let precision = ValuatorPrecision(rawValue: options["precision"] ?? "f32") else {
      throw Refusal("--precision is one of \(ValuatorPrecision.names)")
    }
    let model = try EncoderModel.load(directory: try options.required("encoder")).at(precision)
    let threads = options.integer("threads", default: ProcessInfo.processInfo.activeProcessorCount)
    let (count, tokens) = (options.integer("count", default: 256), options.integer("tokens", default: 128))
    var generator = SeededGenerator(seed: 1)
    let texts = (0..<count).map { _ in
      EncodedText(
        (0..<tokens).map { _ in 1000 + Int(generator.next() % UInt64(model.vocabularySize - 1000)) })
    }
    let workspaces = EncoderWorkspaces(threads)
    let encoder = model
    let times = try (0...options.integer("repeat", default: 3)).map { _ in
      try seconds { _ = try encoder.features(texts, workers: threads, workspaces: workspaces) }
    }
    // The first is a warm-up.
    let best = times.dropFirst().min()!
    printLine([
      ("peer", "alinfik"), ("precision", JSONValue(precision.rawValue)), ("tokens", JSONValue(tokens)),
      ("texts_per_second", JSONValue(Double(count) / best)), ("threads", JSONValue(threads)),
      ("kernels", JSONValue(vectorInstructionSet)), ("peak_rss_bytes", JSONValue(peakMemory())),
    ])
  }
}
