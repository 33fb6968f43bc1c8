import Collectives
import Foundation
import Glibc
import Testing

/// Ends of a whole group that a test cannot survive: played by ranks under `Launch/mpirun`, which
/// the tests below start with this test binary.
@Suite(.enabled(if: Scenario.current != nil, "started by LauncherTests"))
struct ScenarioTests {
  @Test func play() throws {
    let world = try MPIWorld.start(settings: CollectiveSettings(timeoutSeconds: 60))
    try world.barrier()
    switch try #require(Scenario.current) {
    case .abort:
      if world.rank == 1 { world.abort(code: 65) }
      try world.barrier()
    case .kill:
      if world.rank == 1 { kill(getpid(), SIGKILL) }
      try world.barrier()
    case .absence:
      if world.rank == 1 { sleep(60) }
      world.settings.timeoutSeconds = 0.5
      do throws(CollectiveError) {
        try world.barrier()
      } catch {
        FileHandle.standardOutput.write(Data("scenario: \(error)\n".utf8))
        world.abort(code: 74)
      }
    }
  }
}

enum Scenario: String {
  case abort, kill, absence

  static var current: Scenario? {
    ProcessInfo.processInfo.environment["ISOGLOSS_TEST_SCENARIO"].flatMap(Scenario.init)
  }
}

/// The script under test.
enum Launcher {
  static let script = URL(filePath: #filePath).deletingLastPathComponent()
    .deletingLastPathComponent().deletingLastPathComponent().appending(path: "Launch/mpirun")

  private static let environment = ProcessInfo.processInfo.environment
  static let mpirun = environment["ISOGLOSS_MPIRUN"] ?? "mpirun"

  static var canLaunch: Bool {
    !Launch.isUnderLauncher
      && (environment["PATH"] ?? "").split(separator: ":").contains {
        FileManager.default.isExecutableFile(atPath: "\($0)/\(mpirun)")
      }
  }
}

@Suite(
  .serialized, .enabled(if: Launcher.canLaunch, "needs mpirun, and not to run under it"))
struct LauncherTests {
  private func launch(
    _ arguments: [String], _ scenario: Scenario? = nil, variables: [String: String] = [:]
  ) throws -> (status: Int32, output: String, seconds: Double) {
    let process = Process()
    process.executableURL = Launcher.script
    process.arguments = arguments
    process.environment = ProcessInfo.processInfo.environment.merging(
      variables.merging(["ISOGLOSS_TEST_SCENARIO": scenario?.rawValue ?? ""]) { $1 }
    ) { $1 }
    let pipe = Pipe()
    process.standardOutput = pipe
    process.standardError = pipe
    let start = ContinuousClock.now
    try process.run()
    let output = try pipe.fileHandleForReading.readToEnd() ?? Data()
    process.waitUntilExit()
    let elapsed = (ContinuousClock.now - start) / .seconds(1)
    return (process.terminationStatus, String(decoding: output, as: UTF8.self), elapsed)
  }

  private func play(_ scenario: Scenario) throws
    -> (status: Int32, output: String, seconds: Double)
  {
    let binary = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
    return try launch(
      [
        "-n", "2", "--threads", "1", binary, "--testing-library", "swift-testing", "--no-parallel",
        "--filter", "ScenarioTests",
      ], scenario)
  }

  @Test func abortEndsAllWithItsCode() throws {
    let run = try play(.abort)
    #expect(run.status == 65, "\(run.output)")
    #expect(run.seconds < 10)
  }

  @Test func aKilledRankEndsAll() throws {
    let run = try play(.kill)
    // MPICH's mpirun ends with the signal's bare number.
    let byMPICH = run.output.contains("EXIT STRING: Killed (signal 9)")
    #expect(run.status == (byMPICH ? SIGKILL : 128 + SIGKILL), "\(run.output)")
    #expect(run.seconds < 10)
  }

  @Test func anAbsentRankIsNamedAndAllEnd() throws {
    let run = try play(.absence)
    #expect(run.status == 74, "\(run.output)")
    #expect(run.output.contains("scenario: rank 0: barrier: waited 0.5 s for rank 1 of 2 in vain"))
    #expect(run.seconds < 10)
  }

  @Test func exitCodesAndVariablesPass() throws {
    #expect(try launch(["-n", "2", "--", "sh", "-c", "exit 78"]).status == 78)
    let run = try launch([
      "-n", "1", "--threads", "1", "sh", "-c", "echo $ISOGLOSS_THREADS-$OPENBLAS_NUM_THREADS",
    ])
    #expect(run.output.contains("1-1\n"))
  }

  /// Open MPI's waits so for ever, and heeds no TERM.
  @Test func aLaunchWithoutRanksEnds() throws {
    let folder = FileManager.default.temporaryDirectory.appending(
      path: "isogloss-launch-\(getpid())")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let silent = folder.appending(path: "mpirun")
    let script = "#!/bin/sh\ntrap '' TERM\n[ \"$1\" = --version ] || while :; do sleep 1; done\n"
    try Data(script.utf8).write(to: silent)
    try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: silent.path)
    let hosts = folder.appending(path: "hosts")
    let others = (1...8).map { "192.0.2.\($0) slots=1\n" }.joined()
    try Data("localhost slots=1  # this one\n\(others)".utf8).write(to: hosts)
    let run = try launch(
      ["-n", "2", "--hostfile", hosts.path, "--start-timeout", "2", "true"],
      variables: ["ISOGLOSS_MPIRUN": silent.path])
    #expect(run.status == 70 && run.seconds < 15, "\(run.status) after \(run.seconds) s")
    #expect(run.output.hasPrefix("Launch/mpirun: no rank has started within 2 s; "))
    #expect(run.output.split(separator: "\n").count == 1, "\(run.output)")
    let missing = (1...5).map { "192.0.2.\($0)" }.joined(separator: ", ")
    if FileManager.default.isExecutableFile(atPath: "/usr/bin/ss") {
      #expect(run.output.contains("has no connection with \(missing): "), "\(run.output)")
    }
    // Ranks that started may take as long as they want.
    let slow = try launch(["-n", "1", "--start-timeout", "5", "sleep", "8"])
    #expect(slow.status == 0 && slow.seconds > 7, "\(slow.output)")
  }

  @Test(arguments: [
    ["true"], ["-n", "0", "true"], ["-n", "2x", "true"], ["-n", "2"], ["-n"],
    ["--unknown", "true"], ["-n", "1", "--threads", "0", "true"],
    ["-n", "1", "--hostfile", "/dev/null/none", "true"], ["-n", "1", "--hostfile", "/", "true"],
    ["-n", "1", "--start-timeout", "soon", "true"],
  ])
  func wrongUseIsOneLineAndCode64(arguments: [String]) throws {
    let run = try launch(arguments)
    #expect(run.status == 64)
    #expect(run.output.hasPrefix("Launch/mpirun: "))
    #expect(run.output.split(separator: "\n").count == 1)
  }
}
