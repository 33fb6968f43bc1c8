import Collectives
import Glibc
import Testing

@Suite struct SingleRankTests {
  @Test(arguments: CommunicatorCheck.all)
  func passes(check: CommunicatorCheck) throws {
    try check.run(SingleRank())
  }

  @Test func randomOperationsAreTheIdentity() throws {
    try CommunicatorCheck.randomOperations(10_000, seed: 1).run(SingleRank())
  }
}

@Suite(.serialized) struct ThreadGroupTests {
  static let settings = CollectiveSettings(timeoutSeconds: 60)

  @Test(arguments: CommunicatorCheck.all, [1, 2, 3, 4, 8])
  func passes(check: CommunicatorCheck, ranks: Int) throws {
    _ = try ThreadGroup.run(ranks: ranks, settings: Self.settings, check.run)
  }

  @Test func tenThousandRandomOperations() throws {
    let check = CommunicatorCheck.randomOperations(10_000, seed: 2)
    _ = try ThreadGroup.run(ranks: 3, settings: Self.settings, check.run)
  }

  @Test func resultsComeByRank() throws {
    let results = try ThreadGroup.run(ranks: 5) { group in
      try group.barrier()
      return group.rank * 10
    }
    #expect(results == [0, 10, 20, 30, 40])
  }

  struct Expected: Error, Equatable {
    var rank: Int
  }

