/// The content of `isogloss.json`: what a checkpoint directory holds, and where it comes from.
public struct CheckpointManifest: Sendable, Equatable {
  public struct File: Sendable, Equatable, Codable {
    /// The path within the directory, with `/` between its parts.
    public var name: String
    public var size: Int
    /// 64 hexadecimal digits.
    public var sha256: String
  }

  /// The name of the manifest's file.
  public static let fileName = "isogloss.json"
  /// The version of the format that is written, and the only one that is read.
  public static let formatVersion = 1
  private static let formatName = "isogloss-checkpoint"
  private static let byteLimit = 16 << 20

  /// The version of the program that wrote the checkpoint.
  public var programVersion: String
  /// Every file but the manifest, in the order of their names.
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

  /// Reads the manifest in `directory`.
  ///
  /// - Throws: ``CheckpointError``: `missing` when there is none, `data` with the key that is wrong.
  public init(directory: String) throws(CheckpointError) {
    let path = directory + "/" + Self.fileName
    let root = try JSONValue(parsing: WholeFile.read(path, limit: Self.byteLimit), path: path)
    guard root["format"]?.string == Self.formatName else {
      throw CheckpointError(.data, path, field: "format", "is not ‘\(Self.formatName)’")
    }
    guard root["format_version"]?.int == Self.formatVersion else {
      let found = root["format_version"].map { printable($0.compactText, limit: 32) } ?? "absent"
      throw CheckpointError(
        .data, path, field: "format_version",
        "is \(found); this program reads version \(Self.formatVersion), use the one that wrote it")
    }
    guard let programVersion = root["program_version"]?.string else {
      throw CheckpointError(.data, path, field: "program_version", "is missing or not a string")
    }
    guard let members = root["files"]?.object?.members else {
      throw CheckpointError(.data, path, field: "files", "is missing or not an object")
    }
    var files: [File] = []
    var total = 0
    for member in members {
      guard let size = member.value["size"]?.int, size >= 0,
        let hash = member.value["sha256"]?.string, hash.utf8.count == 64
      else {
        throw CheckpointError(.data, path, field: member.name, "needs a size and a sha256")
      }
      let (sum, overflow) = total.addingReportingOverflow(size)
      if overflow { throw CheckpointError(.data, path, field: member.name, "a size of \(size)") }
      total = sum
      files.append(File(name: member.name, size: size, sha256: hash))
    }
    self.programVersion = programVersion
    self.files = files.sorted { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }
    facts = root["facts"] ?? [:]
  }

  /// The manifest as the text of its file.
  var text: String {
    var list = JSONObject()
    for file in files {
      list.append(
        unique: file.name, ["size": JSONValue(file.size), "sha256": .string(file.sha256)])
    }
    let root: JSONValue = [
      "format": .string(Self.formatName), "format_version": JSONValue(Self.formatVersion),
      "program_version": .string(programVersion), "files": .object(list), "facts": facts,
    ]
    return root.text
  }
}
