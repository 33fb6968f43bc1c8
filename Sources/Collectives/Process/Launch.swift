import Glibc

/// How this process was started, as the environment tells.
public enum Launch {
  /// True if a launcher of MPI has started this process, so that ``MPIWorld`` can join its ranks.
  ///
  /// A Slurm job alone does not count: a batch script has its variables without any launcher.
  public static var isUnderLauncher: Bool { isUnderLauncher(variable) }

  /// The number of ranks that the launcher has started, if it tells.
  public static var expectedSize: Int? { expectedSize(variable) }

  /// The rank of this process before MPI has started, if the launcher tells.
  public static var rank: Int? {
    first(of: ["OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK", "MV2_COMM_WORLD_RANK"], variable)
  }

  /// What tells this job from others of this machine, equal on all its ranks there; it may come again.
  public static var job: String {
    if let name = variable("PMIX_NAMESPACE"), name.utf8.count < 64, !name.contains("/") {
      return name
    }
    if let job = variable("SLURM_JOB_ID").flatMap(Int.init) {
      return "slurm-\(job)-\(variable("SLURM_STEP_ID").flatMap(Int.init) ?? 0)"
    }
    return "\(getppid())"
  }

  /// The number of ranks on this machine, if the launcher tells.
  public static var localSize: Int? {
    first(
      of: ["OMPI_COMM_WORLD_LOCAL_SIZE", "MPI_LOCALNRANKS", "MV2_COMM_WORLD_LOCAL_SIZE"], variable)
  }

  /// Why the ranks could not find each other, in words, or nil if nothing is wrong.
  public static var problem: String? { problem(variable) }

  package static func isUnderLauncher(_ variable: (String) -> String?) -> Bool {
    [
      "OMPI_COMM_WORLD_SIZE", "PMIX_RANK", "PMI_RANK", "PMI_SIZE", "MV2_COMM_WORLD_SIZE",
    ].contains { variable($0) != nil }
  }

  package static func expectedSize(_ variable: (String) -> String?) -> Int? {
    guard isUnderLauncher(variable) else { return nil }
    return first(
      of: ["OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "MV2_COMM_WORLD_SIZE", "SLURM_STEP_NUM_TASKS"],
      variable)
  }

  package static func problem(_ variable: (String) -> String?) -> String? {
    guard !isUnderLauncher(variable), variable("SLURM_PROCID") != nil,
      let tasks = first(of: ["SLURM_STEP_NUM_TASKS"], variable), tasks > 1
    else { return nil }
    return "srun started \(tasks) tasks without PMI, so each would run alone; "
      + "use srun --mpi=pmix, or mpirun"
  }

  private static func first(of names: [String], _ variable: (String) -> String?) -> Int? {
    for name in names {
      if let text = variable(name), let number = Int(text), number >= 0 { return number }
    }
    return nil
  }

  private static func variable(_ name: String) -> String? {
    guard let text = unsafe getenv(name) else { return nil }
    return unsafe String(cString: text)
  }
}
