import Checkpoints
import Configuration
import Files

extension RunConfiguration {
  /// The resolved config for manifests. Checkpoints travel: paths are cut to their last part, and no text is in it.
  func forManifests() throws(FileError) -> JSONValue {
    var shared = self
    shared.dropFolders()
    return try JSONValue(parsing: Array(shared.json().utf8), path: "run.yaml")
  }

  /// Cuts every path to its last part.
  private mutating func dropFolders() {
    let cut = DataFiles.lastPart
    func cutStart(_ start: Stage.Start) -> Stage.Start {
      guard case .checkpoint(let path) = start else { return start }
      return .checkpoint(directory: DataFiles.lastPart(of: path))
    }
    outputDirectory = cut(outputDirectory)
    tokenizer = tokenizer.map(cut)
    if case .checkpoint(let path)? = start { start = .checkpoint(directory: cut(path)) }
    for index in languages.indices {
      languages[index].train = languages[index].train.map(cut)
      languages[index].dev = languages[index].dev.map(cut)
      languages[index].test = languages[index].test.map(cut)
    }
    for index in stages.indices {
      stages[index].start = cutStart(stages[index].start)
      stages[index].teachers = stages[index].teachers.map(cutStart)
      stages[index].trainFiles = stages[index].trainFiles.map(cut)
    }
  }
}
