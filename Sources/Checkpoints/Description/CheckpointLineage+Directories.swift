public import Files

extension CheckpointLineage {
  /// A checkpoint made of those in `directories`.
  ///
  /// Cost: a directory without a manifest is hashed.
  ///
  /// - Parameter hashThreads: How many files and tensors are hashed at once; nil for as many as there are processors.
  public init(of directories: [String], hashThreads: Int? = nil) throws(FileError) {
    var parents: [String] = []
    var ancestors: [Ancestor] = []
    var known: Set<String> = []
    for directory in directories.prefix(Self.parentLimit) {
      let (ancestor, lineage) = try Self.ancestor(directory, hashThreads: hashThreads)
      parents.append(ancestor.identity)
      for found in [ancestor] + lineage.ancestors where known.insert(found.identity).inserted {
        guard ancestors.count < Self.countLimit else { break }
        ancestors.append(found)
      }
    }
    self.init(parents: parents, ancestors: ancestors)
  }

  private static func ancestor(
    _ directory: String, hashThreads: Int?
  ) throws(FileError) -> (Ancestor, CheckpointLineage) {
    var name = SiblingName.name(ofDirectory: directory)
    // A run's models and corpora are all called so: the stage says which it is.
    if ["model", "best", "corpus"].contains(name) {
      name = SiblingName.name(ofDirectory: directory + "/..") + "/" + name
    }
    guard FileKind.of(directory + "/" + CheckpointManifest.fileName) == .file else {
      let identity = try DirectoryPieces(hashing: directory, threads: hashThreads).recipe.identity
      return (Ancestor(name: name, identity: identity, parents: [], facts: []), .init())
    }
    let bytes = try CheckpointManifest.bytes(directory: directory)
    let manifest = try CheckpointManifest(
      parsing: bytes, path: directory + "/" + CheckpointManifest.fileName)
    let lineage = manifest.lineage
    let facts = Self.factNames.compactMap { key in
      (key == "program_version" ? manifest.programVersion : manifest.facts[key]?.string)
        .map { (key, printable($0, limit: textLimit)) }
    }
    return (
      Ancestor(
        name: name, identity: SHA256.digest(bytes), parents: lineage.parents, facts: facts),
      lineage
    )
  }
}
