import Checkpoints
import Collectives
import Commands
import Configuration
import Corpus
import Diagnostics
import Foundation
import Model
import Tensors
import Testing
import Tokenizers
import Training

/// What a debug run finds, and that it changes nothing.
@Suite struct DebugTests {
  private static let debug = DebugObserver(isDebug: true)

  /// The one line that a run ends with.
  private func message(
    of configuration: RunConfiguration, ranks: Int = 2, _ observer: DebugObserver = debug
  ) -> String {
    do {
      _ = try ThreadGroup.run(ranks: ranks) { communicator in
        try SmallRun.execute(configuration, over: communicator, observer: observer)
      }
      return "no error"
    } catch {
      return "\(error)"
    }
  }

  /// The folder of a model after two steps.
  private func model(_ small: SmallRun, _ overrides: [String] = []) throws -> String {
    _ = try SmallRun.execute(try small.configuration("run", overrides + ["max_steps=2"]))
    return small.folder + "/run/train/model"
  }

  private func put(_ value: Float, at element: Int, of tensor: String, in model: String) throws {
    let file = try SafetensorsFile(model + "/model.safetensors")
    let start = try #require(file[tensor]).byteRange.lowerBound + element * 4
    var bytes = try #require(FileManager.default.contents(atPath: file.path))
    let bits = value.bitPattern
    bytes.replaceSubrange(
      start..<start + 4, with: (0..<4).map { UInt8(truncatingIfNeeded: bits >> ($0 * 8)) })
    try bytes.write(to: URL(filePath: file.path))
  }

  private func next(_ model: String, _ small: SmallRun, _ more: [String] = []) throws
    -> RunConfiguration
  {
    try small.configuration("next", ["model=null", "init=\(model)", "max_steps=40"] + more)
  }

  @Test func aWeightThatIsNotFiniteIsNamed() throws {
    let small = try SmallRun()
    defer { small.remove() }
    let name = "encoder.layer.1.intermediate.dense.weight"
    // Row 2, column 5 of [64, 32].
    let model = try model(small)
    try put(.nan, at: 2 * 32 + 5, of: "bert." + name, in: model)
    let text = message(of: try next(model, small))
    #expect(text.contains("\(name) holds nan at [2, 5], on rank 0 in step 1 of stage 'train'"))
  }

