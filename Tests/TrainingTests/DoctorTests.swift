import Collectives
import Commands
import Configuration
import Diagnostics
import Foundation
import TestSupport
import Testing
import Training

/// A fixture for each finding of the doctor: the facts that give it, what it names and its fix.
struct DoctorFindingTests {
  /// Ranks on hosts, all alike, each bound to cores of its own.
  static func ranks(_ hosts: [String], threads: Int = 2) -> [RankFacts] {
    var ranks: [RankFacts] = []
    for (rank, host) in hosts.enumerated() {
      var facts = RankFacts(rank: rank, hostName: host)
      let place = rank - (hosts.firstIndex(of: host) ?? 0)
      (facts.machine, facts.kernelID, facts.threads) = (rank - place, host, threads)
      (facts.coreCount, facts.usableCores) = (8, Array(0..<8))
      facts.ownCores = Array(place * threads..<(place + 1) * threads)
      (facts.programVersion, facts.programHash) = ("1.0", "aaaa")
      (facts.numerics, facts.kernelTables) = ("avx2 kernels", ["avx2", "reference"])
      facts.config = ["seed: 1", "learning_rate: 0.001"]
      facts.data = [.init(path: "en.conll", byteCount: 10, sha256: "cccc")]
      (facts.availableBytes, facts.sharedMemoryBytes) = (1 << 34, 1 << 26)
      (facts.openFiles, facts.addressSpaceBytes) = (1024, nil)
      ranks.append(facts)
    }
    return ranks
  }

  static func facts(_ ranks: [RankFacts]) -> GroupFacts {
    GroupFacts(launch: LaunchFacts(joinedSize: ranks.count), ranks: ranks)
  }

  /// The one finding of these facts.
  static func only(
    _ facts: GroupFacts, _ kind: Finding.Kind, location: SourceLocation = #_sourceLocation
  ) throws -> Finding {
    let findings = facts.findings
    #expect(findings.count == 1, "\(findings)", sourceLocation: location)
    let finding = try #require(findings.first, sourceLocation: location)
    #expect(finding.kind == kind, sourceLocation: location)
    return finding
  }

  @Test func ranksThatAreAlikeGiveNoFinding() {
    var facts = Self.facts(Self.ranks(["a", "a", "b", "b"]))
    facts.links = [Self.link(2, "b", megabytes: 1000)]
    facts.output = OutputFacts(folder: "/runs", freeBytes: 1 << 30)
    facts.plan = PlanFacts(checkpointBytes: 1 << 29, rankBytes: 1 << 30)
    #expect(facts.findings.isEmpty, "\(facts.findings)")
  }

  // MARK: Launch

