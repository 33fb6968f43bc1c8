import Collectives
import Commands
import Diagnostics
import Testing
import Training

/// What ranks find of each other's faults, with ranks as threads.
struct FaultTests {
  /// The words of the error with which a run of three ranks ends, one of which does something wrong.
  private func error(of fault: Fault, _ overrides: [String] = []) throws -> String {
    let small = try SmallRun(sentences: 40)
    defer { small.remove() }
    let configuration = try small.configuration("run", overrides)
    do {
      _ = try ThreadGroup.run(
        ranks: 3, settings: CollectiveSettings(timeoutSeconds: 60), isWatched: true
      ) { group in
        try SmallRun.execute(
          configuration, over: group, observer: DebugObserver(fault: fault))
      }
    } catch {
      return "\(error)"
    }
    return "no error"
  }

  @Test(arguments: [[], ["full_determinism=true", "shard_optimizer=true"]])
  func aFaultNamesItsRank(overrides: [String]) throws {
    for (kind, expected) in [
      (Fault.Kind.nan, "the gradient of step 5 of stage 'train' is not finite on rank 1 on "),
      (.loss, "the loss of step 5 of stage 'train' is not finite on rank 1 on "),
      (.skip, "rank 1 called "), (.count, "rank 1 called allReduce (sum) of "),
      (.bucket, "rank 1: plan 'gradients': this rank skipped "),
    ] {
      let text = try error(of: Fault(kind, rank: 1, step: 5), overrides)
      #expect(text.contains(expected), "\(kind): \(text)")
    }
  }

  @Test func ranksThatDifferAreNamedByLine() throws {
    let errors = try ThreadGroup.run(ranks: 4) { group in
      do {
        try RankAgreement.check("config", "a: 1\nb: 2", fix: "none", over: group)
        try RankAgreement.check(
          "config", group.rank == 2 ? "a: 1\n  b: 3" : "a: 1\n  b: 2", fix: "mend it", over: group)
        return ""
      } catch {
        return "\(error)"
      }
    }
    for error in errors {
      #expect(error.hasPrefix("ranks differ in config: rank 2 on "), "\(error)")
      #expect(error.hasSuffix(" has 'b: 3', ranks 0, 1 and 3 have 'b: 2'; mend it"), "\(error)")
    }
  }
}
