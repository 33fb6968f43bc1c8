package import Files

/// What a checkpoint directory is made of: its files, and the pieces of each in their order, by their hashes.
///
/// A safetensors file is its header and its tensors; any other file is one piece.
package struct Recipe: Sendable, Equatable {
  struct Piece: Sendable, Equatable {
    /// 64 hexadecimal digits.
    var sha256: String
    var byteCount: Int
    /// The name of the tensor; nil for a header, or a file that is one piece.
    var tensor: String?
    var kind: ElementKind
  }

  struct File: Sendable, Equatable {
    /// The path within the directory.
    var name: String
    var sha256: String
    var pieces: [Piece]
    var byteCount: Int { pieces.reduce(0) { $0 + $1.byteCount } }
  }

  private static let formatName = "isogloss-recipe"
  private static let byteLimit = 64 << 20

  var name: String
  var files: [File]
  /// The checkpoint whose pieces are needed besides; nil for none.
  var parent: Parent?

  struct Parent: Sendable, Equatable {
    var name: String
    var identity: String
  }

  var byteCount: Int { files.reduce(0) { $0 + $1.byteCount } }
  /// The pieces that are tensors, by their names.
  var tensors: [String: Piece] {
    Dictionary(files.flatMap(\.pieces).compactMap { piece in piece.tensor.map { ($0, piece) } }) {
      first, _ in first
    }
  }
  /// All pieces, each once.
  var distinctPieces: [Piece] {
    var seen: Set<String> = []
    return files.flatMap(\.pieces).filter { seen.insert($0.sha256).inserted }
  }

  /// The checkpoint's identity: the SHA-256 of its manifest, or where it has none that of a line for each file, `HASH  NAME`
  /// as `sha256sum` prints them.
  var identity: String {
    files.first { $0.name == CheckpointManifest.fileName }?.sha256
      ?? SHA256.digest(Array(files.map { "\($0.sha256)  \($0.name)\n" }.joined().utf8))
  }

  init(name: String, files: [File], parent: Parent? = nil) {
    self.name = name
    self.files = files
    self.parent = parent
  }

  // MARK: Text

  init(path: String) throws(FileError) {
    try self.init(parsing: WholeFile.read(path, limit: Self.byteLimit), path: path)
  }

  /// Reads a recipe of any origin.
  ///
  /// - Throws: ``FileError`` of code `data` with the file whose entry is wrong: among them names that lead out of
  ///   the directory.
  package init(parsing bytes: [UInt8], path: String) throws(FileError) {
    let root = try JSONValue(parsing: bytes, path: path)
    func wrong(_ field: String, _ message: String) -> FileError {
      FileError(.data, path, field: field, message)
    }
    guard root["format"]?.string == Self.formatName, root["format_version"]?.int == 1 else {
      throw wrong("format", "is not ‘\(Self.formatName)’, version 1")
    }
    guard let name = root["name"]?.string else { throw wrong("name", "is missing") }
    guard let members = root["files"]?.object?.members else {
      throw wrong("files", "is missing or not an object")
    }
    var files: [File] = []
    var total = 0
    for member in members {
      guard PlainPath.isRelative(member.name) else {
        throw wrong(member.name, "is not the name of a file within the directory")
      }
      guard let hash = member.value["sha256"]?.string, CheckpointManifest.isHash(hash),
        let items = member.value["pieces"]?.array
      else { throw wrong(member.name, "needs a sha256 and pieces") }
      var pieces: [Piece] = []
      for item in items {
        guard let hash = item["sha256"]?.string, CheckpointManifest.isHash(hash),
          let count = item["size"]?.int, count > 0, let width = item["width"]?.int,
          [1, 2, 4, 8].contains(width)
        else { throw wrong(member.name, "has a piece without sha256, size and width") }
        let (sum, overflow) = total.addingReportingOverflow(count)
        if overflow { throw wrong(member.name, "has a piece of \(count) bytes") }
        total = sum
        pieces.append(
          Piece(
            sha256: hash, byteCount: count, tensor: item["tensor"]?.string,
            kind: ElementKind(width: width, isFloat: item["float"]?.bool ?? false)))
      }
      files.append(File(name: member.name, sha256: hash, pieces: pieces))
    }
    self.init(name: name, files: files)
    guard root["identity"]?.string == identity else {
      throw wrong("identity", "is not that of the files")
    }
    if let parent = root["parent"], parent != .null {
      guard let name = parent["name"]?.string, let identity = parent["identity"]?.string,
        CheckpointManifest.isHash(identity)
      else { throw wrong("parent", "has no name, or no SHA-256") }
      self.parent = Parent(name: name, identity: identity)
    }
  }

  var text: String {
    var list = JSONObject()
    for file in files {
      let pieces = file.pieces.map { piece in
        var item = JSONObject()
        item["sha256"] = .string(piece.sha256)
        item["size"] = JSONValue(piece.byteCount)
        item["width"] = JSONValue(piece.kind.width)
        if piece.kind.isFloat { item["float"] = true }
        if let tensor = piece.tensor { item["tensor"] = .string(tensor) }
        return JSONValue.object(item)
      }
      list.append(
        unique: file.name, ["sha256": .string(file.sha256), "pieces": .array(pieces)])
    }
    var root = JSONObject()
    root["format"] = .string(Self.formatName)
    root["format_version"] = 1
    root["name"] = .string(name)
    root["identity"] = .string(identity)
    root["parent"] = parent.map {
      ["name": .string($0.name), "identity": .string($0.identity)]
    }
    root["files"] = .object(list)
    return JSONValue.object(root).compactText
  }
}