  @Test func aLauncherOfAnotherMPI() throws {
    var facts = Self.facts(Self.ranks(["a"]))
    facts.launch = LaunchFacts(variables: ["PMI_SIZE": "4", "PMI_RANK": "0"], library: .openMPI)
    var finding = try Self.only(facts, .launch)
    #expect(finding.problem.contains("rank 0 of 1, although PMI_SIZE is 4"))
    #expect(finding.problem.contains("a launcher of MPICH started a program of Open MPI"))
    #expect(
      finding.fix.contains("mpirun of Open MPI") && finding.fix.contains("ISOGLOSS_MPI=mpich"))
    facts.launch = LaunchFacts(variables: ["OMPI_COMM_WORLD_SIZE": "4"], library: .mpich)
    finding = try Self.only(facts, .launch)
    #expect(finding.problem.contains("Open MPI's mpirun started a program of MPICH"))
    #expect(
      finding.fix.contains("mpirun of MPICH") && finding.fix.contains("build it for Open MPI"))
  }

  @Test func srunWithoutPMI() throws {
    var facts = Self.facts(Self.ranks(["a"]))
    facts.launch = LaunchFacts(
      variables: ["SLURM_STEP_NUM_TASKS": "4", "SLURM_NTASKS": "4", "SLURM_PROCID": "2"],
      library: .openMPI)
    #expect(facts.launch.rank == 2)
    var finding = try Self.only(facts, .launch)
    #expect(finding.problem.contains("although SLURM_STEP_NUM_TASKS is 4: srun started them"))
    #expect(finding.fix.contains("srun --mpi=pmix") && finding.fix.contains("Launch/mpirun -n 4"))
    facts.launch.library = .mpich
    finding = try Self.only(facts, .launch)
    #expect(finding.fix.contains("srun --mpi=pmi2"))
  }

  @Test func aBatchScriptWithoutLauncher() throws {
    var facts = Self.facts(Self.ranks(["a"]))
    facts.launch = LaunchFacts(variables: ["SLURM_NTASKS": "4"], library: .openMPI)
    let finding = try Self.only(facts, .launch)
    #expect(finding.problem.contains("the batch script runs this program itself"))
    #expect(finding.fix.contains("srun --mpi=pmix"))
  }

  /// An mpirun may start fewer ranks than its Slurm job has tasks.
  @Test func theLaunchersOwnCountComesFirst() {
    var facts = Self.facts(Self.ranks(["a", "a"]))
    facts.launch = LaunchFacts(
      variables: ["OMPI_COMM_WORLD_SIZE": "2", "SLURM_NTASKS": "4"], library: .openMPI,
      joinedSize: 2)
    #expect(facts.findings.isEmpty)
    facts.launch.variables = ["SLURM_STEP_NUM_TASKS": "2", "SLURM_NTASKS": "2", "PMIX_RANK": "0"]
    #expect(facts.findings.isEmpty)
  }

  @Test func theLibraryIsToldByItsFiles() {
    #expect(LaunchFacts.library(mapped: "/usr/lib/libmpi.so.40.30.4") == .openMPI)
    #expect(LaunchFacts.library(mapped: "/usr/lib/libmpich.so.12.2.2") == .mpich)
    #expect(LaunchFacts.library(mapped: "/opt/mpich/lib/libmpi.so.12.4.0") == .mpich)
    #expect(LaunchFacts.library(mapped: "/usr/lib/libc.so.6") == nil)
  }

  // MARK: Cores

  @Test func ranksBoundToFewerCoresThanThreads() throws {
    var ranks = Self.ranks(["a", "a"])
    ranks[0].ownCores = [0]
    ranks[1].ownCores = [1]
    let finding = try Self.only(Self.facts(ranks), .binding)
    #expect(finding.problem.hasPrefix("2 threads share 1 core: ranks 0–1 on a are bound"))
    #expect(finding.fix.contains("--map-by slot:PE=2 --bind-to core"))
    #expect(finding.fix.contains("set --threads to 1"))
  }

  @Test func ranksBoundToTheSameCores() throws {
    var ranks = Self.ranks(["a", "a", "a"])
    ranks[2].ownCores = [1, 2]
    var finding = try Self.only(Self.facts(ranks), .overlap)
    #expect(finding.problem.contains("ranks 0–2 on a are bound to overlapping cores"))
    #expect(finding.problem.contains("6 threads on 4 cores (0–3)"))
    #expect(finding.fix.contains("--map-by slot:PE=2") && finding.fix.contains("--cpu-bind=cores"))
    ranks = Self.ranks(["a", "a", "b"])
    ranks[1].ownCores = ranks[0].ownCores
    finding = try Self.only(Self.facts(ranks), .overlap)
    #expect(finding.problem.contains("ranks 0–1 on a"))
    // Cores of another machine have the same numbers and are others.
    ranks = Self.ranks(["a", "b"])
    #expect(ranks[0].ownCores == ranks[1].ownCores)
    #expect(Self.facts(ranks).findings.isEmpty)
  }

  @Test func moreThreadsThanCores() throws {
    var ranks = Self.ranks(["a", "a", "a"], threads: 4)
    for index in ranks.indices { ranks[index].ownCores = Array(0..<8) }
    var finding = try Self.only(Self.facts(ranks), .cores)
    #expect(finding.problem == "3 ranks × 4 threads share 8 cores of a and slow each other down")
    #expect(finding.fix == "set --threads to 2 or start fewer ranks on a")
    for index in ranks.indices { ranks[index].threads = 2 }
    #expect(Self.facts(ranks).findings.isEmpty)
    for index in ranks.indices { ranks[index].coreQuota = 3 }
    finding = try Self.only(Self.facts(ranks), .cores)
    #expect(
      finding.problem.contains("3 ranks × 2 threads share the time of 3.0 cores (cgroup cpu.max)"))
    #expect(finding.fix.hasPrefix("set --threads to 1"))
  }

  // MARK: Differences

  @Test func anotherProgram() throws {
    var ranks = Self.ranks(["a", "b", "c"])
    ranks[1].programHash = "bbbb"
    let finding = try Self.only(Self.facts(ranks), .program)
    #expect(finding.problem == "rank 1 on b has program 1.0 (bbbb), most have 1.0 (aaaa)")
    #expect(finding.fix.contains("same build"))
  }

  @Test func anotherConfig() throws {
    var ranks = Self.ranks(["a", "b", "c"])
    ranks[0].config = ["seed: 1", "learning_rate: 0.002"]
    let finding = try Self.only(Self.facts(ranks), .config)
    #expect(
      finding.problem == "rank 0 on a has another config: 'learning_rate: 0.002' where most have "
        + "'learning_rate: 0.001'")
    #expect(finding.fix.contains("same file and the same overrides"))
    // One may be the beginning of the other.
    ranks[0].config = ["seed: 1"]
    let shorter = try Self.only(Self.facts(ranks), .config)
    #expect(shorter.problem.contains("'the end' where most have 'learning_rate: 0.001'"))
  }

  @Test func aConfigThatOneRankCannotRead() throws {
    var ranks = Self.ranks(["a", "b"])
    (ranks[1].config, ranks[1].data, ranks[1].configError) = (nil, [], "run.yaml: no such file")
    let finding = try Self.only(Self.facts(ranks), .config)
    #expect(finding.problem == "rank 1 on b: run.yaml: no such file")
    #expect(finding.fix.contains("where all hosts see them"))
  }

  @Test func aConfigThatCannotBeRun() throws {
    var facts = Self.facts(Self.ranks(["a"]))
    facts.planError = "shards: 1 is fewer than 2 ranks"
    let finding = try Self.only(facts, .data)
    #expect(finding.problem.contains("shards: 1") && finding.fix.contains("correct the config"))
  }

  @Test func otherData() throws {
    var ranks = Self.ranks(["a", "b", "c"])
    ranks[2].data[0].sha256 = "dddd"
    var finding = try Self.only(Self.facts(ranks), .data)
    #expect(
      finding.problem
        == "rank 2 on c has en.conll with 10 bytes (dddd), most have it with 10 bytes (cccc)")
    #expect(finding.fix.contains("copy the same file to every host"))
    ranks[2].data[0] = .init(path: "en.conll", byteCount: nil, sha256: "")
    finding = try Self.only(Self.facts(ranks), .data)
    #expect(finding.problem.contains("has en.conll with nothing that can be read"))
  }

  @Test func aFileThatNoRankCanRead() throws {
    var ranks = Self.ranks(["a", "b"])
    for index in ranks.indices {
      ranks[index].data[0] = .init(path: "en.conll", byteCount: nil, sha256: "")
    }
    #expect(Self.facts(ranks).findings.isEmpty, "the plan's own error says it")
  }

  @Test func otherNumerics() throws {
    var ranks = Self.ranks(["a", "b", "c"])
    ranks[1].numerics = "amx kernels"
    ranks[1].kernelTables = ["amx", "avx2", "reference"]
    let finding = try Self.only(Self.facts(ranks), .numerics)
    #expect(finding.problem == "rank 1 on b has numerics amx kernels, most have avx2 kernels")
    #expect(finding.fix.contains("ISOGLOSS_KERNELS") && finding.fix.contains("such as avx2"))
  }

  // MARK: Network

  static func link(_ rank: Int, _ host: String, megabytes: Double, milliseconds: Double = 0.1)
    -> LinkFacts
  {
    LinkFacts(
      rank: rank, hostName: host, latencySeconds: milliseconds * 1e-3,
      outBytesPerSecond: megabytes * 1e6, inBytesPerSecond: megabytes * 2e6)
  }

  @Test func aLinkSlowerThanTheOthers() throws {
    var facts = Self.facts(Self.ranks(["a", "b", "c", "d"]))
    facts.links = [
      Self.link(1, "b", megabytes: 1000), Self.link(2, "c", megabytes: 400),
      Self.link(3, "d", megabytes: 1000),
    ]
    let finding = try Self.only(facts, .network)
    #expect(finding.problem.contains("c (rank 2) carries 400 MB/s, where most carry 1000 MB/s"))
    #expect(finding.fix.contains("ethtool"))
  }

  @Test func linksBelowAGigabit() throws {
    var facts = Self.facts(Self.ranks(["a", "b"]))
    facts.links = [Self.link(1, "b", megabytes: 12)]
    let finding = try Self.only(facts, .network)
    #expect(finding.problem.contains("b (rank 1) carries 12 MB/s, less than 1 Gbit/s"))
    #expect(finding.problem.contains("33.3 s a step"))
    #expect(finding.fix.contains("OMPI_MCA_btl_tcp_if_include"))
  }

  @Test func lateMessages() throws {
    var facts = Self.facts(Self.ranks(["a", "b"]))
    facts.links = [Self.link(1, "b", megabytes: 1000, milliseconds: 3)]
    let finding = try Self.only(facts, .network)
    #expect(finding.problem.contains("b (rank 1) takes 3.0 ms"))
    #expect(finding.fix.contains("OMPI_MCA_btl_tcp_if_include"))
  }

  // MARK: Output directory

  @Test func aRenameThatSomeRanksDoNotSee() throws {
    var facts = Self.facts(Self.ranks(["a", "a", "b", "b"]))
    facts.output = OutputFacts(folder: "/tmp", blindRanks: [2, 3])
    let finding = try Self.only(facts, .output)
    #expect(finding.problem == "ranks 2–3 on b do not see a file that rank 0 renamed in /tmp")
    #expect(finding.fix.contains("set output_dir to a file system that all hosts share"))
  }

  @Test func anOutputDirectoryThatCannotBeWritten() throws {
    var facts = Self.facts(Self.ranks(["a", "b"]))
    facts.output = OutputFacts(folder: "/runs", error: "Permission denied")
    let finding = try Self.only(facts, .output)
    #expect(finding.problem == "rank 0 on a cannot write in /runs: Permission denied")
    #expect(finding.fix.contains("output_dir"))
  }

  @Test func tooLittleSpace() throws {
    var facts = Self.facts(Self.ranks(["a"]))
    facts.output = OutputFacts(folder: "/runs", freeBytes: 3_999_999)
    facts.plan = PlanFacts(checkpointBytes: 4_000_000, rankBytes: 1)
    let finding = try Self.only(facts, .space)
    #expect(finding.problem.contains("/runs has 4.0 MB free"))
    #expect(finding.fix.contains("save_total_limit"))
    facts.output?.freeBytes = 4_000_000
    #expect(facts.findings.isEmpty)
  }

  // MARK: Memory and limits

  @Test func tooLittleMemory() throws {
    var facts = Self.facts(Self.ranks(["a", "a", "b"]))
    facts.plan = PlanFacts(checkpointBytes: 1, rankBytes: 9 << 30)
    let finding = try Self.only(facts, .memory)
    #expect(finding.problem.contains("ranks 0–1 on a will need about 9.7 GB each"))
    #expect(finding.problem.contains("a has 17.2 GB left"))
    #expect(finding.fix.contains("max_tokens_per_pass") && finding.fix.contains("shard_optimizer"))
  }

  @Test func tooLittleSharedMemory() throws {
    var ranks = Self.ranks(["a", "a"])
    for index in ranks.indices { ranks[index].sharedMemoryBytes = 1 << 20 }
    let finding = try Self.only(Self.facts(ranks), .sharedMemory)
    #expect(finding.problem.contains("/dev/shm of a has 1.0 MB free"))
    #expect(finding.fix.contains("--shm-size"))
    #expect(Self.facts([ranks[0]]).findings.isEmpty, "one rank exchanges nothing on its host")
  }

  @Test func limitsOfTheShell() throws {
    var facts = Self.facts(Self.ranks(["a", "b"]))
    facts.ranks[1].openFiles = 64
    var finding = try Self.only(facts, .limits)
    #expect(finding.problem.contains("rank 1 on b may open 64 files"))
    #expect(finding.fix.contains("ulimit -n 1024"))
    facts = Self.facts(Self.ranks(["a"]))
    facts.ranks[0].addressSpaceBytes = 1 << 30
    facts.plan = PlanFacts(checkpointBytes: 1, rankBytes: 2 << 30)
    finding = try Self.only(facts, .limits)
    #expect(finding.fix.contains("ulimit -v unlimited"))
  }
}
