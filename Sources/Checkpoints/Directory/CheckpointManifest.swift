public import Files

/// The content of `isogloss.json`: what a checkpoint directory holds, and where it comes from.
public struct CheckpointManifest: Sendable, Equatable {
  public struct File: Sendable, Equatable, Codable {
    /// The path within the directory, with `/` between its parts.
    public var name: String
    public var size: Int
    /// 64 hexadecimal digits.
    public var sha256: String
    /// The tensors of a safetensors file in the order of their data; empty for any other file, and in manifests that
    /// were written before tensors were hashed.
    public var tensors: [Tensor] = []
  }

  public struct Tensor: Sendable, Equatable, Codable {
    public var name: String
    /// The hash of the tensor's bytes as they lie in the file: 64 hexadecimal digits.
    public var sha256: String
  }

  /// The name of the manifest's file.
  public static let fileName = "isogloss.json"
  /// The files that no manifest lists: the manifest, and signatures of it.
  static let ownFiles: Set<String> = [fileName, CheckpointSignatures.fileName]
  /// The version of the format that is written, and the only one that is read.
  public static let formatVersion = 1
  private static let formatName = "isogloss-checkpoint"
  private static let byteLimit = 16 << 20

  /// The version of the program that wrote the checkpoint.
  public var programVersion: String
  /// Every file but the manifest and its signatures, in the order of their names.
  public var files: [File]
  /// What the writer had to say: parent checkpoint, data, config. An object.
  public var facts: JSONValue

  /// The bytes of all files together.
  public var byteCount: Int { files.reduce(0) { $0 + $1.size } }

  init(programVersion: String, files: [File], facts: JSONValue) {
    self.programVersion = programVersion
    self.files = files
    self.facts = facts
  }

  /// Whether a text is a SHA-256 as manifests have it: 64 hexadecimal digits.
  static func isHash(_ text: String) -> Bool { Hexadecimal.bytes(text)?.count == 32 }

  /// Reads the manifest in `directory`.
  ///
  /// - Throws: ``FileError``: `missing` when there is none, `data` with the key that is wrong.
  public init(directory: String) throws(FileError) {
    try self.init(
      parsing: Self.bytes(directory: directory), path: directory + "/" + Self.fileName)
  }

  /// The text of the manifest in `directory`: what is signed, and whose SHA-256 is the checkpoint's identity.
  static func bytes(directory: String) throws(FileError) -> [UInt8] {
    try WholeFile.read(directory + "/" + fileName, limit: byteLimit)
  }

  /// Reads a manifest from its text; `path` is for messages.
  init(parsing bytes: [UInt8], path: String) throws(FileError) {
    let root = try JSONValue(parsing: bytes, path: path)
    guard root["format"]?.string == Self.formatName else {
      throw FileError(.data, path, field: "format", "is not ‘\(Self.formatName)’")
    }
    guard root["format_version"]?.int == Self.formatVersion else {
      let found = root["format_version"].map { printable($0.compactText, limit: 32) } ?? "absent"
      throw FileError(
        .data, path, field: "format_version",
        "is \(found); this program reads version \(Self.formatVersion), use the one that wrote it")
    }
    guard let programVersion = root["program_version"]?.string else {
      throw FileError(.data, path, field: "program_version", "is missing or not a string")
    }
    guard let members = root["files"]?.object?.members else {
      throw FileError(.data, path, field: "files", "is missing or not an object")
    }
    var files: [File] = []
    var total = 0
    for member in members {
      guard let size = member.value["size"]?.int, size >= 0,
        let hash = member.value["sha256"]?.string, hash.utf8.count == 64
      else {
        throw FileError(.data, path, field: member.name, "needs a size and a sha256")
      }
      let (sum, overflow) = total.addingReportingOverflow(size)
      if overflow { throw FileError(.data, path, field: member.name, "a size of \(size)") }
      total = sum
      var file = File(name: member.name, size: size, sha256: hash)
      for tensor in member.value["tensors"]?.object?.members ?? [] {
        guard let hash = tensor.value.string, hash.utf8.count == 64 else {
          throw FileError(.data, path, field: tensor.name, "its hash is no sha256")
        }
        file.tensors.append(Tensor(name: tensor.name, sha256: hash))
      }
      files.append(file)
    }
    self.programVersion = programVersion
    self.files = files.sorted { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }
    facts = root["facts"] ?? [:]
  }

  /// Sees to it that the manifest can be read again.
  func checkLength(_ path: String) throws(FileError) {
    guard text.utf8.count < Self.byteLimit else {
      throw FileError(
        .data, path, field: Self.fileName, "would have over \(Self.byteLimit) bytes")
    }
  }

  /// The manifest as the text of its file.
  var text: String {
    var list = JSONObject()
    for file in files {
      var members: JSONObject = JSONObject()
      members["size"] = JSONValue(file.size)
      members["sha256"] = .string(file.sha256)
      if !file.tensors.isEmpty {
        var tensors = JSONObject()
        for tensor in file.tensors { tensors.append(unique: tensor.name, .string(tensor.sha256)) }
        members["tensors"] = .object(tensors)
      }
      list.append(unique: file.name, .object(members))
    }
    let root: JSONValue = [
      "format": .string(Self.formatName), "format_version": JSONValue(Self.formatVersion),
      "program_version": .string(programVersion), "files": .object(list), "facts": facts,
    ]
    return root.text
  }
}
