import Commands
import Configuration
import Corpus
import Foundation
import Tokenizers
import Training

/// Packed text of two languages, made of a small sample, in a folder of its own.
struct SmallText {
  let small: SmallRun
  var folder: String { small.folder }

  init() throws {
    small = try SmallRun(sentences: 120)
    let tokenizer = try TokenizerLoader.load(folder + "/sample/tokenizer")
    for language in ["en", "ru"] {
      let rows = try String(
        contentsOfFile: "\(folder)/sample/\(language).train.conll", encoding: .utf8
      ).split(separator: "\n", omittingEmptySubsequences: false)
      var lines = [""]
      for row in rows {
        let word = row.split(whereSeparator: \.isWhitespace).first
        if let word {
          lines[lines.count - 1] += (lines[lines.count - 1].isEmpty ? "" : " ") + word
        } else {
          // Every seventh sentence ends a document.
          lines += lines.count % 8 == 7 ? ["", ""] : [""]
        }
      }
      let path = "\(folder)/\(language).txt"
      try (lines.joined(separator: "\n") + "\n").write(
        toFile: path, atomically: true, encoding: .utf8)
      _ = try TextPacker.pack(
        PackingPlan(
          language: language, inputs: [path], tokenizer: tokenizer, directory: folder + "/packed",
          devEvery: 10, shardTokens: 150))
    }
  }

  func remove() { small.remove() }

  static let settings = """
    task: masked-lm
    model: {family: bert, hidden_size: 32, num_hidden_layers: 2, num_attention_heads: 4,
      intermediate_size: 64, max_position_embeddings: 64, type_vocab_size: 2}
    tokenizer: sample/tokenizer
    max_length: 24
    languages:
      en: {train: [packed/en/train], dev: [packed/en/dev]}
      ru: {train: [packed/ru/train], dev: [packed/ru/dev]}
    output_dir: out
    sampling_alpha: 0.5
    learning_rate: 1.0e-3
    per_step_sentences: 12
    max_steps: 20
    warmup_steps: 2
    logging_steps: 1000
    """

  /// Resolves the small config with overrides. `name` is the run's folder.
  func configuration(_ name: String, _ overrides: [String] = []) throws -> RunConfiguration {
    let path = folder + "/run-\(UUID().uuidString).yaml"
    try Self.settings.write(toFile: path, atomically: true, encoding: .utf8)
    return try RunConfiguration(
      path: path, overrides: overrides, outputDirectory: folder + "/" + name,
      tasks: standardTasks.map { $0.schema })
  }
}
