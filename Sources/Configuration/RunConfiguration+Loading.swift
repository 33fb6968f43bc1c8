extension RunConfiguration {
  /// Reads a file, applies overrides, and checks that the result can be run.
  ///
  /// Whether data and checkpoints are there is not looked at.
  ///
  /// - Parameters:
  ///   - path: The file. Its folder is what relative paths in it are relative to, and those in
  ///     overrides too, so that a value means the same in both.
  ///   - overrides: `key=value`, later ones winning. Keys are dotted and count list members from 0
  ///     (`stages.0.learning_rate=1e-5`); values are YAML (`languages.en.train=[a.conll,b.conll]`);
  ///     `null` removes a key. One of two keys that exclude each other replaces the file's other.
  ///   - outputDirectory: Takes the place of `output_dir`; relative to the current folder.
  ///   - tasks: Those that the file may name, the default first.
  /// - Throws: ``ConfigError`` with the place of the first thing wrong.
  public init(
    path: String, overrides: [String] = [], outputDirectory: String? = nil, tasks: [TaskSchema]
  ) throws(ConfigError) {
    try self.init(
      document: YAMLNode.read(path: path), folder: Self.folder(of: path), overrides: overrides,
      outputDirectory: outputDirectory, tasks: tasks)
  }

  /// The same of a document in memory; `source` is what errors name, as if read from there.
  package init(
    text: String, source: String, overrides: [String] = [], outputDirectory: String? = nil,
    tasks: [TaskSchema]
  ) throws(ConfigError) {
    try self.init(
      document: YAMLNode.parse(Array(text.utf8), source: source), folder: Self.folder(of: source),
      overrides: overrides, outputDirectory: outputDirectory, tasks: tasks)
  }

  /// Reads the resolved config that a run left in its directory: paths in it are as they were given to the run.
  ///
  /// - Parameter runDirectory: Takes the place of `output_dir`: the directory may have been moved.
  public init(recordedIn runDirectory: String, tasks: [TaskSchema]) throws(ConfigError) {
    try self.init(
      document: YAMLNode.read(path: runDirectory + "/run.yaml"), folder: "", overrides: [],
      outputDirectory: runDirectory, tasks: tasks)
  }

  private init(
    document: YAMLNode, folder: String, overrides: [String], outputDirectory: String?,
    tasks: [TaskSchema]
  ) throws(ConfigError) {
    precondition(!tasks.isEmpty, "a program without tasks")
    var document = document
    for text in overrides {
      document = try document.applying(
        Override(text),
        exclusive: TrainingFile.exclusivePairs + [("init", "model"), ("seed", "seeds")])
    }
    let file = Placed(
      value: try RunFile(document, tasks: KnownTasks(tasks)), place: document.place)
    try self.init(file, folder: folder, outputDirectory: outputDirectory, tasks: tasks)
  }

  private static func folder(of path: String) -> String {
    path.lastIndex(of: "/").map { String(path[...$0]) } ?? ""
  }
}
