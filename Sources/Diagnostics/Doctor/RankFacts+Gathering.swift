import Checkpoints
public import Collectives
public import Configuration
import Corpus
import Files
import Foundation
public import Tensors
public import Training

extension RankFacts {
  /// What can be seen without asking other ranks. Cost: half a second to measure peaks for each of `peakThreads`.
  ///
  /// - Parameters:
  ///   - peakThreads: The thread counts whose peaks are measured.
  public init(
    rank: Int, hostName: String, threads: Int, programVersion: String, kernels: KernelTable,
    peakThreads: [Int]
  ) {
    self.init(rank: rank, hostName: hostName)
    self.threads = threads
    self.programVersion = programVersion
    programHash = (try? SHA256.digest(ofFile: "/proc/self/exe")) ?? "unknown"
    kernelTables = KernelTable.runnable.map(\.name)
    numerics = NumericsID.of(kernels, .fp32)
    bf16Unit = kernels.bf16Unit
    let system = SystemFiles()
    kernelID = system.line("/proc/sys/kernel/random/boot_id") ?? hostName
    processor = system.processor
    coreCount = ProcessInfo.processInfo.processorCount
    ownCores = system.cores(ofStatus: "/proc/self/status") ?? Array(0..<coreCount)
    usableCores = system.usableCores ?? Array(0..<coreCount)
    coreQuota = system.coreQuota
    availableBytes = system.availableBytes
    sharedMemoryBytes = SystemFiles.freeBytes(in: "/dev/shm")
    addressSpaceBytes = SystemFiles.limit(.addressSpace)
    openFiles = SystemFiles.limit(.openFiles)
    for count in peakThreads {
      let workspace = Workspace(
        kernels: kernels, threadCount: count, precision: kernels.precision(.bf16))
      let measured = MachinePeaks(workspace)
      workspace.stop()
      peaks.append(
        Peaks(
          threads: count, flopsPerSecond: measured.flopsPerSecond,
          bf16FlopsPerSecond: measured.bf16FlopsPerSecond,
          bytesPerSecond: measured.bytesPerSecond))
    }
  }

  /// Adds the config and what the files that it names hold. Reads up to 256 MiB of each file; of packed text its index,
  /// which holds the shards' checksums.
  public mutating func add(_ configuration: RunConfiguration, tasks: [any RunTask.Type]) {
    config = configuration.description.split(separator: "\n").map(String.init)
    var paths: [String] = []
    for stage in configuration.stages {
      for path in tasks.first(where: { $0.schema.name == stage.task })?
        .dataFiles(of: stage, in: configuration) ?? [] where !paths.contains(path)
      { paths.append(path) }
    }
    var folders = [configuration.tokenizer].compactMap(\.self)
    if case .checkpoint(let path)? = configuration.start { folders.append(path) }
    for stage in configuration.stages {
      for start in [stage.start] + stage.teachers {
        if case .checkpoint(let path) = start { folders.append(path) }
      }
    }
    for folder in folders { paths += Self.files(in: folder) }
    data = paths.reduce(into: [DataFile]()) { files, path in
      if !files.contains(where: { $0.path == path }) { files.append(DataFile(reading: path)) }
    }
  }

  /// The files of a folder in the order of their names, or the file itself, or a name that cannot be read.
  private static func files(in path: String) -> [String] {
    guard let names = try? FileManager.default.contentsOfDirectory(atPath: path) else {
      return [path]
    }
    return names.sorted().filter { !$0.hasPrefix(".") }.map { path + "/" + $0 }
      .filter {
        var isFolder = false as ObjCBool
        return unsafe FileManager.default.fileExists(atPath: $0, isDirectory: &isFolder)
          && !isFolder.boolValue
      }
  }

  /// The facts of all ranks, by rank, each with the lowest rank of its host. Every rank calls it.
  public static func gathered(
    _ own: RankFacts, over communicator: any Communicator
  ) throws -> [RankFacts] {
    var own = own
    let machine = try communicator.splitByMachine()
    var first = [Int64(communicator.rank)]
    try machine.broadcast(&first, from: 0)
    own.machine = Int(first[0])
    let bytes = Array(try JSONEncoder().encode(own))
    return try communicator.allGather(bytes).map {
      try JSONDecoder().decode(RankFacts.self, from: Data($0))
    }
  }
}

extension RankFacts.DataFile {
  /// Of a file over 256 MiB, 64 pieces of 1 MiB at even distances stand for all.
  init(reading path: String) {
    self.init(path: path, byteCount: nil, sha256: "")
    let piece = 1 << 20
    // Whatever else can be opened has no size.
    let type =
      try? FileManager.default.attributesOfItem(
        atPath: URL(filePath: path).resolvingSymlinksInPath().path)[.type] as? FileAttributeType
    guard type == .typeRegular, let file = FileHandle(forReadingAtPath: path),
      let size = try? file.seekToEnd()
    else { return }
    defer { try? file.close() }
    let count = Int(clamping: size)
    var offsets = Array(stride(from: 0, to: count, by: piece))
    if offsets.count > 256 {
      offsets = (0..<64).map { ($0 * (count - piece) / 63) }
    }
    var hash = SHA256()
    do {
      for offset in offsets {
        try file.seek(toOffset: UInt64(offset))
        let bytes = Array(try file.read(upToCount: piece) ?? Data())
        hash.update(unsafe bytes.span.bytes)
      }
    } catch { return }
    byteCount = count
    sha256 = hash.finish()
  }
}
