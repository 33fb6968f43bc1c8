import Collectives
import Commands
import Configuration
import Corpus
import Determinism
import Foundation
import Model
import Synchronization
import Tensors
import TestSupport
import Testing
import Training

/// Fisher diagonals by sampling, and what they share.
@Suite struct FisherTests {
  private static func folder() throws -> String {
    let path = NSTemporaryDirectory() + "isogloss-fisher-\(UUID().uuidString)"
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    return path
  }

  private static func values(_ path: String) throws -> [Float] {
    let file = try FisherFile(path)
    return try file.layers.indices.flatMap { try file.values(ofLayer: $0) }
  }

  @discardableResult private static func write(
    _ predictor: any Predictor, _ sentences: [Sentence], _ settings: FisherEstimate.Settings,
    to path: String, over communicator: any Communicator = SingleRank(), stopAfter turns: Int? = nil
  ) throws -> StopRequest? {
    let workspace = Workspace(kernels: try KernelTable.chosen(), threadCount: 1)
    defer { workspace.stop() }
    let asked = Atomic<Int>(0)
    return try FisherEstimate(
      of: predictor, model: "model", settings, in: workspace, over: communicator
    ).write(sentences, language: "xx", to: path) {
      let count = asked.add(1, ordering: .relaxed).newValue
      return turns.flatMap { count > $0 ? .preemption : nil }
    }
  }

  /// Every element is within five deviations of the enumerated one, and the deviation falls with the root of the samples.
  @Test func theMeanConvergesToTheEnumeration() throws {
    let folder = try Self.folder()
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let chain = SmallChain(seed: 5)
    let sentences = chain.sentences([[0, 1, 2], [3, 1], [2, 2, 0, 3]])
    let exact = try chain.enumerated(sentences)
    var errors: [Double] = []
    for samples in [50, 800] {
      var settings = FisherEstimate.Settings()
      settings.samples = samples
      let path = folder + "/\(samples).safetensors"
      try Self.write(chain, sentences, settings, to: path)
      let found = try Self.values(path)
      #expect(found.count == exact.mean.count)
      var square = 0.0
      for index in found.indices {
        let difference = Double(found[index]) - exact.mean[index]
        let deviation = (exact.variance[index] / Double(samples)).squareRoot()
        #expect(abs(difference) < 5 * deviation + 1e-6, "\(index) of \(samples) samples")
        square += difference * difference
      }
      errors.append(square.squareRoot())
    }
    // Sixteen times the samples: a quarter of the error, give or take.
    #expect(errors[1] < errors[0] / 2, "\(errors)")
    #expect(exact.mean.contains { $0 == 0 } && exact.mean.contains { $0 > 0.01 })
  }

  @Test func ranksAndInterruptionsLeaveTheBits() throws {
    let folder = try Self.folder()
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let chain = SmallChain(seed: 6)
    let sentences = chain.sentences((0..<19).map { [$0 % 4, ($0 + 1) % 3, $0 % 2] })
    var settings = FisherEstimate.Settings()
    settings.samples = 7
    settings.sentences = 17
    settings.turn = .zero
    let whole = folder + "/whole.safetensors"
    #expect(try Self.write(chain, sentences, settings, to: whole) == nil)
    let bytes = try Data(contentsOf: URL(filePath: whole))
    for (ranks, turns) in [(1, [9, 30]), (3, [5, 11]), (8, [4]), (9, [])] {
      let path = folder + "/ranks-\(ranks).safetensors"
      for turn in turns {
        let stopped = try ThreadGroup.run(ranks: ranks) { [settings] in
          try Self.write(chain, sentences, settings, to: path, over: $0, stopAfter: turn)
        }
        #expect(stopped.allSatisfy { $0 == .preemption })
        #expect(!FileManager.default.fileExists(atPath: path))
      }
      let ended = try ThreadGroup.run(ranks: turns.isEmpty ? ranks : ranks % 3 + 1) { [settings] in
        try Self.write(chain, sentences, settings, to: path, over: $0)
      }
      #expect(ended.allSatisfy { $0 == nil })
      #expect(try Data(contentsOf: URL(filePath: path)) == bytes, "\(ranks) ranks")
      #expect(!FileManager.default.fileExists(atPath: path + ".lanes"))
    }
    // What is there is not done again, and not replaced by something else.
    #expect(try Self.write(chain, sentences, settings, to: whole, stopAfter: 0) == nil)
    var others = settings
    others.samples = 8
    do {
      try Self.write(chain, sentences, others, to: whole)
      Issue.record("another diagonal was taken for this one")
    } catch let error as RunError {
      #expect(error.message.contains("is there"))
    }
  }

