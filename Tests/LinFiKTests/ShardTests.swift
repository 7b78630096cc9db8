import LinFiK
import Testing

@Suite struct ShardTests {
  @Test func partsAreReadAndNamed() throws {
    let shard = try #require(Shard("2/4"))
    #expect(shard.range(of: 10) == 2..<5)
    #expect((1...4).flatMap { Array(Shard(index: $0, count: 4)!.range(of: 10)) } == Array(0..<10))
    #expect(shard.path("a.b/labels.h5") == "a.b/labels.2-of-4.h5")
    #expect(shard.path("a.b/labels") == "a.b/labels.2-of-4")
    for text in ["0/4", "5/4", "1", "1/", "/2", "a/b", "1/2/3", "-1/2", "1/0"] { #expect(Shard(text) == nil) }
  }

  /// Who is told that none was found is told where it was looked.
  @Test func variablesAreNamed() {
    for name in ["OMPI_COMM_WORLD_SIZE", "PMI_RANK", "SLURM_NTASKS", "SLURM_ARRAY_TASK_ID"] {
      #expect(Shard.variables.contains(name))
    }
  }

  @Test func launchersAreUnderstood() {
    let slurm = ["SLURM_PROCID": "0", "SLURM_NTASKS": "3"]
    #expect(Shard(environment: slurm) == Shard(index: 1, count: 3))
    let mpi = ["OMPI_COMM_WORLD_RANK": "1", "OMPI_COMM_WORLD_SIZE": "2"]
    #expect(Shard(environment: mpi) == Shard(index: 2, count: 2))
    // mpirun within one Slurm task: the inner launcher knows which process this is.
    let nested = mpi.merging(["SLURM_PROCID": "0", "SLURM_NTASKS": "1"]) { $1 }
    #expect(Shard(environment: nested) == Shard(index: 2, count: 2))
    #expect(Shard(environment: ["PMI_RANK": "3", "PMI_SIZE": "4"]) == Shard(index: 4, count: 4))
    let array = [
      "SLURM_ARRAY_TASK_ID": "14", "SLURM_ARRAY_TASK_MIN": "10", "SLURM_ARRAY_TASK_COUNT": "4",
      "SLURM_ARRAY_TASK_STEP": "2",
    ]
    #expect(Shard(environment: array) == Shard(index: 3, count: 4))
    #expect(Shard(environment: [:]) == nil)
    #expect(Shard(environment: ["SLURM_PROCID": "5", "SLURM_NTASKS": "3"]) == nil)
  }
}
