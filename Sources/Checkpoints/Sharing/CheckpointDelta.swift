public import Files

/// What has to be known besides a parent checkpoint to make a child of it again, byte by byte.
///
/// A directory of the child's ``Recipe``, and of an object for each piece that the parent does not have: what it changes
/// in the parent's tensor of the same name, or the piece itself.
public struct CheckpointDelta {
  static let recipeName = "recipe.json"
  /// What is compressed to guess how much a delta will take.
  private static let sampleBytes = 64 << 20

  private let parent: DirectoryPieces
  private let child: DirectoryPieces
  private let changed: [Recipe.Piece]

  /// The bytes of all files of the child.
  public var childBytes: Int { child.recipe.byteCount }
  /// The bytes of its pieces that the parent does not have.
  public var changedBytes: Int { changed.reduce(0) { $0 + $1.byteCount } }
  /// How many of its tensors the parent does not have, and how many it has in all.
  public var changedTensors: (count: Int, of: Int) {
    let all = child.recipe.files.flatMap(\.pieces).count { $0.tensor != nil }
    return (changed.count { $0.tensor != nil }, all)
  }

  /// Compares two directories. Cost: both are read and hashed.
  ///
  /// - Throws: ``FileError`` where one of them is not as its manifest says.
  public init(from parent: String, to child: String) throws(FileError) {
    self.parent = try DirectoryPieces(hashing: parent)
    self.child = try DirectoryPieces(hashing: child)
    changed = self.child.recipe.distinctPieces.filter { [parent = self.parent] in
      !parent.contains($0.sha256)
    }
  }

  private func base(of piece: Recipe.Piece) -> Recipe.Piece? {
    guard let name = piece.tensor, let base = parent.piece(ofTensor: name),
      base.byteCount == piece.byteCount, base.kind == piece.kind
    else { return nil }
    return base
  }

  /// About how many bytes the delta will take, from compressing some blocks of each changed piece.
  public func estimatedBytes() throws(FileError) -> Int {
    let stride = max(1, changedBytes / Self.sampleBytes)
    var (sampled, compressed) = (0, 0)
    var block = 0
    for piece in changed {
      var offset = 0
      while offset < piece.byteCount {
        let part = offset..<min(offset + blockBytes, piece.byteCount)
        offset = part.upperBound
        block += 1
        guard block % stride == 0 || stride == 1 else { continue }
        let bytes = try child.reader(of: piece.sha256, part: part)?.next() ?? []
        let below = try base(of: piece).flatMap { (base) throws(FileError) in
          try parent.reader(of: base.sha256, part: part)?.next()
        }
        sampled += bytes.count
        compressed += BytePlanes.encode(bytes, over: below, piece.kind).count
      }
    }
    let ratio = sampled == 0 ? 1 : Double(compressed) / Double(sampled)
    return Int(Double(changedBytes) * ratio) + child.recipe.text.utf8.count
  }

  /// Writes the delta as a directory with a manifest of its own.
  ///
  /// - Returns: The bytes of its files.
  public func write(
    to path: String, programVersion: String
  ) throws(FileError) -> Int {
    var recipe = child.recipe
    recipe.parent = .init(name: parent.recipe.name, identity: parent.recipe.identity)
    let facts: JSONValue = [
      "delta": [
        "parent": [
          "name": .string(parent.recipe.name), "identity": .string(parent.recipe.identity),
        ],
        "child": ["name": .string(recipe.name), "identity": .string(recipe.identity)],
      ]
    ]
    let manifest = try CheckpointDirectory.write(
      to: path, neededBytes: changedBytes / 2, programVersion: programVersion, facts: facts
    ) { (partial) throws(FileError) in
      let folder = ObjectFolder(in: partial)
      for piece in changed {
        var below: ObjectFolder.Base?
        if let base = base(of: piece), let reader = try parent.reader(of: base.sha256) {
          below = .init(hash: base.sha256, depth: 0, reader: reader)
        }
        _ = try folder.add(piece, over: below) { () throws(FileError) in
          try PieceSources(directories: [child]).reader(of: piece.sha256)
        }
      }
      try WholeFile.write(recipe.text, to: partial + "/" + Self.recipeName)
    }
    return manifest.byteCount
  }

  /// Makes the child again at `path`, which must not exist yet.
  ///
  /// - Throws: ``FileError`` of code `data` if the delta was changed, or `parent` is not what it was made of.
  public static func apply(
    _ delta: String, to parent: String, at path: String
  ) throws(FileError) {
    try CheckpointDirectory.verify(delta)
    let recipe = try Recipe(path: delta + "/" + recipeName)
    guard let wanted = recipe.parent else {
      throw FileError(.data, delta, field: recipeName, "names no parent")
    }
    let pieces = try DirectoryPieces(believing: parent)
    guard pieces.recipe.identity == wanted.identity else {
      throw FileError(
        .data, parent,
        "is not the parent of this delta, which is ‘\(printable(wanted.name, limit: 80))’ of identity "
          + "\(wanted.identity.prefix(16))…; this one has \(pieces.recipe.identity.prefix(16))…")
    }
    try PieceSources(directories: [pieces], folders: [ObjectFolder(in: delta)])
      .assemble(recipe, at: path)
  }
}
