/// That a launcher of parallel programs, such as `mpirun` or `srun`, started this process as one of several.
public struct Launch: Sendable, Equatable {
  /// This process's number among them, from 0.
  public var rank: Int
  /// How many there are.
  public var count: Int

  public init(rank: Int, count: Int) { (self.rank, self.count) = (rank, count) }

  /// Variables that tell rank and number: Open MPI's, those of the process managers of MPICH and Intel MPI, MVAPICH's, and
  /// those of a Slurm step. Slurm's are in a batch script's environment too, all but the number of a step's tasks.
  private static let variables = [
    ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"), ("PMI_RANK", "PMI_SIZE"),
    ("MV2_COMM_WORLD_RANK", "MV2_COMM_WORLD_SIZE"), ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS"),
  ]

  /// nil where there is no launcher, or only one process.
  public static func detect(_ environment: [String: String]) -> Launch? {
    for (rank, count) in variables {
      guard let rank = environment[rank].flatMap({ Int($0) }), let count = environment[count].flatMap({ Int($0) }),
        count > 1, (0..<count).contains(rank)
      else { continue }
      return Launch(rank: rank, count: count)
    }
    return nil
  }
}
