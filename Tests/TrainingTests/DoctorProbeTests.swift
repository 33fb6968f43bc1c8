import Collectives
import Commands
import Configuration
import Diagnostics
import Foundation
import Tensors
import TestSupport
import Testing
import Training

/// What the doctor sees of a machine and finds out with other ranks.
struct DoctorProbeTests {
  /// A folder of files of a pretended kernel, removed at the end.
  private struct Root: ~Copyable {
    let path = NSTemporaryDirectory() + "isogloss-root-\(UUID().uuidString)"

    func write(_ text: String, _ name: String) throws {
      let file = URL(fileURLWithPath: path + name)
      try FileManager.default.createDirectory(
        at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
      try text.write(to: file, atomically: false, encoding: .utf8)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }
  }

  @Test func listsOfCores() {
    #expect(SystemFiles.cores("0-3,8") == [0, 1, 2, 3, 8])
    #expect(SystemFiles.cores("5") == [5])
    for text in ["", "a", "3-1", "-2", "0-99999999", "1-2-3"] {
      #expect(SystemFiles.cores(text).map { $0.count } ?? 0 < 2, "\(text)")
    }
  }

  @Test func controlGroupsBoundCoresTimeAndMemory() throws {
    let root = Root()
    let system = SystemFiles(root: root.path)
    #expect(system.usableCores == nil && system.coreQuota == nil && system.availableBytes == nil)
    try root.write("0-7\n", "/sys/devices/system/cpu/online")
    #expect(system.usableCores == Array(0..<8))
    try root.write("4:memory:/other\n0::/slurm/job\n", "/proc/self/cgroup")
    try root.write("2-5\n", "/sys/fs/cgroup/slurm/job/cpuset.cpus.effective")
    #expect(system.usableCores == [2, 3, 4, 5])
    try root.write("max 100000\n", "/sys/fs/cgroup/slurm/job/cpu.max")
    #expect(system.coreQuota == nil)
    try root.write("150000 100000\n", "/sys/fs/cgroup/slurm/cpu.max")
    #expect(system.coreQuota == 1.5)
    try root.write("MemTotal: 9 kB\nMemAvailable:  1000 kB\n", "/proc/meminfo")
    #expect(system.availableBytes == 1_024_000)
    try root.write("max\n", "/sys/fs/cgroup/slurm/job/memory.max")
    try root.write("500000\n", "/sys/fs/cgroup/slurm/memory.max")
    try root.write("100000\n", "/sys/fs/cgroup/slurm/memory.current")
    #expect(system.availableBytes == 400_000)
  }

  @Test func ranksTellEachOtherWhatTheySee() throws {
    let kernels = try KernelTable.chosen()
    let small = try SmallRun(sentences: 20)
    defer { small.remove() }
    let configuration = try small.configuration("out")
    let facts = try ThreadGroup.run(ranks: 4, ranksPerMachine: 2) { communicator in
      var own = RankFacts(
        rank: communicator.rank, hostName: "host", threads: 1 + communicator.rank,
        programVersion: "1.0", kernels: kernels, peakThreads: [])
      own.add(configuration, tasks: standardTasks)
      return try RankFacts.gathered(own, over: communicator)
    }
    for ranks in facts {
      #expect(ranks == facts[0])
      #expect(ranks.map(\.rank) == [0, 1, 2, 3] && ranks.map(\.threads) == [1, 2, 3, 4])
      #expect(ranks.map(\.machine) == [0, 0, 2, 2])
    }
    let own = facts[0][0]
    #expect(own.programHash.count == 64 && !own.numerics.isEmpty && !own.ownCores.isEmpty)
    #expect(own.config?.contains { $0.contains("max_steps: 12") } ?? false)
    // Three files of each language, and those of the tokenizer.
    #expect(own.data.count > 6 && own.data.allSatisfy { $0.byteCount != nil })
  }

  @Test func aChangedByteChangesTheFilesHash() throws {
    let small = try SmallRun(sentences: 20)
    defer { small.remove() }
    let configuration = try small.configuration("out")
    var before = RankFacts(rank: 0, hostName: "host")
    before.add(configuration, tasks: standardTasks)
    let path = small.folder + "/sample/en.dev.conll"
    var bytes = try Data(contentsOf: URL(fileURLWithPath: path))
    bytes[bytes.count / 2] ^= 1
    try bytes.write(to: URL(fileURLWithPath: path))
    var after = RankFacts(rank: 0, hostName: "host")
    after.add(configuration, tasks: standardTasks)
    let changed = zip(before.data, after.data).filter { $0 != $1 }.map(\.0.path)
    #expect(changed == [path])
    try FileManager.default.removeItem(atPath: path)
    var gone = RankFacts(rank: 0, hostName: "host")
    gone.add(configuration, tasks: standardTasks)
    #expect(gone.data.filter { $0.byteCount == nil }.map(\.path) == [path])
  }

  /// A folder can be opened and has no end: it was read for ever.
  @Test func aFolderInPlaceOfAFileHasNoContent() throws {
    let small = try SmallRun(sentences: 20)
    defer { small.remove() }
    let configuration = try small.configuration("out", ["languages.en.train=[sample]"])
    var facts = RankFacts(rank: 0, hostName: "host")
    facts.add(configuration, tasks: standardTasks)
    let folder = facts.data.first { $0.path.hasSuffix("/sample") }
    #expect(folder != nil && folder?.byteCount == nil)
    let file = facts.data.first { $0.path.hasSuffix("/sample/ru.train.conll") }
    #expect((file?.byteCount ?? 0) > 0)
  }