  @Test(arguments: [0, 1, 3])
  func theFirstErrorEndsAll(failing: Int) throws {
    let leftBy = OtherErrors()
    #expect(throws: Expected(rank: failing)) {
      _ = try ThreadGroup.run(ranks: 4, settings: Self.settings) { group in
        let part = try group.split(color: group.rank % 2, key: 0)
        do {
          // A rank may still be in here when the failing one is out and fails.
          try group.barrier()
          if group.rank == failing { throw Expected(rank: failing) }
          // Half of the ranks wait in the whole group, the others in a part of it.
          try group.rank % 2 == failing % 2 ? part.barrier() : group.barrier()
        } catch let error as CollectiveError {
          leftBy.add(error.code)
          throw error
        }
      }
    }
    #expect(leftBy.codes == [.aborted, .aborted, .aborted])
  }

  @Test func anErrorDuringAPayloadFreesTheSender() throws {
    // Rank 1 fails while rank 0 waits with a message in its own memory.
    #expect(throws: Expected(rank: 1)) {
      _ = try ThreadGroup.run(ranks: 3, settings: Self.settings) { group in
        if group.rank == 1 {
          usleep(20_000)
          throw Expected(rank: 1)
        }
        var values = [Float](repeating: 1, count: 100_000)
        try group.allReduce(&values, .sum)
      }
    }
  }

  @Test func stacksAreDeep() throws {
    @Sendable func depth(_ level: Int) -> Int {
      unsafe withUnsafeTemporaryAllocation(byteCount: 4096, alignment: 8) { bytes in
        unsafe bytes.initializeMemory(as: UInt8.self, repeating: UInt8(truncatingIfNeeded: level))
        return level == 0 ? 0 : 1 + depth(level - 1) + Int(unsafe bytes[5]) * 0
      }
    }
    let results = try ThreadGroup.run(ranks: 2) { _ in depth(8000) }
    #expect(results == [8000, 8000])
  }

  @Test func theCurrentWaitIsShownAndCleared() throws {
    // Groups of other tests may hold the text for a while.
    let expected = "rank 0 waiting in allReduce (sum) of 123 floats for rank 1"
    let seen = try ThreadGroup.run(ranks: 2, settings: Self.settings) { group in
      var line = ""
      if group.rank == 1 {
        for _ in 0..<20_000 where line != expected {
          usleep(1000)
          line = unsafe String(cString: ShownText.wait.text)
        }
      }
      var values = [Float](repeating: 0, count: 123)
      try group.allReduce(&values, .sum)
      return line
    }
    #expect(seen[1] == expected)
    #expect(unsafe String(cString: ShownText.wait.text) != expected)
  }

  @Test func waitingCallsTheHook() throws {
    let calls = OtherErrors()
    var settings = Self.settings
    settings.whileWaiting = { calls.add(.timeout) }
    _ = try ThreadGroup.run(ranks: 2, settings: settings) { group in
      if group.rank == 1 { usleep(20_000) }
      try group.barrier()
    }
    #expect(!calls.codes.isEmpty)
  }

  @Test func errorsNameOperationRankAndWait() throws {
    let texts = try ThreadGroup.run(ranks: 3, settings: Self.settings) { group in
      let part = try group.split(color: 0, key: 0)
      part.settings.timeoutSeconds = 0.1
      var text = ""
      if group.rank == 0 {
        do throws(CollectiveError) {
          var values = [Float](repeating: 0, count: 123)
          try part.allReduce(&values, .max)
        } catch {
          text = error.description
        }
      }
      try group.barrier()
      return text
    }
    #expect(
      texts[0].hasPrefix(
        "rank 0: allReduce (max) of 123 floats: waited 0.1 s for ranks 1 and 2 of 3"))
    let lines = try ThreadGroup.run(ranks: 3, settings: Self.settings) { group in
      do throws(CollectiveError) {
        var values = [Float](repeating: 0, count: group.rank == 2 ? 4 : 5)
        try group.allReduce(&values, .sum)
        return ""
      } catch {
        return error.description
      }
    }
    #expect(
      lines[0]
        == "rank 0: allReduce (sum) of 5 floats: rank 2 called allReduce (sum) of 4 floats, but "
        + "ranks 0 and 1 called allReduce (sum) of 5 floats")
    #expect(lines[2].hasSuffix("5 floats") && lines[2].contains("floats: rank 2 called"))
  }

  /// Heartbeats come every 3 s here; a group that waits for 2 s has to know.
  @Test func aRankIsNotSilentBetweenItsHeartbeats() throws {
    let errors = try ThreadGroup.run(ranks: 2, settings: Self.settings, isWatched: true) { group in
      let pair = try group.split(color: 0, key: 0)
      pair.settings.timeoutSeconds = 2
      var error: CollectiveError?
      do throws(CollectiveError) {
        if group.rank == 0 { try pair.barrier() }
      } catch let failure {
        error = failure
      }
      try group.barrier()
      return error
    }
    let text = "\(try #require(errors[0]))"
    #expect(text.contains(" lives, since "), "\(text)")
  }

  /// Rank 0 waits for rank 1, which waits for rank 2, which does something else.
  @Test func aWaitInVainNamesTheRankAtItsRoot() throws {
    var settings = Self.settings
    settings.timeoutSeconds = 2
    let errors = try ThreadGroup.run(ranks: 3, settings: settings, isWatched: true) { group in
      let pairs = try group.split(color: group.rank == 2 ? 1 : 0, key: 0)
      let others = try group.split(color: group.rank == 0 ? 0 : 1, key: 0)
      others.settings.timeoutSeconds = 60
      group.activity.position = RunPosition(step: 7)
      var error: CollectiveError?
      if group.rank == 2 { group.activity.begin("daydream") }
      do throws(CollectiveError) {
        if group.rank == 0 { try pairs.barrier() }
        if group.rank == 1 { try others.barrier() }
        if group.rank == 2 {
          usleep(3_000_000)
          try others.barrier()
        }
      } catch let failure {
        error = failure
      }
      return error
    }
    let error = try #require(errors[0])
    #expect(errors[1] == nil && errors[2] == nil)
    #expect(error.code == .timeout && error.others == [2])
    let text = "\(error)"
    #expect(
      text.contains("waited 2.0 s for rank 1 of 2 in vain, waiting in turn for rank 2; rank 2 on "),
      "\(text)")
    #expect(text.contains(" lives, since ") && text.hasSuffix(" s in daydream, step 7"), "\(text)")
  }
}
