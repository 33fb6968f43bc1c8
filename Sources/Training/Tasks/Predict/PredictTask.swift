import Checkpoints
import Collectives
public import Configuration
import Corpus
public import Files
import Foundation

/// The own keys of ``PredictTask``.
public struct PredictOptions: TaskOptions {
  /// The files to label; nil for what the config lists to train on.
  public var input: [String]?
  public var softLabels = false
  public var tokenColumn = 0

  public init() {}

  public static let keys: [TaskKey<PredictOptions>] = [
    TaskKey(
      "input", \.input, default: "the language's train files",
      "Files whose words are labelled; their tags are ignored. Of a stage of one language."),
    TaskKey(
      "soft_labels", \.softLabels,
      "Whether the probability of each label of each word is kept too, as CODE.safetensors."),
    TaskKey(
      "token_column", \.tokenColumn, must: .atLeast(0),
      "Column of the word in CoNLL files of input."),
  ]

  public func check(_ own: OwnKeys) throws(ConfigError) {
    if input != nil, own.stage.languages.count != 1 {
      throw own.error(
        at: "input",
        "input: files are of one language, and the stage has \(own.stage.languages.count); give languages or each: language"
      )
    }
    if own.stage.maxLength != nil {
      throw own.error(at: "max_length", "max_length: the model that labels has its own")
    }
    if let empty = input, empty.isEmpty {
      throw own.error(at: "input", "input: at least one file is needed")
    }
    for code in own.stage.languages where input == nil && own.run.language(code).train.isEmpty {
      throw own.error(
        at: "input", "input: is needed, since languages.\(code) has no train files")
    }
    if let teacher = own.run.stages.first(where: { $0.name == own.stage.start.stage }) {
      switch teacher.options.wordLabels {
      case .none:
        throw own.error(
          at: "init", "init: the model of stage '\(teacher.name)' gives words no labels")
      case .labels where softLabels:
        throw own.error(
          at: "soft_labels",
          "soft_labels: the model of stage '\(teacher.name)' gives labels without probabilities; give that stage another head, or remove soft_labels"
        )
      case .labels, .probabilities: break
      }
    }
    if own.stage.start == .run {
      guard case .checkpoint? = own.run.start else {
        throw own.error(
          at: "init",
          "init is missing: the earlier stage, or the checkpoint, whose model labels the words")
      }
    }
  }
}

/// Labels files with the model of an earlier stage, and leaves a corpus: a tagged file a language, and, asked for, the
/// probabilities behind the tags.
public struct PredictTask: DataTask {
  public static let schema = TaskSchema(
    name: "predict", summary: "Labels files with an earlier stage's model, and leaves a corpus.",
    options: PredictOptions.self, makes: [.corpus])

  /// Sentences that are labelled together: batches are made of them alone, whatever the number of ranks.
  private static let group = 256

  private let setup: StageSetup
  private let options: PredictOptions
  private let predictor: any Predictor
  private typealias Input = (code: String, files: [String])
  /// Of each language of the stage.
  private let inputs: [Input]
  /// What the files of each language are.
  private let hashes: [JSONValue]

  public static func dataFiles(of stage: Stage, in configuration: RunConfiguration) -> [String] {
    inputs(of: stage, in: configuration).flatMap(\.files)
  }

  private static func inputs(
    of stage: Stage, in configuration: RunConfiguration
  ) -> [Input] {
    let options: PredictOptions = stage.options()
    return stage.languages.map { ($0, options.input ?? configuration.language($0).train) }
  }

  public init(_ setup: StageSetup) throws {
    self.setup = setup
    options = setup.options()
    guard let directory = try setup.model(setup.stage.start) else {
      throw RunError(
        .configuration, "stage '\(setup.stage.name)': init is missing: the model that labels")
    }
    predictor = try StoredCheckpoint(directory: directory).predictor(setup.tasks)
    inputs = Self.inputs(of: setup.stage, in: setup.configuration)
    hashes = try inputs.map { try DataFiles.hashes($0.files) }
    for (code, _) in inputs {
      for label in try predictor.labels(of: code) where !Self.isField(label) {
        throw RunError(
          .data,
          "\(directory): label '\(printable(label, limit: 64))' cannot stand in a CoNLL file: it is empty or holds a blank or a control character"
        )
      }
    }
  }

  /// Whether a text can be a field of a row.
  private static func isField(_ text: String) -> Bool {
    !text.isEmpty
      && text.unicodeScalars.allSatisfy {
        !$0.properties.isWhitespace && $0.properties.generalCategory != .control
      }
  }

  public var fingerprints: [String] {
    zip(inputs, hashes).map { "\($0.code): \($1.compactText)" }
  }

  public func dataFacts() throws -> JSONValue {
    var facts = JSONObject()
    for (input, hashes) in zip(inputs, hashes) { facts[input.code] = ["files": hashes] }
    return .object(facts)
  }

