import Checkpoints
import Determinism
import Files
import Foundation
import Synchronization
import TestSupport
import Testing

@Suite struct CheckpointStoreTests {
  /// A parent and what ten languages made of it.
  private func family(_ directory: borrowing TemporaryDirectory) throws -> [String] {
    try SampleModel.write(to: directory.file("parent"))
    return try (0..<10).map { number in
      let path = directory.file("child-\(number)")
      try SampleModel.write(to: path, parents: [directory.file("parent")]) { name, values in
        var random = RandomStream(seed: UInt64(number + 2), "steps", .text(name))
        // Nine change the head and a layer, the last one everything.
        guard number == 9 || !name.hasSuffix("word_embeddings.weight") else { return }
        for index in values.indices {
          values[index] += (Float(random.below(1 << 20)) / 0x1p20 - 0.5) * 1e-3
        }
      }
      return path
    }
  }

  @Test func tenFineTunesTakeTheParentAndTheirDeltas() throws {
    let directory = try TemporaryDirectory()
    let children = try family(directory)
    let store = try CheckpointStore(directory.file("store"), creating: true)
    let parent = try store.push(directory.file("parent"), as: "parent")
    #expect(parent.newPieces == parent.pieces && parent.parent == nil)
    var limit = parent.byteCount
    for (number, child) in children.enumerated() {
      let push = try store.push(child, as: "child-\(number)")
      #expect(push.parent == "parent")
      limit += try CheckpointDelta(from: directory.file("parent"), to: child).write(
        to: directory.file("delta-\(number)"), programVersion: "0.1")
    }
    let taken = try SampleModel.files(directory.file("store")).values.reduce(0) { $0 + $1.count }
    #expect(taken <= limit + limit / 100, "\(taken) for \(limit)")
    #expect(try store.entries().count == 11)
    for (number, child) in children.enumerated() {
      let out = directory.file("pulled-\(number)")
      try store.pull("child-\(number)", to: out)
      #expect(try SampleModel.files(out) == SampleModel.files(child))
    }
    // Again: nothing is new.
    let again = try store.push(children[3], as: "child-3")
    #expect(again.storedBytes == 0 && again.newPieces == 0)
  }

