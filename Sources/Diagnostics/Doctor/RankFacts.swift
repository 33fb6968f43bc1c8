/// What one rank sees of its machine, its program and the files of the config.
public struct RankFacts: Sendable, Equatable, Codable {
  /// A file that the config names.
  public struct DataFile: Sendable, Equatable, Codable {
    public var path: String
    /// Nil if it cannot be read.
    public var byteCount: Int?
    /// Empty if it cannot be read. Of a file over 256 MiB 64 pieces of 1 MiB are hashed.
    public var sha256: String

    public init(path: String, byteCount: Int?, sha256: String) {
      self.path = path
      self.byteCount = byteCount
      self.sha256 = sha256
    }
  }

  /// What the rank's threads reached while all ranks measured at once.
  public struct Peaks: Sendable, Equatable, Codable {
    public var threads: Int
    public var flopsPerSecond: Double
    public var bf16FlopsPerSecond: Double?
    public var bytesPerSecond: Double
  }

  public var rank: Int
  public var hostName: String
  /// The lowest rank on the same host, as MPI tells hosts apart.
  public var machine = 0
  /// The id of the running kernel. Containers on one machine share it, and with it cores and memory.
  public var kernelID = ""
  public var threads = 1

  public var processor = ""
  /// The hardware threads of the machine.
  public var coreCount = 1
  /// The hardware threads that a process may use here if nothing binds it.
  public var usableCores: [Int] = [0]
  /// The hardware threads that this rank may use.
  public var ownCores: [Int] = [0]
  /// The processor time that the control group allows, in cores; nil for all there is.
  public var coreQuota: Double?

  public var programVersion = ""
  /// The SHA-256 of the program's file.
  public var programHash = ""
  public var kernelTables: [String] = []
  public var numerics = ""
  /// The unit that multiplies bf16; nil if there is none.
  public var bf16Unit: String?
  public var peaks: [Peaks] = []

  /// The resolved config by lines; nil without one.
  public var config: [String]?
  public var configError: String?
  public var data: [DataFile] = []

  /// The memory that programs can still have; nil if that is not known. So the next ones.
  public var availableBytes: Int?
  /// What /dev/shm still holds.
  public var sharedMemoryBytes: Int?
  /// The address space a process may have.
  public var addressSpaceBytes: Int?
  /// The files a process may have open.
  public var openFiles: Int?

  public init(rank: Int, hostName: String) {
    self.rank = rank
    self.hostName = hostName
  }

  /// Whether something has bound this rank to a part of the cores.
  var isBound: Bool { ownCores.count < usableCores.count }
}
