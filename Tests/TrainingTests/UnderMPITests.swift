import Collectives
import Foundation
import TestSupport
import Testing
import Training

/// Runs on the ranks of an MPI job: the same test on every rank, in the same order.
@Suite(.enabled(if: Launch.isUnderLauncher, "needs mpirun"), .serialized)
struct RunUnderMPITests {
  /// MPI, ended when the process ends.
  private static let ending: Void = { _ = atexit { try? MPIWorld.finish() } }()

  /// Under full determinism an MPI job gives the bits of one rank alone.
  @Test func anMPIJobGivesTheBitsOfOneRank() throws {
    let world = try MPIWorld.start()
    _ = Self.ending
    var small: SmallRun?
    if world.rank == 0 { small = try SmallRun() }
    // The first rank's folder, as bytes.
    var length = [Int64(small?.folder.utf8.count ?? 0)]
    try world.broadcast(&length, from: 0)
    var bytes = small.map { Array($0.folder.utf8) } ?? [UInt8](repeating: 0, count: Int(length[0]))
    try world.broadcast(&bytes, from: 0)
    let folder = String(decoding: bytes, as: UTF8.self)
    let configuration = try SmallRun(folder: folder).configuration(
      "mpi", ["full_determinism=true", "max_steps=50"])
    try world.barrier()
    let result = try #require(SmallRun.execute(configuration, over: world)?.first)
    if let small {
      let alone = try #require(
        SmallRun.execute(
          try small.configuration("alone", ["full_determinism=true", "max_steps=50"]))?.first)
      #expect(result.weightHash == alone.weightHash)
      #expect(result.test == alone.test)
    }
    try world.barrier()
    small?.remove()
  }
}