  @Test func changesMayBeStackedUpToALimit() throws {
    let directory = try TemporaryDirectory()
    let store = try CheckpointStore(directory.file("store"), creating: true)
    var last: String?
    for number in 0..<12 {
      let path = directory.file("step-\(number)")
      try SampleModel.write(to: path) { name, values in
        if name == "classifier.weight" { values = values.map { $0 + Float(number) * 1e-3 } }
      }
      _ = try store.push(path, as: "step-\(number)", parent: last)
      last = "step-\(number)"
    }
    try store.pull("step-11", to: directory.file("out"))
    #expect(
      try SampleModel.files(directory.file("out")) == SampleModel.files(directory.file("step-11")))
    let depths = try SampleModel.files(directory.file("store")).filter {
      $0.key.hasPrefix("objects/")
    }.map { $0.value[18] }
    #expect(depths.max() == 8 && depths.contains(0))
  }

  /// A signature that comes later is taken in, and the checkpoint stays the same.
  @Test func aSignatureIsPushedToo() throws {
    let directory = try TemporaryDirectory()
    let (model, key) = (directory.file("model"), directory.file("key"))
    let store = try CheckpointStore(directory.file("store"), creating: true)
    try SampleModel.write(to: model)
    _ = try store.push(model, as: "model")
    try SigningKey.generate(at: key)
    try CheckpointSignatures.sign(model, with: SigningKey(path: key, notIn: model))
    #expect(try store.push(model, as: "model").newPieces == 1)
    try store.pull("model", to: directory.file("out"))
    try CheckpointDirectory.verify(
      directory.file("out"), signedBy: VerifyingKey(path: key + ".pub"))
  }

  /// Of two that push different checkpoints by one name at once, one is told.
  @Test func aNameIsTakenOnceAtOnce() throws {
    let directory = try TemporaryDirectory()
    let children = try family(directory)
    let path = directory.file("store")
    let taken = Mutex(0)
    DispatchQueue.concurrentPerform(iterations: 6) { number in
      do throws(FileError) {
        _ = try CheckpointStore(path, creating: true).push(children[number], as: "model")
      } catch {
        if error.message.hasPrefix("is the name of another") { taken.withLock { $0 += 1 } }
      }
    }
    #expect(taken.withLock { $0 } == 5)
    try CheckpointStore(path).pull("model", to: directory.file("out"))
    let out = try SampleModel.files(directory.file("out"))
    #expect(try children.contains { try SampleModel.files($0) == out })
  }

  @Test func pushesAtOnceLoseNothing() throws {
    let directory = try TemporaryDirectory()
    let children = try family(directory)
    let path = directory.file("store")
    let failures = Mutex<[String]>([])
    DispatchQueue.concurrentPerform(iterations: children.count) { number in
      do {
        let store = try CheckpointStore(path, creating: true)
        _ = try store.push(children[number], as: "child-\(number)")
      } catch {
        failures.withLock { $0.append("\(error)") }
      }
    }
    #expect(failures.withLock { $0 } == [])
    let store = try CheckpointStore(path)
    for (number, child) in children.enumerated() {
      try store.pull("child-\(number)", to: directory.file("out-\(number)"))
      #expect(try SampleModel.files(directory.file("out-\(number)")) == SampleModel.files(child))
    }
    // Nothing is left of what was on its way.
    #expect(try SampleModel.files(path).keys.filter { $0.contains("partial") } == [])
  }

  @Test func namesArePlainAndTakenOnce() throws {
    let directory = try TemporaryDirectory()
    let store = try CheckpointStore(directory.file("store"), creating: true)
    try SampleModel.write(to: directory.file("a"))
    try SampleModel.write(to: directory.file("b")) { _, values in values[0] = 1 }
    _ = try store.push(directory.file("a"), as: "model")
    let taken = checkpointError { () throws(FileError) in
      try store.push(directory.file("b"), as: "model")
    }
    #expect(taken?.field == "model" && taken?.message.hasPrefix("is the name of another") == true)
    for name in ["../model", "", ".hidden", "a/b"] {
      let error = checkpointError { () throws(FileError) in
        try store.push(directory.file("b"), as: name)
      }
      #expect(error?.message.hasPrefix("is no name for a checkpoint") == true)
    }
    let missing = checkpointError { () throws(FileError) in
      try store.pull("other", to: directory.file("out"))
    }
    #expect(missing?.code == .missing && missing?.message.hasSuffix("it has: model") == true)
  }

  @Test func aFolderOfOtherThingsIsNoStore() throws {
    let directory = try TemporaryDirectory()
    try directory.write("text", to: "notes.txt")
    let error = checkpointError { () throws(FileError) in
      try CheckpointStore(directory.path, creating: true)
    }
    #expect(error?.message.hasPrefix("is no store and not empty") == true)
    let absent = checkpointError { () throws(FileError) in
      try CheckpointStore(directory.file("none"))
    }
    #expect(absent?.code == .missing)
  }

  /// Objects that lead to themselves, are cut, or claim what they do not hold.
  @Test func brokenObjectsAreNamed() throws {
    let directory = try TemporaryDirectory()
    let path = directory.file("store")
    let store = try CheckpointStore(path, creating: true)
    try SampleModel.write(to: directory.file("a"))
    _ = try store.push(directory.file("a"), as: "a")
    let objects = try SampleModel.files(path).filter { $0.key.hasPrefix("objects/") }
    for (number, object) in objects.enumerated() {
      var data = object.value
      switch number % 4 {
      case 0: data.removeLast(data.count / 2)
      case 1: data[data.count - 1] ^= 0x55
      case 2:
        // A change of itself.
        data[18] = 1
        data[19] = 1
        let hash = Array(object.key.dropFirst(8).filter { $0 != "/" })
        for index in 0..<32 {
          data[32 + index] = UInt8(String(hash[(2 * index)..<(2 * index + 2)]), radix: 16) ?? 0
        }
      default: data[15] = 0x7F
      }
      try data.write(to: URL(filePath: path + "/" + object.key))
      let error = checkpointError { () throws(FileError) in
        try store.pull("a", to: directory.file("out"))
      }
      #expect(
        error?.path.hasSuffix(object.key) == true, "\(number % 4): \(String(describing: error))")
      let isThere = directory.exists("out")
      #expect(!isThere)
      try object.value.write(to: URL(filePath: path + "/" + object.key))
    }
    try store.pull("a", to: directory.file("out"))
  }
}
