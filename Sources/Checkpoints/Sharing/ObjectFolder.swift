import Files
import Foundation

/// A folder of pieces, each in a file named by its hash: `objects/3f/a2…`.
///
/// A file is written beside its place, gets its name when it is whole, and is never changed or replaced: of those who
/// write the same piece at once one comes first.
struct ObjectFolder {
  static let name = "objects"
  /// The folder itself.
  let path: String

  /// - Parameter directory: Holds the folder ``name``.
  init(in directory: String) { path = directory + "/" + Self.name }

  func path(of hash: String) -> String { path + "/" + hash.prefix(2) + "/" + hash.dropFirst(2) }

  func contains(_ hash: String) -> Bool { FileKind.of(path(of: hash)) == .file }

  /// A piece that another may be stored as a change of.
  struct Base {
    var hash: String
    /// How deep it is stacked itself.
    var depth: Int
    var reader: any BlockReader
  }

  /// Puts a piece into the folder, unless it is there.
  ///
  /// - Parameters:
  ///   - open: Opens the piece. It is hashed as it is read.
  ///   - base: What it may be stored as a change of; if that does not hash to its name, it is not.
  /// - Returns: The bytes of its file, whoever wrote it.
  /// - Throws: ``FileError`` of code `data` where the piece does not hash to its name.
  func add(
    _ piece: Recipe.Piece, over base: Base? = nil,
    _ open: () throws(FileError) -> any BlockReader
  ) throws(FileError) -> Int {
    let path = path(of: piece.sha256)
    if contains(piece.sha256) { return try OpenFile(reading: path).size() }
    try FileTree.makeDirectory(SiblingName(path).parent)
    let partial = SiblingName.partial(of: path)
    defer { unsafe unlink(partial) }
    let written: (byteCount: Int, hash: String, baseHash: String?)
    do throws(FileError) {
      written = try StoredObject.write(
        try open(), piece.kind, over: base.map { ($0.hash, $0.depth, $0.reader) }, to: partial)
    } catch {
      guard base != nil, error.code == .data else { throw error }
      return try add(piece, open)
    }
    guard written.hash == piece.sha256 else {
      throw FileError(
        .data, path, field: piece.tensor, "was changed while it was read; leave the files alone")
    }
    if let base, written.baseHash != base.hash { return try add(piece, open) }
    if try Self.publish(partial, at: path) { return written.byteCount }
    return try OpenFile(reading: path).size()
  }

  /// Gives a whole file its name.
  ///
  /// - Returns: Whether nobody else had done it.
  static func publish(_ partial: String, at path: String) throws(FileError) -> Bool {
    if unsafe link(partial, path) == 0 {
      try CheckpointDirectory.syncDirectory(SiblingName(path).parent)
      return true
    }
    if errno == EEXIST { return false }
    // A file system without links.
    guard FileKind.of(path) == .absent else { return false }
    guard unsafe rename(partial, path) == 0 else { throw .system("writing", path) }
    try CheckpointDirectory.syncDirectory(SiblingName(path).parent)
    return true
  }

  /// Removes what processes that ended left half written a week ago or longer.
  func sweep() {
    let limit = Date().addingTimeInterval(-7 * 86400)
    guard let names = try? FileManager.default.subpathsOfDirectory(atPath: path) else { return }
    for name in names where name.contains(SiblingName.partialMark) {
      let attributes = try? FileManager.default.attributesOfItem(atPath: path + "/" + name)
      if let date = attributes?[.modificationDate] as? Date, date < limit {
        unsafe unlink(path + "/" + name)
      }
    }
  }
}

/// Where pieces are found by their hashes: in directories as they are, and in folders of objects.
struct PieceSources {
  var directories: [DirectoryPieces] = []
  var folders: [ObjectFolder] = []

  /// Opens a piece.
  ///
  /// - Parameter hops: How many objects may be followed from one to the next.
  /// - Throws: ``FileError`` of code `missing` if it is nowhere.
  func reader(
    of hash: String, hops: Int = StoredObject.hopLimit
  ) throws(FileError) -> any BlockReader {
    for directory in directories {
      if let reader = try directory.reader(of: hash) { return reader }
    }
    for folder in folders where folder.contains(hash) {
      let path = folder.path(of: hash)
      guard hops > 0 else {
        throw FileError(.data, path, "is stacked on too many objects, or on itself")
      }
      return try ObjectReader(path) { (base) throws(FileError) in
        try reader(of: base, hops: hops - 1)
      }
    }
    let places = directories.map(\.path) + folders.map(\.path)
    throw FileError(
      .missing, places.joined(separator: " and "), "there is no piece \(hash.prefix(16))…")
  }

  /// Makes the directory of a recipe, complete or not at all.
  ///
  /// Every piece and every file is hashed as it is written. Memory: some blocks of 4 MiB.
  ///
  /// - Throws: ``FileError`` of code `data` where a piece is not what its name says, or a file does not come out as
  ///   the recipe has it.
  func assemble(_ recipe: Recipe, at path: String) throws(FileError) {
    try CheckpointDirectory.assemble(at: path, neededBytes: recipe.byteCount) {
      (partial) throws(FileError) in
      for file in recipe.files {
        let name = partial + "/" + file.name
        try FileTree.makeDirectory(SiblingName(name).parent)
        guard try write(file, to: name) == file.sha256 else {
          throw FileError(
            .data, path, field: file.name, "does not come out as its recipe says")
        }
      }
      for name in try FileTree(partial).directories {
        try CheckpointDirectory.syncDirectory(partial + "/" + name)
      }
      try CheckpointDirectory.syncDirectory(partial)
    }
  }

  /// Writes a file out of its pieces; returns its SHA-256.
  private func write(_ file: Recipe.File, to path: String) throws(FileError) -> String {
    let output = try OpenFile(creating: path)
    var hash = SHA256()
    var offset = 0
    for piece in file.pieces {
      let reader = try reader(of: piece.sha256)
      guard reader.byteCount == piece.byteCount else {
        throw FileError(
          .data, place(of: piece.sha256), field: piece.tensor ?? file.name,
          "has \(reader.byteCount) bytes, the recipe says \(piece.byteCount)")
      }
      var pieceHash = SHA256()
      while true {
        let block = try reader.next()
        if block.isEmpty { break }
        hash.update(unsafe block.span.bytes)
        pieceHash.update(unsafe block.span.bytes)
        try output.write(unsafe block.span.bytes, at: offset)
        offset += block.count
      }
      guard pieceHash.finish() == piece.sha256 else {
        throw FileError(
          .data, place(of: piece.sha256), field: piece.tensor ?? file.name,
          "the piece \(piece.sha256.prefix(16))… is not what its name says: it was changed")
      }
    }
    try output.sync()
    return hash.finish()
  }

  /// The file in which a piece lies.
  private func place(of hash: String) -> String {
    folders.first { $0.contains(hash) }?.path(of: hash)
      ?? directories.first { $0.contains(hash) }?.path ?? ""
  }
}
