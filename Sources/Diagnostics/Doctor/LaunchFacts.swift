import Collectives
import Foundation

/// How the ranks were started, and how many of them MPI has joined.
public struct LaunchFacts: Sendable, Equatable {
  /// The MPI library that the program is linked with.
  public enum Library: String, Sendable {
    case openMPI = "Open MPI"
    case mpich = "MPICH"
  }

  /// Of the environment, what launchers set.
  public var variables: [String: String]
  public var library: Library?
  /// How many ranks MPI has joined; 1 if it was not started.
  public var joinedSize: Int
  /// What MPI said when it could not join the ranks.
  public var error: String?

  public init(
    variables: [String: String] = [:], library: Library? = nil, joinedSize: Int = 1,
    error: String? = nil
  ) {
    self.variables = variables
    self.library = library
    self.joinedSize = joinedSize
    self.error = error
  }

  /// The number of ranks that should be there, by the variable that tells it.
  ///
  /// A launcher's own count comes first: an mpirun inside a Slurm job may start fewer than the job has tasks.
  public var expected: (variable: String, size: Int)? {
    for name in [
      "OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "MV2_COMM_WORLD_SIZE", "SLURM_STEP_NUM_TASKS",
      "SLURM_NTASKS",
    ] {
      if let size = variables[name].flatMap(Int.init), size > 0 { return (name, size) }
    }
    return nil
  }

  /// The rank of this process before MPI has joined the ranks, by the word of what started it.
  public var rank: Int {
    for name in ["OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK", "MV2_COMM_WORLD_RANK"] {
      if let rank = variables[name].flatMap(Int.init) { return rank }
    }
    // A batch script has it too, and is then process 0.
    return variables["SLURM_PROCID"].flatMap(Int.init) ?? 0
  }

  var findings: [Finding] {
    guard let expected, expected.size > joinedSize else {
      guard let error else { return [] }
      return [Finding(.launch, error, fix: "start the ranks with the mpirun of \(own)")]
    }
    let count = "\(expected.variable) is \(expected.size)"
    let alone = joinedSize == 1 ? "rank 0 of 1" : "\(joinedSize) ranks"
    return [Finding(.launch, "\(alone), although \(count)\(cause)", fix: fix(expected))]
  }

  private var own: String { library?.rawValue ?? "the MPI that the program was built with" }

  private var cause: String {
    guard let expected else { return "" }
    switch (expected.variable, library) {
    case ("PMI_SIZE", .openMPI): return ": a launcher of MPICH started a program of Open MPI"
    case ("OMPI_COMM_WORLD_SIZE", .mpich): return ": Open MPI's mpirun started a program of MPICH"
    case ("SLURM_STEP_NUM_TASKS", _): return ": srun started them without what \(own) needs"
    case ("SLURM_NTASKS", _):
      return ": the batch script runs this program itself, not by a launcher"
    default: return error.map { ": \($0)" } ?? ""
    }
  }

  private func fix(_ expected: (variable: String, size: Int)) -> String {
    let n = expected.size
    switch expected.variable {
    case "SLURM_STEP_NUM_TASKS", "SLURM_NTASKS":
      let kind = library == .mpich ? "pmi2" : "pmix"
      return "use srun --mpi=\(kind) (srun --mpi=list names what there is) or Launch/mpirun -n \(n)"
    default:
      let other =
        switch (expected.variable, library) {
        case ("PMI_SIZE", .openMPI): ", or build it for MPICH with ISOGLOSS_MPI=mpich"
        case ("OMPI_COMM_WORLD_SIZE", .mpich): ", or build it for Open MPI"
        default: ""
        }
      return "start it with the mpirun of \(own) (Launch/mpirun; ISOGLOSS_MPIRUN names one)\(other)"
    }
  }

  /// Of this process, before MPI is started.
  public static var current: LaunchFacts {
    let environment = ProcessInfo.processInfo.environment
    let names = [
      "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_SIZE", "PMI_RANK",
      "MV2_COMM_WORLD_SIZE", "MV2_COMM_WORLD_RANK", "SLURM_STEP_NUM_TASKS", "SLURM_NTASKS",
      "SLURM_PROCID",
    ]
    return LaunchFacts(
      variables: environment.filter { names.contains($0.key) },
      library: library(
        mapped: FileManager.default.contents(atPath: "/proc/self/maps")
          .map { String(decoding: $0, as: UTF8.self) } ?? ""))
  }

  /// The library by the files that a process has mapped. Either may be called libmpi; their versions differ.
  package static func library(mapped text: String) -> Library? {
    if text.contains("/libmpich") || text.contains("/libmpi.so.12") { return .mpich }
    return text.contains("/libopen-pal") || text.contains("/libmpi.so") ? .openMPI : nil
  }
}
