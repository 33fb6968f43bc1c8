import Checkpoints
import Configuration
import Corpus
import Files
import Foundation
import Tensors
import Tokenizers
import Training

/// `isogloss predict`: CoNLL in, CoNLL out.
enum PredictCommand {
  static func command(_ tasks: [any RunTask.Type]) -> Command {
    Command(
      "predict", "Tags the words of a file with a checkpoint: words in, words and tags out.",
      positionals: [
        Positional("CHECKPOINT", count: .one, "A directory with a model that labels words.")
      ],
      options: [
        Option("input", value: "FILE", "CoNLL or JSON lines; tags are not needed and are ignored."),
        Option("output", value: "FILE", default: "standard output", "Token TAB tag."),
        Option(
          "logits", value: "FILE",
          "Also writes the scores: one fp32 tensor `logits` of [words, labels], in safetensors."),
        Option("language", value: "CODE", "Whose head to use, if the model has one a language."),
        Option("token-column", value: "N", default: "0", "Column of the token in CoNLL files."),
        .precision,
        .threads,
      ]
    ) { try run($0, tasks) }
  }

  private static func run(_ arguments: ParsedArguments, _ tasks: [any RunTask.Type]) throws {
    guard let input = arguments.value("input") else {
      throw UsageError("--input is missing: the file to tag", command: "isogloss predict")
    }
    let columns = ColumnChoice(
      token: try arguments.integer("token-column", in: -1000...1000) ?? 0, tag: -1)
    let predictor = try StoredCheckpoint(directory: arguments.positional("CHECKPOINT"))
      .predictor(tasks)
    let workspace = try Workspace.chosen(by: arguments)
    defer { workspace.stop() }
    let language = arguments.value("language")
    let labels = try predictor.labels(of: language)
    let output = try TextOutput(arguments.value("output"))
    let logits = arguments.value("logits")

    /// Tags the file part by part; `each` gets the logits of a part's words in order.
    func tag(logits: Bool, _ each: ([Float]) throws -> Void) throws {
      var stream = try SentenceStream(input, columns: columns)
      while let sentences = try stream.next() {
        let predictions = try predictor.predictions(
          of: sentences, language: language, scores: logits ? .logits : .none, in: workspace)
        var text = ""
        for (sentence, prediction) in zip(sentences, predictions) {
          for (word, tag) in zip(sentence.words, prediction.tags) { text += "\(word)\t\(tag)\n" }
          text += "\n"
        }
        try output.write(text)
        try each(predictions.flatMap(\.scores))
      }
    }
    guard let logits else {
      try tag(logits: false) { _ in }
      try predictor.confirmUnwritten()
      try output.finish()
      return
    }
    // The file's header says how many words there are: they are counted first.
    var words = 0
    var stream = try SentenceStream(input, columns: columns)
    while let sentences = try stream.next() { words += sentences.reduce(0) { $0 + $1.words.count } }
    var failure: (any Error)?
    do {
      try SafetensorsWriter.write(to: logits, [.init("logits", [words, labels.count])]) {
        (writer) throws(FileError) in
        do {
          try tag(logits: true) { rows in try writer.append("logits", rows.span) }
          try predictor.confirmUnwritten()
        } catch {
          failure = error
          throw FileError(.io, logits, "not written")
        }
      }
    } catch {
      throw failure ?? error
    }
    try output.finish()
  }
}

/// Text that goes to standard output as it comes, or to a file that is whole or not there.
private final class TextOutput {
  private let path: String?
  private let partial: String
  private let file: FileHandle

  init(_ path: String?) throws {
    self.path = path
    partial = (path ?? "") + ".partial-\(getpid())"
    guard path != nil else {
      file = .standardOutput
      return
    }
    guard FileManager.default.createFile(atPath: partial, contents: nil),
      let file = FileHandle(forWritingAtPath: partial)
    else { throw RunError(.io, "\(path ?? "") cannot be written; check the folder") }
    self.file = file
  }

  deinit {
    if path != nil { try? FileManager.default.removeItem(atPath: partial) }
  }

  func write(_ text: String) throws {
    do {
      try file.write(contentsOf: Data(text.utf8))
    } catch {
      throw RunError(
        .io, "\(path ?? "standard output") cannot be written: \(error.localizedDescription)")
    }
  }

  /// Puts the file in its place.
  func finish() throws {
    guard let path else { return }
    try? file.close()
    guard unsafe rename(partial, path) == 0 else {
      throw RunError(.io, "\(path) cannot be written; check the folder")
    }
  }
}