  /// Of packed text the index is looked at, which holds the shards' checksums.
  @Test func packedTextIsKnownByItsIndex() throws {
    let text = try SmallText()
    defer { text.remove() }
    var facts = RankFacts(rank: 0, hostName: "host")
    facts.add(try text.configuration("out"), tasks: standardTasks)
    for part in ["en/train", "en/dev", "ru/train", "ru/dev"] {
      let index = facts.data.first { $0.path.hasSuffix("/packed/\(part)/index.json") }
      #expect((index?.byteCount ?? 0) > 0, "\(part)")
    }
  }

  @Test func linksAreMeasuredToTheFirstRankOfEachOtherHost() throws {
    let links = try ThreadGroup.run(ranks: 6, ranksPerMachine: 2) { communicator in
      let ranks = try RankFacts.gathered(
        RankFacts(rank: communicator.rank, hostName: "host"), over: communicator)
      return try LinkFacts.measure(over: communicator, ranks)
    }
    #expect(links[0].map(\.rank) == [2, 4])
    #expect(
      links[0].allSatisfy {
        $0.latencySeconds > 0 && $0.outBytesPerSecond > 0 && $0.inBytesPerSecond > 0
      })
    #expect(links.dropFirst().allSatisfy { $0.isEmpty })
  }

  @Test func allRanksSeeARenameAndNothingIsLeft() throws {
    let small = try SmallRun(sentences: 20)
    defer { small.remove() }
    let configuration = try small.configuration("not/there/yet")
    let before = try FileManager.default.contentsOfDirectory(atPath: small.folder)
    let facts = try ThreadGroup.run(ranks: 3) { communicator in
      try OutputFacts.probe(communicator.rank == 0 ? configuration : nil, over: communicator)
    }
    let first = try #require(facts[0])
    #expect(first.error == nil && first.blindRanks.isEmpty && first.freeBytes ?? 0 > 0)
    #expect(first.folder.hasSuffix((small.folder as NSString).lastPathComponent))
    #expect(facts[1] == nil && facts[2] == nil)
    let after = try FileManager.default.contentsOfDirectory(atPath: small.folder)
    #expect(after.sorted() == before.sorted())
  }

  @Test func anOutputDirectoryThatCannotBeWrittenIsToldByRank0() throws {
    let small = try SmallRun(sentences: 20)
    defer { small.remove() }
    var configuration = try small.configuration("out")
    configuration.outputDirectory = "/proc/isogloss"
    let facts = try ThreadGroup.run(ranks: 2) { [configuration] communicator in
      try OutputFacts.probe(configuration, over: communicator)
    }
    #expect(facts[0]?.folder == "/proc")
    #expect(facts[0]?.error != nil)
  }

  /// Of three epochs, two states in between; one more while the oldest is replaced.
  @Test func filesOfAStage() {
    var training = TrainingConfiguration()
    func bytes(
      ofModel model: Int = 10, keepsMoments: Bool = false, isSharded: Bool = false
    ) -> Int {
      PlanFacts.stageBytes(
        model: model, training: training, steps: 1000, epochs: 3, keepsMoments: keepsMoments,
        isSharded: isSharded)
    }
    #expect(bytes() == 10 + 30, "a model, and a state if it is stopped")
    training.saveStrategy = .epoch
    #expect(bytes() == 10 + 2 * 30)
    #expect(bytes(keepsMoments: true) == 10 + 3 * 30)
    training.loadBestModelAtEnd = true
    #expect(bytes() == 20 + 2 * 30)
    training.saveStrategy = .steps
    training.saveSteps = 100
    #expect(bytes() == 20 + 9 * 30)
    training.saveTotalLimit = 2
    #expect(bytes() == 20 + 3 * 30)
    #expect(bytes(isSharded: true) == 20 + 3 * 30 + 20, "parts of the moments, and the whole")
    #expect(bytes(ofModel: .max / 12, isSharded: true) == .max)
    training.saveTotalLimit = .max
    #expect(bytes() == 20 + 9 * 30)
    training.saveStrategy = .no
    #expect(bytes() == 10 + 30)
  }

  @Test func aPlanTellsMemoryAndFiles() throws {
    let small = try SmallRun(sentences: 40)
    defer { small.remove() }
    let workspace = Workspace(
      kernels: try KernelTable.chosen(), threadCount: 1, precision: .fp32)
    defer { workspace.stop() }
    let run = Run(
      try small.configuration("out"), tasks: standardTasks, communicator: SingleRank(),
      workspace: workspace, reporter: .silent, programVersion: "test", stopRequested: { nil })
    let one = try run.planFacts(ranks: 1)
    let four = try run.planFacts(ranks: 4)
    #expect(one.checkpointBytes == four.checkpointBytes)
    // A model and a state of three times its size; memory holds four times the weights and activations.
    #expect(one.rankBytes > one.checkpointBytes && one.checkpointBytes % 4 == 0)
    #expect(four.rankBytes < one.rankBytes)
  }

  @Test func factsThatDifferAreToldByRank() throws {
    var ranks = DoctorFindingTests.ranks(["a", "a", "b", "b"])
    for index in ranks.indices { ranks[index].processor = "Xeon" }
    ranks[3].processor = "EPYC"
    let report = DoctorFindingTests.facts(ranks).report
    let lines = report.map { "\($0.name): \($0.value)" }
    #expect(lines.contains("processor, ranks 0–2: Xeon"))
    #expect(lines.contains("processor, rank 3 on b: EPYC"))
    #expect(lines.contains("cores: 2 of 8 may be used"))
    #expect(lines.contains("launch: 4 ranks on 2 hosts, 2 threads each"))
  }
}
