import Collectives
import Commands
import Configuration
import Corpus
import Determinism
import Files
import Foundation
import Model
import Tensors
import TestSupport
import Testing
import Training

/// Entities as spans of bytes: the task `byte-to-span`.
@Suite struct ByteToSpanTests {
  private static let settings = [
    "task=byte-to-span", "model=null", "tokenizer=null", "embedding_size=8",
    "output_embedding_size=12", "units=16", "layers=2", "weight_decay=0",
  ]

  @Test(arguments: [
    [], ["layers=1", "window=20", "test_stride=20"], ["bf16=true", "units=32"],
    ["per_step_sentences=null", "per_step_tokens=900"], ["optim=sgd", "learning_rate=0.3"],
  ])
  func weightsHaveTheSameBitsForAnyRanksThreadsAndPasses(overrides: [String]) throws {
    let ends = try SmallRun.countEnds(
      Self.settings + overrides + ["max_steps=8"],
      over: [
        (1, 1, 100_000), (1, 3, 100_000), (1, 2, 300), (1, 1, 20), (2, 1, 100_000), (3, 2, 300),
        (8, 1, 100_000),
      ])
    #expect(ends == 1)
  }

  /// It learns a small corpus by heart, and the checkpoint gives what the run has seen.
  @Test func aCheckpointGivesTheScoresOfItsRun() throws {
    let small = try SmallRun(sentences: 12)
    defer { small.remove() }
    let test = small.folder + "/sample/en.test.conll"
    try FileManager.default.copyItem(atPath: test, toPath: small.folder + "/sample/copy.conll")
    let configuration = try small.configuration(
      "out",
      Self.settings + [
        "max_steps=350", "learning_rate=2.0e-2", "lr_scheduler_type=cosine", "dropout=0",
        "byte_dropout=0", "layers=1", "units=64", "window=20", "test_stride=3",
        "per_step_sentences=32",
        "languages={en: {train: [sample/copy.conll], test: [sample/en.test.conll]}}",
      ])
    let result = try #require(try SmallRun.execute(configuration, threads: 2)?.first)
    let score = try #require(result.test.first { $0.language == "en" })
    #expect(score["f1"] > 0.8, "\(score.values)")
    let checkpoint = try StoredCheckpoint(directory: small.folder + "/out/train/model")
    let predictor = try checkpoint.predictor(standardTasks)
    let workspace = Workspace(kernels: try KernelTable.chosen(), threadCount: 2)
    defer { workspace.stop() }
    let evaluation = try predictor.evaluate(
      test, columns: ColumnChoice(), language: nil, mode: "default", in: workspace)
    let report = try JSONDecoder().decode(SpanReport.self, from: Data(evaluation.json.utf8))
    #expect(report.overallF1 == score["f1"])
    // A word of one byte, an empty one, one longer than many windows, and sentences of none.
    for odd in [
      [Sentence(words: ["a"])], [Sentence(words: [""])], [Sentence(words: [])], [],
      [
        Sentence(words: ["\u{1F600}", String(repeating: "ab", count: 500), ""]),
        Sentence(words: []), Sentence(words: ["b"]),
      ],
    ] {
      let found = try predictor.predictions(of: odd, language: nil, scores: .none, in: workspace)
      #expect(found.map(\.tags.count) == odd.map(\.words.count))
    }
    #expect(throws: RunError.self) {
      try predictor.predictions(
        of: [Sentence(words: ["a"])], language: nil, scores: .logits, in: workspace)
    }
  }

  /// A fine-tuning at a rate that rounds to 0 is the model it began with, and entities that no window holds are counted.
  @Test func stagesBeginWithEachOther() throws {
    let small = try SmallRun()
    defer { small.remove() }
    let configuration = try small.configuration(
      "out",
      Self.settings + [
        "window=16", "test_stride=4", "max_steps=3",
        "stages=[{name: polyglot}, {name: fine, init: polyglot, learning_rate: 1.0e-300, languages: [ru]}]",
      ])
    let results = try #require(try SmallRun.execute(configuration))
    #expect(results[0].weightHash == results[1].weightHash)
    let ledger = try #require(results[0].ledger)
    let lost = try #require(ledger[0].firstIndex(of: "lost entities"))
    let entities = try #require(ledger[0].firstIndex(of: "entities"))
    for row in ledger.dropFirst() {
      let file = small.folder + "/sample/\(row[0]).train.conll"
      let lengths = try Self.entityLengths(of: file)
      let tooLong = lengths.count { $0 > 16 }
      #expect(tooLong > 0 && row[lost] == "\(tooLong)" && row[entities] == "\(lengths.count)")
    }
  }

  /// The bytes of each entity of a file, with the spaces between its words.
  private static func entityLengths(of file: String) throws -> [Int] {
    var lengths: [Int] = []
    for sentence in try TaggedText(reading: [file]).sentences {
      for (word, tag) in zip(sentence.words, sentence.tags) where tag != "O" {
        if tag.hasPrefix("B-") {
          lengths.append(word.utf8.count)
        } else {
          lengths[lengths.count - 1] += 1 + word.utf8.count
        }
      }
    }
    return lengths
  }

  // MARK: Spans

  /// Any tags whose entities fit a window come back from the outputs of overlapping windows: neighbours too.
  @Test func tagsComeBackFromTheirOutputs() throws {
    for seed in UInt64(0)..<300 {
      var random = RandomStream(seed: seed, "spans")
      let window = 1 + random.below(60)
      let vocabulary = SpanVocabulary(types: ["LOC", "ORG", "PER"], window: window)
      let sentences = (0..<random.below(6)).map { _ in
        var words: [String] = []
        var tags: [String] = []
        for _ in 0..<random.below(12) {
          let letter = ["x", "é", "漢"][random.below(3)]
          words.append(String(repeating: letter, count: random.below(5)))
          let type = vocabulary.types[random.below(3)]
          let goesOn = tags.last?.hasSuffix(type) ?? false
          tags.append(["O", "B-" + type, (goesOn ? "I-" : "B-") + type][random.below(3)])
        }
        return Sentence(words: words, tags: tags)
      }
      let text = try ByteText(sentences, vocabulary, readsTags: true)
      // Windows at every byte hold each span somewhere, however long it is.
      let starts = Array(0..<max(text.bytes.isEmpty ? 0 : 1, text.bytes.count - window + 1))
      let batch = SpanBatch(windows: starts, of: text, vocabulary)
      let found = starts.indices.map { item in
        let outputs = batch.targets[batch.targetBounds[item]..<batch.targetBounds[item + 1]]
        #expect(outputs.count <= vocabulary.longestSequence && outputs.last == vocabulary.stop)
        let (spans, malformed) = vocabulary.spans(
          of: outputs, bytes: min(window, text.bytes.count - starts[item]))
        #expect(malformed == 0 && zip(spans, spans.dropFirst()).allSatisfy { $0.start > $1.start })
        return (start: starts[item], spans: spans)
      }
      let merged = text.merged(found)
      #expect(merged == text.spans, "seed \(seed)")
      let tags = text.tags(of: merged, vocabulary.types)
      if text.lostSpans == 0 { #expect(tags == sentences.map(\.tags), "seed \(seed)") }
      let lost = sentences.joinedTags.count { $0.hasPrefix("B-") } - text.spans.count
      #expect(text.lostSpans == lost, "seed \(seed)")
    }
  }

  @Test func outputsOutOfPlaceAreCounted() {
    let vocabulary = SpanVocabulary(types: ["LOC", "PER"], window: 60)
    let (stop, go) = (vocabulary.stop, vocabulary.go)
    func length(_ bytes: Int32) -> Int32 { go + bytes }
    func start(_ byte: Int32) -> Int32 { go + 61 + byte }
    #expect(vocabulary.count == 2 + 2 + 120 && start(59) == Int32(vocabulary.count) - 1)
    let whole = ByteSpan(start: 5, length: 5, type: 1)
    #expect(vocabulary.sequence(of: [whole]) == [start(5), length(5), 1, stop])
    for (outputs, malformed, spans) in [
      ([start(5), length(5), 1, stop, start(7)], 0, [whole]),
      ([stop], 0, []), ([], 0, []),
      ([1, start(5), length(5), 1, stop], 1, [whole]),
      ([start(5), start(5), length(5), 1, stop], 1, [whole]),
      ([start(5), length(5), length(5), 1, stop], 2, []),
      ([start(5), 1, start(5), length(5), 1], 1, [whole]),
      ([start(5), length(5), go, stop], 1, []),
      ([start(5), length(56), 1, stop], 1, []),
      ([start(5), length(5)], 1, []),
    ] as [([Int32], Int, [ByteSpan])] {
      let found = vocabulary.spans(of: outputs, bytes: 60)
      #expect(found.spans == spans && found.malformed == malformed, "\(outputs)")
    }
  }

  /// Of overlapping spans the one that begins earlier in its window stays, and words follow the nearest span.
  @Test func overlapsAndWordsFollowTheirRules() throws {
    let vocabulary = SpanVocabulary(types: ["A", "B"], window: 60)
    // Words of 5 bytes: word k begins at byte 6 k.
    let words = (0..<20).map { "word\($0 % 10)" }
    let text = try ByteText(
      [Sentence(words: Array(words[..<10])), Sentence(words: Array(words[10...]))], vocabulary,
      readsTags: false)
    #expect(text.bytes.count == 119)
    let merged = text.merged([
      (0, [ByteSpan(start: 36, length: 11, type: 0), ByteSpan(start: 0, length: 5, type: 1)]),
      (30, [ByteSpan(start: 6, length: 5, type: 1), ByteSpan(start: 30, length: 11, type: 0)]),
    ])
    #expect(
      merged == [
        ByteSpan(start: 0, length: 5, type: 1), ByteSpan(start: 36, length: 5, type: 1),
        ByteSpan(start: 60, length: 11, type: 0),
      ])
    // From the space before word 1 to the end of word 2; from inside word 3 to the end of word 5; less than word 7; over the
    // end of the sentence.
    let spans = [
      ByteSpan(start: 5, length: 12, type: 0), ByteSpan(start: 20, length: 15, type: 1),
      ByteSpan(start: 42, length: 4, type: 0), ByteSpan(start: 54, length: 11, type: 1),
    ]
    let tags = text.tags(of: spans, vocabulary.types)
    #expect(
      tags[0] == ["O", "B-A", "I-A", "O", "B-B", "I-B", "O", "O", "O", "B-B"]
        && tags[1] == ["B-B"] + [String](repeating: "O", count: 9), "\(tags)")
  }

  @Test(arguments: ["I-LOC", "E-LOC", "B-", "LOC", "B-GPE", ""])
  func aTagThatIsNotIOB2IsALine(tag: String) {
    let vocabulary = SpanVocabulary(types: ["LOC"], window: 60)
    let sentence = Sentence(words: ["a", "b"], tags: ["O", tag], path: "x.conll", line: 7)
    #expect {
      _ = try ByteText([sentence], vocabulary, readsTags: true)
    } throws: { error in
      "\(error)".contains("x.conll:8") && !"\(error)".contains("\n")
    }
  }

  // MARK: The model

  /// The paper's sizes with its 9 types: 131 outputs.
  @Test func thePaperHasSoManyParameters() {
    let types = ["O", "PER", "ORG", "GPE", "LOC", "MISC", "FAC", "TTL", "MISSING"]
    let vocabulary = SpanVocabulary(types: types, window: 60)
    #expect(vocabulary.count == 131)
    let network = ByteToSpanNetwork(ByteToSpanOptions(), vocabulary)
    // A layer of LSTM: input, state and one bias, for four gates.
    func layer(_ inputs: Int) -> Int { 4 * 320 * (inputs + 320 + 1) }
    let encoder = 257 * 256 + layer(256) + 3 * layer(320)
    let decoder = 131 * 320 + 4 * layer(320) + 131 * 320
    #expect(network.layout.count == encoder + decoder && network.layout.count == 6_631_552)
  }

  /// The decoder that goes on from its states says what one says that begins anew for each output.
  @Test func greedySearchIsThatOfADecoderThatBeginsAnew() throws {
    let workspace = Workspace(kernels: try KernelTable.chosen(), threadCount: 2)
    defer { workspace.stop() }
    var options = ByteToSpanOptions()
    (options.embeddingSize, options.outputEmbeddingSize) = (8, 12)
    (options.units, options.layers, options.window) = (16, 2, 12)
    let vocabulary = SpanVocabulary(types: ["LOC", "PER"], window: options.window)
    let network = ByteToSpanNetwork(options, vocabulary)
    let method = ByteToSpanMethod(network: network)
    let text = try ByteText(
      [Sentence(words: ["Anna", "lives", "in", "Łódź", ",", "Maria", "too"])], vocabulary,
      readsTags: false)
    var lengths: Set<Int> = []
    for seed in UInt64(0)..<12 {
      var parameters = ParameterSet(layout: network.layout)
      network.initialise(
        &parameters, entries: Array(network.layout.entries.indices), tableRows: nil, seed: seed,
        in: workspace)
      // Larger weights say more than one output over and over, and stop now and then.
      for entry in network.layout.entries.indices {
        parameters.update(entry: entry) { span in
          for place in span.indices { span[place] *= 12 }
        }
      }
      let starts = [0, 5, 9, 20, 23]
      let outputs = method.outputs(
        SpanBatch(windows: starts, of: text, vocabulary), parameters, in: workspace)
      for (start, outputs) in zip(starts, outputs) {
        var said: [Int32] = []
        while said.count < vocabulary.longestSequence, said.last != vocabulary.stop {
          // The score of the next output stands where STOP is wanted.
          let batch = SpanBatch(
            windows: [start], of: text, vocabulary, targets: [said + [vocabulary.stop]])
          let scores = method.logits(batch, parameters, in: workspace).suffix(vocabulary.count)
          let best = try #require(scores.max())
          said.append(Int32(try #require(scores.firstIndex(of: best)) - scores.startIndex))
        }
        #expect(said == outputs, "seed \(seed), window at \(start)")
        lengths.insert(said.count)
      }
    }
    #expect(lengths.count > 2 && lengths.contains(vocabulary.longestSequence), "\(lengths)")
  }

  /// A stranger's config.json is a line, whatever it says.
  @Test(arguments: [
    ("\"window\": 60", "\"window\": 0", "window"),
    ("\"window\": 60", "\"window\": 20", "test_stride"),
    ("\"window\": 60", "\"window\": 61", "output_embedding.weight"),
    ("\"units\": 16", "\"units\": 1e18", "units"),
    ("\"layers\": 2", "\"layers\": 9", "layers"),
    ("\"layers\": 2", "\"layers\": 3", "l2"),
    ("\"units\": 16", "\"units\": 32", "weight_ih_l0"),
    ("\"dropout\": 0.5", "\"dropout\": -1", "dropout"),
    ("\"byte_dropout\": 0.3", "\"byte_dropout\": \"much\"", "byte_dropout"),
    ("\"types\": [", "\"types\": [\"\",", "types"),
    ("\"types\": [", "\"types\": [7,", "types"),
    ("\"types\": [", "\"types\": [\"PER\",\"PER\",", "types"),
    ("isogloss-byte-to-span", "bert", "model_type"),
  ])
  func aWrongConfigIsALine(text: String, replacement: String, field: String) throws {
    let small = try SmallRun(sentences: 12)
    defer { small.remove() }
    _ = try SmallRun.execute(
      try small.configuration("out", Self.settings + ["max_steps=2", "per_step_sentences=8"]))
    let model = small.folder + "/out/train/model"
    let config = try String(contentsOfFile: model + "/config.json", encoding: .utf8)
    #expect(config.contains(text), "\(config)")
    try config.replacing(text, with: replacement)
      .write(toFile: model + "/config.json", atomically: true, encoding: .utf8)
    #expect {
      _ = try StoredCheckpoint(directory: model).predictor(standardTasks)
    } throws: { error in
      "\(error)".contains(field) && !"\(error)".contains("\n")
    }
  }
}

extension [Sentence] {
  fileprivate var joinedTags: [String] { flatMap(\.tags) }
}