  @Test func aWeightOfAChainIsNamed() throws {
    let small = try SmallRun()
    defer { small.remove() }
    let model = try model(small, ["head=crf"])
    try put(.infinity, at: 1, of: "crf.end_transitions", in: model)
    try put(.infinity, at: 1, of: "crf.transitions", in: model)
    let text = message(of: try next(model, small, ["head=crf"]))
    #expect(
      text.contains("crf.end_transitions holds inf at [0, 1], on rank 0 in step 1"), "\(text)")
  }

  /// A piece that one sentence has, whose row is so large that its sum with that of its position overflows.
  @Test func anOperationNamesLanguageSentenceAndToken() throws {
    let small = try SmallRun()
    defer { small.remove() }
    let tokenizer = try TokenizerLoader.load(small.folder + "/sample/tokenizer")
    let sentences = try SentenceReader.read(small.folder + "/sample/ru.train.conll")
    let english = try SentenceReader.read(small.folder + "/sample/en.train.conll")
    var uses: [Int32: [(sentence: Int, token: Int)]] = [:]
    for (index, sentence) in sentences.enumerated() {
      // After the special token at the start.
      for (place, id) in tokenizer.encode(words: sentence.words).joined().enumerated() {
        uses[id, default: []].append((index, place + 1))
      }
    }
    for sentence in english {
      for id in tokenizer.encode(words: sentence.words).joined() { uses[id] = nil }
    }
    let (id, use) = try #require(
      uses.filter { $0.value.count == 1 }.map { ($0.key, $0.value[0]) }.min { $0.0 < $1.0 })
    let model = try model(small)
    let tables = "bert.embeddings."
    try put(3e38, at: Int(id) * 32, of: tables + "word_embeddings.weight", in: model)
    try put(3e38, at: use.token * 32, of: tables + "position_embeddings.weight", in: model)
    let text = message(of: try next(model, small))
    let line = sentences[use.sentence].line
    #expect(text.contains("embed gave inf at embeddings.word_embeddings.weight"), "\(text)")
    #expect(text.contains(", for token \(use.token) (id \(id)) of "))
    #expect(text.contains("ru.train.conll:\(line) (ru), on rank "), "\(text)")
  }

  @Test(arguments: [
    [], ["shard_optimizer=true", "gradient_dtype=bf16"], ["full_determinism=true", "head=crf"],
    ["embedding_weight_decay=dense", "weight_decay=0.1", "shard_optimizer=true"],
    ["max_tokens_per_pass=60", "labels=per-language"],
  ])
  func debuggingChangesNoBit(overrides: [String]) throws {
    let small = try SmallRun()
    defer { small.remove() }
    for ranks in [1, 3] {
      var hashes: [String] = []
      for (name, observer) in [("plain", DebugObserver()), ("debug", Self.debug)] {
        let configuration = try small.configuration("\(name)-\(ranks)", overrides)
        let results = try ThreadGroup.run(ranks: ranks) { communicator in
          try SmallRun.execute(configuration, over: communicator, observer: observer)
        }
        hashes.append(try #require(results[0]?.first).weightHash)
      }
      #expect(hashes[0] == hashes[1])
    }
  }

  @Test(arguments: [[], ["shard_optimizer=true"]]) func aChangedReplicaIsNamed(
    overrides: [String]
  ) throws {
    let small = try SmallRun()
    defer { small.remove() }
    let fault = Fault(.weight, rank: 1, step: 3)
    // The first dense entry: with shares, one that another rank owns, so that the next step mends it.
    let name = "embeddings.position_embeddings.weight"
    if overrides.isEmpty {
      let text = message(
        of: try small.configuration("debug", overrides), ranks: 3,
        DebugObserver(isDebug: true, fault: fault))
      #expect(
        text.contains("after step 3 of stage 'train' the weights of rank 1 differ"), "\(text)")
      #expect(text.contains("those of 2 ranks, first in \(name)"), "\(text)")
    }
    let later = message(
      of: try small.configuration("plain", overrides + ["replica_check_steps=4"]), ranks: 3,
      DebugObserver(fault: fault))
    #expect(later.contains("after step 4") == overrides.isEmpty, "\(later)")
  }

  @Test func replicasAreComparedByEntry() throws {
    var layout = ParameterLayout()
    _ = layout.addTable("table", 10, 4)
    _ = layout.add("first", 3, 5)
    _ = layout.add("second", 7)
    let shared = layout
    func message(_ change: @escaping @Sendable (Int, inout ParameterSet) -> Void) -> String {
      do {
        _ = try ThreadGroup.run(ranks: 5) { communicator in
          let workspace = Workspace(kernels: try .chosen(), threadCount: 1)
          defer { workspace.stop() }
          var parameters = ParameterSet(layout: shared)
          change(communicator.rank, &parameters)
          var rows = RowSet(tableRows: 10)
          rows.insert(3)
          try ReplicaCheck.run(
            parameters, rowsInUse: [rows], over: communicator, in: workspace, place: "now")
        }
        return "equal"
      } catch {
        return "\(error)"
      }
    }
    #expect(message { _, _ in } == "equal")
    // A row that nothing uses is not looked at.
    #expect(message { $1.update(entry: 0) { $0[0] = 1 } } == "equal")
    let row = message { rank, set in if rank == 4 { set.update(entry: 0) { $0[12] = 1 } } }
    #expect(row.hasPrefix("now the weights of rank 4 differ from those of 4 ranks, first in table"))
    let two = message { rank, set in
      if rank % 2 == 1 { set.update(entry: rank == 1 ? 2 : 1) { $0[1] = -0.0 } }
    }
    #expect(
      two.hasPrefix("now the weights of ranks 1, 3 differ from those of 3 ranks, first in first"))
    let all = message { rank, set in set.update(entry: 2) { $0[6] = Float(rank) } }
    #expect(
      all.hasPrefix(
        "now the weights of ranks 1, 2, 3, 4 differ from those of rank 0, first in second"))
  }

  @Test func aGradientThatNoOperationSpoiledNamesRankAndParameter() throws {
    let small = try SmallRun()
    defer { small.remove() }
    for (ranks, overrides) in [(3, []), (3, ["max_tokens_per_pass=60"]), (1, [])] {
      let fault = Fault(.nan, rank: ranks - 1, step: 4)
      let text = message(
        of: try small.configuration("run-\(UUID().uuidString)", overrides), ranks: ranks,
        DebugObserver(isDebug: true, fault: fault))
      #expect(text.contains("on rank \(ranks - 1) is not finite"), "\(text)")
      #expect(text.contains("in step 4 of stage 'train'"), "\(text)")
    }
  }

  @Test func faultsAreRead() throws {
    #expect(try Fault("nan:3:17") == Fault(.nan, rank: 3, step: 17))
    for text in ["", "nan", "nan:1", "nan:1:0", "nan:-1:2", "nan:1:2:3", "none:1:2", "nan:x:2"] {
      #expect(throws: UsageError.self) { _ = try Fault(text) }
    }
  }

  @Test func debuggersAreSeen() throws {
    let path = NSTemporaryDirectory() + "status-\(UUID().uuidString)"
    defer { try? FileManager.default.removeItem(atPath: path) }
    for (tracer, expected) in [("0", false), ("4711", true)] {
      try "Name:\tx\nTracerPid:\t\(tracer)\nUid:\t0\n".write(
        toFile: path, atomically: true, encoding: .utf8)
      #expect(Debugger.isAttached(status: path) == expected)
    }
    #expect(!Debugger.isAttached(status: path + "-none"))
  }

  // MARK: Bounds

  private func batch() -> PackedBatch {
    var batch = PackedBatch()
    batch.tokenIDs = [2, 7, 3, 2, 9, 8, 3]
    batch.positions = [0, 1, 2, 0, 1, 2, 3]
    batch.tokenTypes = [0, 0, 0, 0, 0, 0, 0]
    batch.sequenceBounds = [0, 3, 7]
    batch.itemBounds = [0, 1, 2]
    batch.segmentBounds = [0, 2]
    batch.itemKeys = [0, 1]
    batch.items = [.init(language: 0, index: 0), .init(language: 1, index: 5)]
    batch.wordTokens = [1, 4, 5]
    batch.wordLabels = [0, 4, -1]
    batch.wordBounds = [0, 1, 3]
    return batch
  }

  @Test func whatIsOutsideOfItsTableIsTold() throws {
    let limits = BatchLimits(vocabulary: 10, longestSequence: 4, tokenTypes: 1)
    #expect(batch().problem(limits, labelCounts: [3, 5]) == nil)
    func message(_ change: (inout PackedBatch) -> Void) -> String {
      var batch = batch()
      change(&batch)
      return batch.problem(limits, labelCounts: [3, 5])
        .map { "\($0.item ?? -1): \($0.message)" } ?? "none"
    }
    #expect(message { $0.tokenIDs[5] = 10 } == "1: id 10 of token 2 is outside of the table of 10")
    #expect(message { $0.tokenIDs[1] = -1 } == "0: id -1 of token 1 is outside of the table of 10")
    #expect(message { $0.positions[2] = 4 } == "0: position 4 of token 2 is outside of 4")
    #expect(message { $0.tokenTypes[3] = 1 } == "1: token type 1 of token 0 is outside of 1")
    #expect(message { $0.wordLabels[1] = 5 } == "1: label 5 of word 0 is outside of 5")
    #expect(message { $0.wordLabels[0] = 3 } == "0: label 3 of word 0 is outside of 3")
    #expect(message { $0.wordLabels[0] = -2 } == "0: label -2 of word 0 is outside of 3")
    #expect(message { $0.wordTokens[2] = 2 } == "1: word 1 stands on token -1 of 4")
    #expect(message { $0.sequenceBounds = [0, 2, 7] } == "1: a sequence of 5 tokens, of 4 at most")
    #expect(
      message { $0.sequenceBounds = [0, 3, 6] } == "-1: sequence bounds do not rise from 0 to 7")
    #expect(
      message { $0.sequenceBounds = [0, 8, 7] } == "-1: sequence bounds do not rise from 0 to 7")
    #expect(message { $0.itemBounds = [] } == "-1: item bounds do not rise from 0 to 2")
    #expect(message { $0.positions.removeLast() } == "-1: 6 positions for 7 tokens")
    #expect(message { $0.items[1].language = 2 } == "1: language 2 of 2")
    #expect(
      message { $0.wordLabels.removeLast() }
        == "-1: words, sentences or keys of another count than items")
  }
}
