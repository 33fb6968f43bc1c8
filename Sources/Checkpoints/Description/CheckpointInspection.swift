public import Files

/// What a checkpoint directory holds, for people (``text``) and for programs (`Codable`).
public struct CheckpointInspection: Sendable, Codable, Equatable {
  public struct File: Sendable, Codable, Equatable {
    public var name: String
    public var size: Int
    /// 64 hexadecimal digits; nil when hashes were not asked for.
    public var sha256: String?
  }

  public struct Tensor: Sendable, Codable, Equatable {
    public var name: String
    public var elementType: ElementType
    public var shape: [Int]

    enum CodingKeys: String, CodingKey {
      case name
      case elementType = "dtype"
      case shape
    }
  }

  public struct Manifest: Sendable, Codable, Equatable {
    public var formatVersion: Int
    public var programVersion: String
    public var facts: JSONValue

    enum CodingKeys: String, CodingKey {
      case formatVersion = "format_version"
      case programVersion = "program_version"
      case facts
    }
  }

  public var path: String
  public var files: [File]
  /// The tensors of the weights, in the order of files and data. Empty when there are none.
  public var tensors: [Tensor]
  /// The elements of all tensors of the weights.
  public var parameterCount: Int
  /// `config.json` as it would be written; nil when there is none.
  public var config: JSONValue?
  /// nil when the directory was not written by this program.
  public var manifest: Manifest?

  enum CodingKeys: String, CodingKey {
    case path
    case files
    case tensors
    case parameterCount = "parameters"
    case config
    case manifest
  }

  /// Looks at the checkpoint in `directory`, as far as it goes: any of weights, config and manifest may
  /// be absent, and none may be wrong.
  ///
  /// - Parameter hashes: Whether every file is read and hashed.
  /// - Throws: ``FileError`` when there is no such directory, or something in it is wrong.
  public init(directory: String, hashes: Bool = false) throws(FileError) {
    path = directory
    let names = try FileTree(directory, allowingLinks: true).files
    files = []
    for name in names {
      let file = try OpenFile(reading: directory + "/" + name)
      let size = try file.size()
      files.append(
        File(name: name, size: size, sha256: hashes ? try SHA256.digest(of: file) : nil))
    }
    let hasWeights =
      names.contains(CheckpointWeights.fileName) || names.contains(CheckpointWeights.indexName)
    let weights = hasWeights ? try CheckpointWeights(directory: directory).tensors : []
    tensors = weights.map { Tensor(name: $0.name, elementType: $0.elementType, shape: $0.shape) }
    parameterCount = weights.reduce(0) { $0 + $1.count }
    config =
      names.contains("config.json") ? try HuggingFaceConfig(directory: directory).json : nil
    if names.contains(CheckpointManifest.fileName) {
      let manifest = try CheckpointManifest(directory: directory)
      self.manifest = Manifest(
        formatVersion: CheckpointManifest.formatVersion, programVersion: manifest.programVersion,
        facts: manifest.facts)
    }
  }

  /// The same in lines for people, without a line end behind the last.
  public var text: String {
    var lines = [printable(path, limit: 1024)]
    if let config {
      let shape = [
        ("model_type", ""), ("num_hidden_layers", "layers"), ("hidden_size", "wide"),
        ("num_attention_heads", "heads"), ("intermediate_size", "inner"),
        ("vocab_size", "rows"), ("max_position_embeddings", "positions"),
      ]
      let words = shape.compactMap { key, unit in
        config[key].map { value in
          let number = value.string ?? value.compactText
          return unit.isEmpty ? number : "\(number) \(unit)"
        }
      }
      lines.append("config: " + words.joined(separator: ", "))
      if let labels = config["id2label"]?.object?.members.compactMap(\.value.string) {
        lines.append("labels: " + printable(labels.joined(separator: " "), limit: 1000))
      }
    }
    if let manifest {
      lines.append(
        "written by isogloss \(printable(manifest.programVersion, limit: 40)), "
          + "format \(manifest.formatVersion)")
      for fact in manifest.facts.object?.members ?? [] {
        let value = fact.value.string ?? fact.value.compactText
        lines.append("  \(printable(fact.name, limit: 40)): \(printable(value, limit: 200))")
      }
    }
    lines.append("files:")
    for file in files {
      let hash = file.sha256.map { "  sha256 \($0)" } ?? ""
      lines.append("  \(printable(file.name, limit: 200))  \(file.size) bytes\(hash)")
    }
    lines.append("tensors: \(tensors.count), parameters: \(parameterCount)")
    for tensor in tensors {
      let shape = tensor.shape.map { String($0) }.joined(separator: " × ")
      let name = printable(tensor.name, limit: 200)
      lines.append("  \(name)  \(tensor.elementType.rawValue)  [\(shape)]")
    }
    return lines.joined(separator: "\n")
  }
}
