/// One of several runs that share the samples of one command: shard `index` of `count`, from 1.
package struct Shard: Sendable, Equatable, CustomStringConvertible {
  package let index: Int
  package let count: Int

  private static let most = 1_000_000

  /// Nil where it is no such part.
  package init?(index: Int, count: Int) {
    guard (1...Self.most).contains(count), 1...count ~= index else { return nil }
    (self.index, self.count) = (index, count)
  }

  /// `2/4`; nil where the text is no shard.
  package init?(_ text: String) {
    let parts = text.split(separator: "/", omittingEmptySubsequences: false)
    guard parts.count == 2, let index = Int(parts[0]), let count = Int(parts[1]) else { return nil }
    self.init(index: index, count: count)
  }

  /// The variables in which launchers say a process's rank (from 0) and how many there are, the innermost launcher first.
  private static let launchers = [
    ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"), ("PMI_RANK", "PMI_SIZE"),
    ("SLURM_PROCID", "SLURM_NTASKS"),
  ]

  /// The variables that `init(environment:)` looks for, in words.
  package static var variables: String {
    (launchers.map { "\($0.0) and \($0.1)" } + ["SLURM_ARRAY_TASK_ID, _COUNT and _MIN"]).joined(
      separator: "; ")
  }

  /// As Open MPI, MPICH (and those built on it) or Slurm's `srun` say it, else a Slurm job array; nil where nobody does.
  package init?(environment: [String: String]) {
    func number(_ name: String) -> Int? { environment[name].flatMap { Int($0) } }
    for (rank, size) in Self.launchers {
      if let rank = number(rank), let size = number(size), size > 1 {
        self.init(index: rank + 1, count: size)
        return
      }
    }
    guard let task = number("SLURM_ARRAY_TASK_ID"), let count = number("SLURM_ARRAY_TASK_COUNT"),
      let first = number("SLURM_ARRAY_TASK_MIN")
    else { return nil }
    self.init(index: (task - first) / (number("SLURM_ARRAY_TASK_STEP") ?? 1) + 1, count: count)
  }

  package var description: String { "\(index)/\(count)" }

  /// Its rows: parts are consecutive and nearly equal.
  package func range(of rows: Int) -> Range<Int> {
    SummationBlocks.range(index - 1, of: count, rows: rows)
  }

  /// `labels.h5` -> `labels.2-of-4.h5`: every shard of a command is given the same output.
  package func path(_ output: String) -> String {
    let name = output.lastIndex(of: "/").map { output.index(after: $0) } ?? output.startIndex
    let part = ".\(index)-of-\(count)"
    guard let dot = output.lastIndex(of: "."), dot > name else { return output + part }
    return output[..<dot] + part + output[dot...]
  }
}