  /// Both kinds of models of the program: of bytes under a chain, of pieces under softmax.
  /// What lies under the name of an unfinished lane may be anything.
  @Test func aLaneThatCannotBeIsALine() throws {
    let folder = try Self.folder()
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let chain = SmallChain(seed: 6)
    let sentences = chain.sentences((0..<19).map { [$0 % 4, ($0 + 1) % 3, $0 % 2] })
    var settings = FisherEstimate.Settings()
    settings.samples = 7
    settings.turn = .zero
    let path = folder + "/f.safetensors"
    #expect(
      try Self.write(chain, sentences, settings, to: path, stopAfter: 12) == .preemption)
    let lanes = path + ".lanes"
    let lane = try #require(try FileManager.default.contentsOfDirectory(atPath: lanes).first)
    var bytes = try Data(contentsOf: URL(filePath: lanes + "/" + lane))
    let place = try #require(bytes.range(of: Data("\"done\":\"1".utf8)))
    // Two digits, and a negative number in their place.
    let digits = place.upperBound - 1..<place.upperBound + 1
    #expect(Int(String(decoding: bytes[digits], as: UTF8.self)) ?? 0 >= 10)
    bytes.replaceSubrange(digits, with: Data("-1".utf8))
    try bytes.write(to: URL(filePath: lanes + "/" + lane))
    do {
      try Self.write(chain, sentences, settings, to: path)
      Issue.record("a lane of −1 samples was taken")
    } catch let error as RunError {
      #expect(error.message.contains("is there"))
    }
  }

  @Test func modelsOfTheProgramHaveOne() throws {
    let small = try SmallRun(sentences: 12)
    defer { small.remove() }
    let bytes = [
      "task=byte-crf", "model=null", "tokenizer=null", "embedding_size=8", "word_units=8",
      "sentence_units=12", "max_steps=2",
    ]
    let sentences = try TaggedText(reading: [small.folder + "/sample/en.train.conll"]).sentences
    var settings = FisherEstimate.Settings()
    settings.samples = 2
    settings.sentences = 3
    for (name, overrides) in [("bytes", bytes), ("pieces", ["max_steps=2"])] {
      _ = try SmallRun.execute(try small.configuration(name, overrides))
      let predictor = try StoredCheckpoint(directory: small.folder + "/\(name)/train/model")
        .predictor(standardTasks)
      let path = small.folder + "/\(name).safetensors"
      try Self.write(predictor, sentences, settings, to: path)
      let file = try FisherFile(path)
      #expect(file.sentences == 3 && file.samples == 2 && file.language == "xx")
      let all = try Self.values(path)
      #expect(all.allSatisfy { $0 >= 0 && $0.isFinite } && all.contains { $0 > 0 })
      let first = try file.values(ofLayer: 0)
      if name == "bytes" {
        #expect(
          file.layers.map(\.name)
            == ["embedding", "word_lstm 1", "word_lstm 2", "sentence_lstm", "classifier", "crf"])
        // No UTF-8 has the byte 255; English has the byte of "e".
        #expect(first[255 * 8..<256 * 8].allSatisfy { $0 == 0 })
        #expect(first[101 * 8..<102 * 8].contains { $0 > 0 })
      }
      #expect(first.contains { $0 == 0 })
      for layer in file.layers.indices {
        #expect(try file.values(ofLayer: layer).contains { $0 > 0 })
      }
    }
  }

  @Test func overlapsAreThoseOfTheirSets() throws {
    let folder = try Self.folder()
    defer { try? FileManager.default.removeItem(atPath: folder) }
    var layout = ParameterLayout()
    _ = layout.at(depth: 0, group: .encoder) { $0.add("random.weight", 100, 100) }
    _ = layout.at(depth: 1, group: .encoder) { $0.add("zero.weight", 10) }
    _ = layout.at(depth: 2, group: .head) { $0.add("given.weight", 4) }
    let given: [[Float]] = [[4, 3, 2, 1], [4, 1, 3, 2], [1, 2, 3, 4]]
    var random = RandomStream(seed: 8, ["overlap"])
    var files: [FisherFile] = []
    for (place, values) in given.enumerated() {
      let path = folder + "/\(place).safetensors"
      try FisherFile.write(
        random.floats(10_000, in: 0...1) + [Float](repeating: 0, count: 10) + values, layout,
        to: path,
        [
          "model": "m", "language": "l\(place)", "sentences": "1", "samples": "1", "seed": "1",
          "identity": "",
        ])
      files.append(try FisherFile(path))
    }
    let overlap = try FisherOverlap(files, after: [files[1]], percents: [5, 25, 50])
    #expect(overlap.cells.count == 9)
    for cell in overlap.cells {
      for place in 0..<3 { #expect(cell.pairs[place][place] == 1) }
      #expect(cell.after == [nil, 1, nil])
      let chance = Double(cell.percent) / 100
      switch cell.layer {
      case "random":
        let deviation = (chance * (1 - chance) / (10_000 * chance)).squareRoot()
        for value in cell.meanOfPairs + cell.pooled + [cell.pairs[0][1]] {
          #expect(abs(value - chance) < 5 * deviation, "\(cell)")
        }
      // All equal: the first ones, of every diagonal.
      case "zero": #expect(cell.pairs.joined().allSatisfy { $0 == 1 } && cell.pooled == [1, 1, 1])
      default:
        if cell.percent == 50 {
          #expect(cell.pairs == [[1, 0.5, 0], [0.5, 1, 0.5], [0, 0.5, 1]])
          #expect(cell.meanOfPairs == [0.25, 0.5, 0.25])
          // The means of the others: [2.5, 1.5, 3, 3], [2.5, 2.5, 2.5, 2.5], [4, 2, 2.5, 1.5].
          #expect(cell.pooled == [0, 0.5, 0.5])
        }
      }
    }
    #expect(throws: (any Error).self) { try FisherOverlap([files[0], files[0]], percents: [5]) }
  }
}

