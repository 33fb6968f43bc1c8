public import Files
import Foundation

/// A folder that several checkpoints share: every piece of them once, and each fine-tune as what it changes in its parent.
///
///     isogloss-store.json     the mark of a store
///     refs/NAME.json          the ``Recipe`` of a checkpoint
///     objects/3f/a2…          the pieces, by their hashes
///
/// Nothing in it is ever changed, and a recipe comes last: a copy cut short shows nothing and is gone on with, and any
/// number of processes may push at once.
public struct CheckpointStore {
  static let markName = "isogloss-store.json"
  private static let mark: JSONValue = ["format": "isogloss-store", "format_version": 1]

  public let path: String
  let folder: ObjectFolder
  /// Where the recipes are.
  let references: String

  /// What a store says of a checkpoint in it.
  public struct Entry: Sendable, Equatable {
    public var name: String
    public var identity: String
    public var byteCount: Int
    /// Whether a recipe by that name cannot be read.
    public var isBroken = false
  }

  /// What a push came to.
  public struct Push: Sendable, Equatable {
    public var name: String
    /// The bytes of the checkpoint, and those of the new pieces as the store keeps them.
    public var byteCount: Int
    public var storedBytes: Int
    /// How many pieces it has, and how many of them the store did not have.
    public var pieces: Int
    public var newPieces: Int
    /// The name of the checkpoint in the store that the new pieces are stored as changes of.
    public var parent: String?
  }

  // MARK: Opening

  /// Opens a store.
  ///
  /// - Parameter creating: Whether a folder that is not there, or empty, is made one.
  /// - Throws: ``FileError``: `missing`, or `data` when it is no store of this version.
  public init(_ path: String, creating: Bool = false) throws(FileError) {
    try self.init(path, references: path + "/refs", creating: creating)
  }

  init(_ path: String, references: String, creating: Bool) throws(FileError) {
    self.path = path
    self.references = references
    folder = ObjectFolder(in: path)
    let mark = path + "/" + Self.markName
    if FileKind.of(mark) == .absent {
      guard creating else {
        throw FileError(.missing, path, "is no store: it has no \(Self.markName)")
      }
      try FileTree.makeDirectory(path)
      let found = try CheckpointDirectory.names(in: path).filter { !$0.hasPrefix(".") }
      // Another process may be making it one at this moment.
      guard Set(found).isSubset(of: ["refs", ObjectFolder.name, Self.markName]) else {
        throw FileError(.data, path, "is no store and not empty; give a folder of its own")
      }
      try WholeFile.replace(Array((Self.mark.text + "\n").utf8), at: mark)
    }
    if creating { try FileTree.makeDirectory(references) }
    try Self.checkMark(WholeFile.read(mark, limit: 1 << 16), path: mark)
  }

  /// Sees to it that a mark is that of a store of this version.
  static func checkMark(_ bytes: [UInt8], path: String) throws(FileError) {
    guard try JSONValue(parsing: bytes, path: path) == mark else {
      throw FileError(.data, path, field: "format", "is of no store that this program knows")
    }
  }

