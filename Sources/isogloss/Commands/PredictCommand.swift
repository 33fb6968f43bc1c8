import Checkpoints
import Configuration
import Corpus
import Foundation
import Tensors
import Training

/// `isogloss predict`: CoNLL in, CoNLL out.
enum PredictCommand {
  static let command = Command(
    "predict", "Tags the words of a file with a checkpoint: words in, words and tags out.",
    positionals: [Positional("CHECKPOINT", count: .one, "A directory with a token classifier.")],
    options: [
      Option("input", value: "FILE", "CoNLL or JSON lines; tags are not needed and are ignored."),
      Option("output", value: "FILE", default: "standard output", "Token TAB tag."),
      Option(
        "logits", value: "FILE",
        "Also writes the scores: one fp32 tensor `logits` of [words, labels], in safetensors."),
      Option("language", value: "CODE", "Whose head to use, if the model has one a language."),
      Option("token-column", value: "N", default: "0", "Column of the token in CoNLL files."),
      Option("threads", value: "N", default: "ISOGLOSS_THREADS, or all cores", "Threads."),
    ])

  static func run(_ arguments: ParsedArguments) throws {
    guard let input = arguments.value("input") else {
      throw UsageError("--input is missing: the file to tag", command: "isogloss predict")
    }
    let columns = ColumnChoice(
      token: try arguments.integer("token-column", in: -1000...1000) ?? 0, tag: -1)
    let sentences = try SentenceReader.read(input, columns: columns, tagged: false)
    let loaded = try LoadedModel(directory: arguments.positional("CHECKPOINT"))
    let workspace = try Ranks.workspace(arguments)
    defer { workspace.stop() }
    let head = try loaded.head(of: arguments.value("language"))
    let labels = loaded.model.labels[head]
    let split = try Split(
      sentences, labels: nil, tokenizer: loaded.tokenizer, shape: loaded.window)
    var tags = [[Int32]](repeating: [], count: sentences.count)
    var logits = [[[Float]]](repeating: [], count: sentences.count)
    let logitsPath = arguments.value("logits")
    loaded.tagger(head: head, workspace: workspace).predict(
      split, language: 0, parameters: loaded.model.parameters, logits: logitsPath != nil
    ) { sentence, found, scores in
      tags[sentence] = Array(found)
      logits[sentence] = Array(scores)
    }
    var text = ""
    for (sentence, found) in zip(sentences, tags) {
      for (word, label) in zip(sentence.words, found) {
        text += "\(word)\t\(labels.labels[Int(label)])\n"
      }
      text += "\n"
    }
    try write(text, to: arguments.value("output"))
    guard let logitsPath else { return }
    let rows = logits.flatMap { $0 }
    try SafetensorsWriter.write(
      to: logitsPath, [.init("logits", [rows.count, labels.count])]
    ) { (writer) throws(CheckpointError) in
      for row in rows { try writer.append("logits", row.span) }
    }
  }

  private static func write(_ text: String, to path: String?) throws {
    guard let path else {
      FileHandle.standardOutput.write(Data(text.utf8))
      return
    }
    do {
      try Data(text.utf8).write(to: URL(filePath: path), options: .atomic)
    } catch {
      throw RunError(.io, "\(path) cannot be written: \(error.localizedDescription)")
    }
  }
}