/// Words with an embedding each, a linear layer and a chain: small enough to enumerate labellings.
private struct SmallChain: Predictor {
  struct Chain: Network {
    let layout: ParameterLayout
    let head: TokenHead
    let embedding: Parameter

    init() {
      var layout = ParameterLayout()
      embedding = layout.at(depth: 0, group: .encoder) { $0.add("embedding.weight", 5, 3) }
      head = layout.at(depth: 1, group: .head) {
        TokenHead(
          kind: .crf, name: "classifier", chainName: "crf", labelCount: 3, hiddenSize: 3,
          weight: .zeros, in: &$0)
      }
      self.layout = layout
    }

    var limits: BatchLimits { BatchLimits(vocabulary: 5, longestSequence: .max, tokenTypes: 1) }
    func cost(ofSequences lengths: [Int]) -> Int { lengths.reduce(0, +) }
    func activationFloats(ofTokens tokens: Int) -> Int { tokens }

    func logits(_ words: [Int32], on tape: Tape) -> Tensor {
      head.logits(
        tape.embed([(embedding, words)], in: RowSpace(segmentBounds: [0, words.count])), on: tape)
    }
  }

  struct Sampler: LabelSampler {
    let chain: Chain
    let sentences: [[Int32]]

    func recordSample(ofSentence sentence: Int, using random: inout RandomStream, on tape: Tape) {
      let words = sentences[sentence]
      let logits = chain.logits(words, on: tape)
      let labels = chain.head.sampledLabels(
        logits, sentenceBounds: [0, words.count], using: &random, on: tape)
      chain.head.loss(
        logits, targets: labels, sentenceBounds: [0, words.count], labelSmoothing: 0, on: tape)
    }
  }

  let chain = Chain()
  var model: TrainedModel

  init(seed: UInt64) {
    var set = ParameterSet(layout: chain.layout)
    var random = RandomStream(seed: seed, ["small chain"])
    let values = random.floats(chain.layout.count, in: -1...1)
    set.update { span in for index in span.indices { span[index] = values[index] } }
    model = TrainedModel(network: chain, parameters: set)
  }

  func sentences(_ words: [[Int]]) -> [Sentence] {
    words.map { Sentence(words: $0.map { "\($0)" }) }
  }

  func labels(of language: String?) -> [String] { ["O", "B-X", "I-X"] }

  func sampler(of sentences: [Sentence], language: String?) -> (any LabelSampler)? {
    Sampler(chain: chain, sentences: sentences.map { $0.words.map { Int32($0) ?? 0 } })
  }

  func predict(
    _ sentences: [Sentence], language: String?, scores: PredictedScores, in workspace: Workspace,
    each body: (Int, Prediction) -> Void
  ) {}

  func evaluate(
    _ file: String, columns: ColumnChoice, language: String?, mode: String, in workspace: Workspace
  ) -> Evaluation { Evaluation(text: "", records: [], json: "") }

  /// The diagonal over all labellings, and the variance of one sample of each sentence's mean.
  func enumerated(_ sentences: [Sentence]) throws -> (mean: [Double], variance: [Double]) {
    let workspace = Workspace(kernels: try KernelTable.chosen(), threadCount: 1)
    defer { workspace.stop() }
    let gradients = GradientBuffer(layout: chain.layout)
    var mean = [Double](repeating: 0, count: chain.layout.count)
    var variance = mean
    for sentence in sentences {
      let words = sentence.words.map { Int32($0) ?? 0 }
      var squares = [Double](repeating: 0, count: chain.layout.count)
      var fourths = squares
      var labellings: [[Int32]] = [[]]
      for _ in words { labellings = labellings.flatMap { path in (0..<3).map { path + [$0] } } }
      for labels in labellings {
        gradients.reset()
        let tape = Tape(
          workspace: workspace, parameters: model.parameters, gradients: gradients)
        chain.head.loss(
          chain.logits(words, on: tape), targets: labels, sentenceBounds: [0, words.count],
          labelSmoothing: 0, on: tape)
        let probability = exp(-tape.terms[0].segmentSums[0])
        tape.terms[0].seed = 1
        tape.backward()
        for (index, entry) in chain.layout.entries.enumerated() {
          gradients.read(entry: index) { span in
            for place in span.indices {
              let square = Double(span[place]) * Double(span[place])
              squares[entry.offset + place] += probability * square
              fourths[entry.offset + place] += probability * square * square
            }
          }
        }
      }
      let count = Double(sentences.count)
      for index in mean.indices {
        mean[index] += squares[index] / count
        variance[index] += (fourths[index] - squares[index] * squares[index]) / (count * count)
      }
    }
    return (mean, variance)
  }
}
