import Collectives
import Glibc
import Testing

/// Run under a launcher, as the same test binary on every rank and `--no-parallel`, since only then
/// do all ranks run the tests in the same order:
///
///     Launch/mpirun -n 4 …/isoglossPackageTests.xctest --testing-library swift-testing
///       --no-parallel --filter MPITests
@Suite(.serialized, .enabled(if: Launch.isUnderLauncher, "needs mpirun"))
struct MPITests {
  private static let world = Result<any Communicator, CollectiveError> {
    () throws(CollectiveError) in
    // Time-outs of 3 s within it are explained by heartbeats that are newer.
    var settings = CollectiveSettings(timeoutSeconds: 60)
    settings.heartbeatSeconds = 0.1
    let world = try MPIWorld.start(settings: settings)
    atexit {
      do throws(CollectiveError) {
        try MPIWorld.finish()
      } catch {
        _exit(70)
      }
    }
    return world
  }

  @Test(arguments: CommunicatorCheck.all)
  func passes(check: CommunicatorCheck) throws {
    try check.run(Self.world.get())
  }

  @Test func tenThousandRandomOperations() throws {
    try CommunicatorCheck.randomOperations(10_000, seed: 3).run(Self.world.get())
  }

  @Test func sizeIsThatOfTheLauncher() throws {
    #expect(try Self.world.get().size == Launch.expectedSize)
    #expect(try Self.world.get().rank == Launch.rank)
  }

  @Test func aSecondStartIsTheSameWorld() throws {
    let again = try MPIWorld.start()
    #expect(try again === Self.world.get())
  }

  @Test func errorsOfMPICarryItsText() throws {
    // A receiver that expects smaller pieces than are sent cuts a message short.
    let part = try Self.world.get().split(color: 0, key: 0)
    if part.size > 1 && part.rank == 0 {
      try part.send([UInt8](repeating: 1, count: 100).span, to: 1, tag: 0)
    } else if part.rank == 1 {
      part.settings.pieceBytes = 60
      var values = [UInt8](repeating: 0, count: 100)
      let error = #expect(throws: CollectiveError.self) {
        var span = values.mutableSpan
        try part.receive(into: &span, from: 0, tag: 0)
      }
      let text = error.map { "\($0)" } ?? ""
      #expect(text.contains("receive of 100 uint8s with tag 0"))
      // In Open MPI's words or in MPICH's.
      #expect(text.contains("MPI: MPI_ERR_TRUNCATE") || text.contains("MPI: Message truncated"))
      #expect(!text.contains("\n"))
    }
    try Self.world.get().barrier()
  }
}
