import Checkpoints
import Configuration
import Corpus
import Files
import Tokenizers

/// What the manifest of every checkpoint of a run tells of its making: the config and the corpora.
///
/// Checkpoints travel: paths are cut to their last part, and no text is in it.
struct RunFacts: Sendable {
  /// The resolved config.
  var config: JSONValue
  /// Per language and split: sentences, words, tokens, and the SHA-256 of every file as it lies on the disk.
  var data: JSONValue

  /// Cost: reads every file of the corpora once.
  init(_ configuration: RunConfiguration, _ task: any RunTask) throws(CheckpointError) {
    var shared = configuration
    shared.dropFolders()
    config = try JSONValue(parsing: Array(shared.json().utf8), path: "run.yaml")
    data = try task.dataFacts(configuration.languages)
  }

  static func lastPart(of path: String) -> String {
    path.split(separator: "/").last.map(String.init) ?? path
  }
}

extension RunConfiguration {
  /// Cuts every path to its last part.
  fileprivate mutating func dropFolders() {
    let cut = RunFacts.lastPart
    outputDirectory = cut(outputDirectory)
    tokenizer = tokenizer.map(cut)
    if case .checkpoint(directory: let path) = start { start = .checkpoint(directory: cut(path)) }
    for index in languages.indices {
      languages[index].train = languages[index].train.map(cut)
      languages[index].dev = languages[index].dev.map(cut)
      languages[index].test = languages[index].test.map(cut)
    }
    for index in stages.indices {
      guard case .checkpoint(directory: let path) = stages[index].start else { continue }
      stages[index].start = .checkpoint(directory: cut(path))
    }
  }
}