  /// Whether a checkpoint in a store may have this name: letters and digits of ASCII, `.`, `_` and `-`.
  public static func isName(_ name: String) -> Bool {
    !name.isEmpty && name.utf8.count <= 200 && !name.hasPrefix(".") && !name.hasPrefix("-")
      && name.utf8.allSatisfy { byte in
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
          UInt8(ascii: "0")...UInt8(ascii: "9"):
          true
        default: "._-".utf8.contains(byte)
        }
      }
  }

  func reference(_ name: String) throws(FileError) -> String {
    guard Self.isName(name) else {
      throw FileError(
        .data, path, field: printable(name, limit: 80),
        "is no name for a checkpoint in a store: letters, digits, ‘.’, ‘_’ and ‘-’")
    }
    return references + "/" + name + ".json"
  }

  /// The checkpoints in the store, in the order of their names.
  public func entries() throws(FileError) -> [Entry] {
    var list: [Entry] = []
    for file in try CheckpointDirectory.names(in: references) where file.hasSuffix(".json") {
      let name = String(file.dropLast(5))
      guard Self.isName(name) else { continue }
      do throws(FileError) {
        let recipe = try Recipe(path: references + "/" + file)
        list.append(Entry(name: name, identity: recipe.identity, byteCount: recipe.byteCount))
      } catch {
        list.append(Entry(name: name, identity: "", byteCount: 0, isBroken: true))
      }
    }
    return list
  }

  // MARK: Pushing

  /// Puts a checkpoint into the store. Cost: it is read and hashed; what the store does not have is compressed.
  ///
  /// - Parameters:
  ///   - name: What it is called there. A name that is taken by another checkpoint is an error.
  ///   - parent: The name of a checkpoint in the store of which the new pieces are stored as changes. Nil for the one
  ///     that the checkpoint's lineage names, if it is there.
  /// - Throws: ``FileError`` where the directory is not as its manifest says.
  public func push(
    _ directory: String, as name: String, parent: String? = nil
  ) throws(FileError) -> Push {
    folder.sweep()
    let pieces = try DirectoryPieces(hashing: directory)
    let plan = try plan(pieces, as: name, parent: parent) { folder.contains($0) }
    let push = try write(plan, pieces)
    let text = Array((plan.recipe.text + "\n").utf8)
    let reference = try reference(name)
    if plan.isNamed {
      // The same checkpoint; signatures may have come to it.
      try WholeFile.replace(text, at: reference)
    } else {
      let partial = SiblingName.partial(of: reference)
      defer { unsafe unlink(partial) }
      try WholeFile.write(text, to: partial)
      if try !ObjectFolder.publish(partial, at: reference),
        try Recipe(path: reference).identity != plan.recipe.identity
      {
        throw taken(name)
      }
    }
    return push
  }

  /// What a push comes to, before it is done.
  struct Plan {
    var recipe: Recipe
    /// The pieces that the store does not have, and what each may be stored as a change of.
    var new: [(piece: Recipe.Piece, base: Recipe.Piece?)]
    /// Whether the store has this checkpoint by this name.
    var isNamed: Bool
  }

  func taken(_ name: String) -> FileError {
    FileError(
      .data, path, field: name, "is the name of another checkpoint in the store; give a new one")
  }

  /// - Parameter isThere: Whether a piece is in the store, or in the one that this is a cache of.
  func plan(
    _ pieces: DirectoryPieces, as name: String, parent: String?, isThere: (String) -> Bool
  ) throws(FileError) -> Plan {
    let reference = try reference(name)
    var recipe = pieces.recipe
    recipe.name = name
    let isNamed = FileKind.of(reference) != .absent
    if isNamed, try Recipe(path: reference).identity != recipe.identity { throw taken(name) }
    let base = try recipeOfParent(named: parent, of: pieces.path)
    recipe.parent = base.map { .init(name: $0.name, identity: $0.identity) }
    let tensors = base?.tensors ?? [:]
    let new = recipe.distinctPieces.filter { !isThere($0.sha256) }.map { piece in
      let tensor = piece.tensor.flatMap { tensors[$0] }
      let isLike = tensor?.kind == piece.kind && tensor?.byteCount == piece.byteCount
      return (piece, isLike ? tensor : nil)
    }
    return Plan(recipe: recipe, new: new, isNamed: isNamed)
  }

  /// Writes the new pieces of a push, over those that they are planned to be changes of if these are here.
  func write(_ plan: Plan, _ pieces: DirectoryPieces) throws(FileError) -> Push {
    var push = Push(
      name: plan.recipe.name, byteCount: plan.recipe.byteCount, storedBytes: 0,
      pieces: plan.recipe.distinctPieces.count, newPieces: plan.new.count,
      parent: plan.recipe.parent?.name)
    for (piece, tensor) in plan.new {
      var base: ObjectFolder.Base?
      if let tensor, folder.contains(tensor.sha256),
        let reader = try? PieceSources(folders: [folder]).reader(of: tensor.sha256)
      {
        let depth = (reader as? ObjectReader)?.depth ?? 0
        if depth < StoredObject.depthLimit, reader.byteCount == piece.byteCount {
          base = .init(hash: tensor.sha256, depth: depth, reader: reader)
        }
      }
      push.storedBytes += try folder.add(piece, over: base) { () throws(FileError) in
        try PieceSources(directories: [pieces]).reader(of: piece.sha256)
      }
    }
    return push
  }

  private func recipeOfParent(
    named name: String?, of directory: String
  ) throws(FileError) -> Recipe? {
    if let name { return try recipe(of: name) }
    guard FileKind.of(directory + "/" + CheckpointManifest.fileName) == .file else { return nil }
    let parents = try CheckpointManifest(directory: directory).lineage.parents
    guard let entry = try entries().first(where: { parents.contains($0.identity) }) else {
      return nil
    }
    return try recipe(of: entry.name)
  }

  /// The recipe by a name, as it lies in the store.
  func recipe(of name: String) throws(FileError) -> Recipe {
    let reference = try reference(name)
    guard FileKind.of(reference) != .absent else {
      let names = try entries().prefix(20).map(\.name).joined(separator: ", ")
      throw FileError(
        .missing, path, field: name,
        "is not in the store; it has: \(names.isEmpty ? "nothing" : names)")
    }
    var recipe = try Recipe(path: reference)
    recipe.name = name
    return recipe
  }

  // MARK: Pulling

  /// Makes the checkpoint of a name at `directory`, which must not exist yet: byte by byte what was pushed.
  public func pull(_ name: String, to directory: String) throws(FileError) {
    try PieceSources(folders: [folder]).assemble(try recipe(of: name), at: directory)
  }
}