  public func make(into directory: String, stop: () throws -> Bool) throws -> JSONObject? {
    var counts = JSONObject()
    var labels = JSONObject()
    for (code, files) in inputs {
      let sentences = try files.flatMap {
        try SentenceReader.read(
          $0, columns: ColumnChoice(token: options.tokenColumn, tag: -1), tagged: false)
      }
      for sentence in sentences where sentence.words.contains("-DOCSTART-") {
        throw FileError(
          .data, sentence.path, line: sentence.line,
          "the word -DOCSTART- cannot stand in a CoNLL file: readers skip it; remove it")
      }
      guard try label(sentences, code, into: directory, stop: stop) else { return nil }
      counts[code] = [
        "sentences": .init(sentences.count),
        "words": .init(sentences.reduce(0) { $0 + $1.words.count }),
      ]
      labels[code] = .array(try predictor.labels(of: code).map { .init($0) })
    }
    try predictor.confirmUnwritten()
    var facts = JSONObject()
    facts["corpus"] = .object(counts)
    facts["labels"] = .object(labels)
    return facts
  }

  /// Labels the sentences of a language: groups of them are dealt to the ranks in turn, and the first rank writes them in
  /// their order.
  ///
  /// - Returns: False if the work was given up.
  private func label(
    _ sentences: [Sentence], _ code: String, into directory: String, stop: () throws -> Bool
  ) throws -> Bool {
    let communicator = setup.communicator
    let artifact = CorpusArtifact(directory: directory, language: code)
    let bounds = Array(stride(from: 0, to: sentences.count, by: Self.group)) + [sentences.count]
    let groups = zip(bounds, bounds.dropFirst()).map { sentences[$0..<$1] }
    let columns = try predictor.labels(of: code).count
    let output =
      try communicator.rank == 0 ? CorpusWriter(artifact, sentences, columns, options) : nil
    var done = 0
    for first in stride(from: 0, to: groups.count, by: communicator.size) {
      if try stop() { return false }
      let own = first + communicator.rank
      var tags: [UInt8] = []
      var scores: [Float] = []
      if own < groups.count {
        let predictions = try predictor.predictions(
          of: Array(groups[own]), language: code,
          scores: options.softLabels ? .probabilities : .none, in: setup.workspace)
        tags = Array(predictions.flatMap(\.tags).joined(separator: "\n").utf8)
        scores = predictions.flatMap(\.scores)
      }
      let allTags = try communicator.allGather(tags)
      let allScores = options.softLabels ? try communicator.allGather(scores) : []
      for (offset, group) in groups[first...].prefix(communicator.size).enumerated() {
        done += group.count
        try output?.append(
          group, tags: allTags[offset], scores: options.softLabels ? allScores[offset] : [])
      }
      setup.reporter.progress(
        "\(setup.stage.name): \(code) \(done)/\(sentences.count) sentences")
    }
    try output?.finish()
    return true
  }
}

/// Writes the files of a ``CorpusArtifact``.
private final class CorpusWriter {
  private let artifact: CorpusArtifact
  private let columns: Int
  private let isSoft: Bool
  private let wordCounts: [Int32]
  private let file: FileHandle
  private var scores: [Float] = []

  init(
    _ artifact: CorpusArtifact, _ sentences: [Sentence], _ columns: Int, _ options: PredictOptions
  ) throws {
    self.artifact = artifact
    self.columns = columns
    isSoft = options.softLabels
    wordCounts = sentences.map { Int32(clamping: $0.words.count) }
    guard FileManager.default.createFile(atPath: artifact.tagged, contents: nil),
      let file = FileHandle(forWritingAtPath: artifact.tagged)
    else { throw RunError(.io, "\(artifact.tagged) cannot be written; check the folder") }
    self.file = file
  }

  func append(_ sentences: ArraySlice<Sentence>, tags: [UInt8], scores: [Float]) throws {
    let names = String(decoding: tags, as: UTF8.self).split(separator: "\n")
    var next = 0
    var text = ""
    for sentence in sentences {
      for word in sentence.words {
        text += "\(word)\t\(names[next])\n"
        next += 1
      }
      text += "\n"
    }
    do {
      try file.write(contentsOf: Data(text.utf8))
    } catch {
      throw RunError(.io, "\(artifact.tagged) cannot be written: \(error.localizedDescription)")
    }
    self.scores += scores
  }

  func finish() throws {
    try file.close()
    guard isSoft else { return }
    let declarations: [SafetensorsWriter.Declaration] = [
      .init("probabilities", [scores.count / max(1, columns), columns]),
      .init("word_counts", [wordCounts.count], .i32),
    ]
    try SafetensorsWriter.write(to: artifact.soft, declarations) {
      (writer) throws(FileError) in
      let (scores, counts) = (scores, wordCounts)
      try writer.append("probabilities", scores.span)
      try writer.appendExactly("word_counts", counts.span)
    }
  }
}
