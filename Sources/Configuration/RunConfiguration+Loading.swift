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
  /// - Throws: ``ConfigError`` with the place of the first thing wrong.
  public init(path: String, overrides: [String] = [], outputDirectory: String? = nil)
    throws(ConfigError)
  {
    try self.init(
      document: YAMLNode.read(path: path), folder: Self.folder(of: path), overrides: overrides,
      outputDirectory: outputDirectory)
  }

  /// The same of a document in memory; `source` is what errors name, as if read from there.
  package init(
    text: String, source: String, overrides: [String] = [], outputDirectory: String? = nil
  ) throws(ConfigError) {
    try self.init(
      document: YAMLNode.parse(Array(text.utf8), source: source), folder: Self.folder(of: source),
      overrides: overrides, outputDirectory: outputDirectory)
  }

  /// Reads the resolved config that a run left in its directory: paths in it are as they were given to the run.
  ///
  /// - Parameter runDirectory: Takes the place of `output_dir`: the directory may have been moved.
  public init(recordedIn runDirectory: String) throws(ConfigError) {
    try self.init(
      document: YAMLNode.read(path: runDirectory + "/run.yaml"), folder: "", overrides: [],
      outputDirectory: runDirectory)
  }

  private init(
    document: YAMLNode, folder: String, overrides: [String], outputDirectory: String?
  ) throws(ConfigError) {
    var document = document
    for text in overrides {
      document = try document.applying(
        Override(text), exclusive: TrainingFile.exclusivePairs + [("init", "model")])
    }
    let file = Placed(value: try RunFile.read(document, key: ""), place: document.place)
    try self.init(file, folder: folder, outputDirectory: outputDirectory)
  }

  private static func folder(of path: String) -> String {
    path.lastIndex(of: "/").map { String(path[...$0]) } ?? ""
  }
}
