import Corpus
import Files
import Foundation
import Testing

@Suite struct ResumingTests {
  private static let stop = FileError(.io, "a test", "stops here")

  /// Packs until `countdown` events have come; whether it came to the end.
  private func pack(_ plan: PackingPlan, stoppingAfter countdown: Int) throws -> Bool {
    var left = countdown
    do throws(FileError) {
      _ = try TextPacker.pack(plan) { (_: PackingEvent) throws(FileError) in
        if left == 0 { throw ResumingTests.stop }
        left -= 1
      }
      return true
    } catch {
      if error == ResumingTests.stop { return false }
      throw error
    }
  }

  /// The files of an unbroken run, of which `countdown` counts the events.
  private func unbroken(_ plan: PackingPlan) throws -> (files: [String: Data], events: Int) {
    var events = 0
    _ = try TextPacker.pack(plan) { (_: PackingEvent) throws(FileError) in events += 1 }
    return (try files(in: plan.directory), events)
  }

  @Test(arguments: [false, true])
  func stoppedAnywhereARunEndsWithTheSameFiles(dropDuplicates: Bool) throws {
    try withFolder { folder in
      var inputs: [String] = []
      for (index, lines) in [120, 0, 40].enumerated() {
        inputs.append("\(folder)/\(index).txt")
        try Data(someText(lines: lines, seed: 9).utf8).write(to: URL(filePath: inputs[index]))
      }
      func plan(_ name: String) -> PackingPlan {
        smallPlan(
          inputs, to: "\(folder)/\(name)", devEvery: 3, dropDuplicates: dropDuplicates,
          shardTokens: 60, threads: 2)
      }
      let whole = try unbroken(plan("whole"))
      #expect(whole.events > 30)
      for countdown in 0..<whole.events {
        let name = "stopped-\(countdown)"
        #expect(try !pack(plan(name), stoppingAfter: countdown))
        #expect(try pack(plan(name), stoppingAfter: .max), "stopped after \(countdown)")
        #expect(try files(in: "\(folder)/\(name)") == whole.files, "stopped after \(countdown)")
      }
      // Stopped again and again, a little later each time.
      var stops = 0
      while try !pack(plan("often"), stoppingAfter: 3 + stops) { stops += 1 }
      #expect(stops > 3)
      #expect(try files(in: "\(folder)/often") == whole.files)
    }
  }

  @Test func finishedShardsAreNotDoneAgain() throws {
    try withFolder { folder in
      let input = folder + "/a.txt"
      try Data(someText(lines: 400).utf8).write(to: URL(filePath: input))
      let plan = smallPlan([input], to: folder + "/out")
      var shards = 0
      #expect(throws: ResumingTests.stop) {
        try TextPacker.pack(plan) { (event: PackingEvent) throws(FileError) in
          if case .journalWritten = event { shards += 1 }
          if shards == 5 { throw ResumingTests.stop }
        }
      }
      let first = "\(folder)/out/xx/train/00000.tokens"
      let before = try FileManager.default.attributesOfItem(atPath: first)
      var bytes = 0
      _ = try TextPacker.pack(plan) { progress in bytes = progress.bytes }
      let after = try FileManager.default.attributesOfItem(atPath: first)
      #expect(before[.systemFileNumber] as? Int == after[.systemFileNumber] as? Int)
      #expect(before[.modificationDate] as? Date == after[.modificationDate] as? Date)
      let size = try Data(contentsOf: URL(filePath: input)).count
      #expect(bytes < size && bytes > 0)
    }
  }

  @Test func whatWasBegunForSomethingElseIsRefused() throws {
    try withFolder { folder in
      let input = folder + "/a.txt"
      try Data(someText(lines: 100).utf8).write(to: URL(filePath: input))
      let plan = smallPlan([input], to: folder + "/out")
      #expect(try !pack(plan, stoppingAfter: 6))
      #expect(throws: FileError.self) { try PackedCorpus(directory: folder + "/out/xx/train") }
      var other = plan
      other.shardTokens = 99
      let error = #expect(throws: FileError.self) { try TextPacker.pack(other) }
      #expect(error?.message.contains("--shard-tokens 100, and now it is 99") == true)
      let journal = folder + "/out/xx/.progress.json"
      try Data("{}".utf8).write(to: URL(filePath: journal))
      let broken = #expect(throws: FileError.self) { try TextPacker.pack(plan) }
      #expect(broken?.path == journal)
      try FileManager.default.removeItem(atPath: journal)
      let orphan = #expect(throws: FileError.self) { try TextPacker.pack(plan) }
      #expect(orphan?.message.contains("without a journal") == true)
    }
  }

  @Test func aDirectoryIsPackedByOneProcessAtATime() throws {
    try withFolder { folder in
      let input = folder + "/a.txt"
      try Data(someText(lines: 20).utf8).write(to: URL(filePath: input))
      let plan = smallPlan([input], to: folder + "/out")
      var refusals = 0
      _ = try TextPacker.pack(plan) { (_: PackingProgress) in
        let error = #expect(throws: FileError.self) { try TextPacker.pack(plan) }
        if error?.message.contains("another process") == true { refusals += 1 }
      }
      #expect(refusals > 0)
    }
  }
}
