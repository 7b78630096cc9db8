import Encoder
import Formats

/// From files of scored records to a selection: one reading, a choice by rank, with `--diversity` another by value and novelty.
package struct SelectionRun {
  /// How far it is.
  package enum Progress: Sendable {
    case read(rows: Int)
    case embedded(rows: Int, of: Int)
    case written(rows: Int, of: Int)
  }

  private let configuration: SelectionConfiguration
  private let valuator: Valuator?
  private let progress: (Progress) -> Void
  private let isCancelled: () -> Bool

  /// - Parameters:
  ///   - valuator: whose embeddings tell what is alike; wanted with diversity alone.
  ///   - isCancelled: asked now and then; true ends the run with `SelectionError.interrupted`.
  package init(
    _ configuration: SelectionConfiguration, valuator: Valuator? = nil,
    progress: @escaping (Progress) -> Void = { _ in }, isCancelled: @escaping () -> Bool = { false }
  ) {
    precondition(
      configuration.diversity == nil || valuator != nil, "SelectionRun: diversity wants a valuator")
    (self.configuration, self.valuator) = (configuration, valuator)
    (self.progress, self.isCancelled) = (progress, isCancelled)
  }

  /// Chooses from some files, and writes the rows that are chosen and those that are not.
  ///
  /// - Parameters:
  ///   - chosen: gets the chosen lines as they stand in the input.
  ///   - rejects: gets every other line with its `alinfik_reason`.
  package func run(
    _ paths: [String], chosen: any LineOutput, rejects: (any LineOutput)?
  ) throws -> SelectionSummary {
    var (index, verdicts) = try IndexBuilder(configuration).index(
      paths, progress: { progress(.read(rows: $0)) }, isCancelled: isCancelled)
    let plain = try GreedySelection(configuration: configuration, index: index).select(
      &verdicts, isCancelled: isCancelled)
    var selection = plain.selection
    if let diversity = configuration.diversity, let valuator {
      let embeddings = CandidateEmbeddings(
        configuration: configuration, inputs: index.inputs, valuator: valuator,
        progress: { progress(.embedded(rows: $0, of: $1)) }, isCancelled: isCancelled)
      selection = try DiverseSelection(
        configuration: configuration, index: index, embeddings: embeddings, diversity: diversity
      ).select(&verdicts, plain: plain)
    }
    if configuration.isStrict, selection.exceedsData {
      throw SelectionError.budgetExceedsData(configuration.budget, used: selection.used)
    }
    let onDisk = index.runs.storedBytes
    index.runs.discard()
    let writer = SelectionWriter(
      configuration: configuration, index: index, verdicts: verdicts, selection: selection)
    let written = try writer.write(
      chosen: chosen, rejects: rejects, progress: { progress(.written(rows: $0, of: verdicts.count)) },
      isCancelled: isCancelled)
    return SelectionSummary(
      configuration: configuration, index: index, selection: selection, written: written, scratchBytes: onDisk
    )
  }
}
