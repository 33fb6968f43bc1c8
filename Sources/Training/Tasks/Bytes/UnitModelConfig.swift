import Configuration
import Corpus
import Files

/// The `config.json` of a ``UnitModel``: all that its weights are read by.
struct UnitModelConfig<Model: UnitModel>: Equatable {
  static var modelType: String { "isogloss-\(Model.schema.name)" }
  private static var labelLimit: Int { 10_000 }
  /// About the data, not the model.
  private static var otherKeys: Set<String> { ["columns"] }

  let options: Model.Options
  /// Of the vocabulary, ascending; empty for bytes.
  let characters: [UInt32]
  let labels: [String]

  init(_ options: Model.Options, characters: [UInt32], labels: [String]) {
    self.options = options
    self.characters = characters
    self.labels = labels
  }

  var json: JSONValue {
    var object = JSONObject()
    object["model_type"] = .init(Self.modelType)
    for (name, value) in options.values where !Self.otherKeys.contains(name) {
      object[name] = JSONValue(value)
    }
    if options.units == .characters {
      object["characters"] = .array(characters.map { .init(Int($0)) })
    }
    object["labels"] = .array(labels.map { .init($0) })
    return .object(object)
  }

  /// - Throws: ``FileError`` where the file does not describe such a model.
  init(directory: String) throws(FileError) {
    let path = directory + "/config.json"
    let config = try JSONValue(parsing: try WholeFile.read(path, limit: 64 << 20), path: path)
    func wrong(_ field: String, _ message: String) -> FileError {
      FileError(.data, path, field: field, message)
    }
    guard config["model_type"]?.string == Self.modelType else {
      throw wrong("model_type", "is not '\(Self.modelType)'")
    }
    var options = Model.Options()
    for (name, _) in options.values where !Self.otherKeys.contains(name) {
      guard let value = config[name] else { continue }
      guard let scalar = ConfigScalar(value) else { throw wrong(name, "is not one value") }
      do throws(ConfigError) {
        try options.set(name, to: scalar)
      } catch {
        throw wrong(name, error.message)
      }
    }
    self.options = options
    let characters = (config["characters"]?.array ?? []).map { $0.int ?? -1 }
    guard characters.allSatisfy({ (0...0x10FFFF).contains($0) }),
      zip(characters, characters.dropFirst()).allSatisfy({ $0 < $1 }),
      options.units == .characters || characters.isEmpty
    else { throw wrong("characters", "are not ascending code points") }
    self.characters = characters.map { UInt32($0) }
    let labels = (config["labels"]?.array ?? []).map { $0.string ?? "" }
    guard !labels.isEmpty, labels.count <= Self.labelLimit, Set(labels).count == labels.count,
      labels.allSatisfy({ !$0.isEmpty && printable($0, limit: 1000) == $0 })
    else { throw wrong("labels", "is not a list of labels") }
    let set = LabelSet(ordered: labels)
    guard (try? Model.labels(trainedOn: set)) == set else {
      throw wrong("labels", "are not those of \(Model.schema.name)")
    }
    self.labels = labels
  }
}

extension JSONValue {
  fileprivate init(_ value: ConfigScalar) {
    self =
      switch value {
      case .null: .null
      case .bool(let value): .bool(value)
      case .number(let digits): .number(digits)
      case .text(let text): .string(text)
      }
  }
}

extension ConfigScalar {
  /// Nil for lists and objects.
  fileprivate init?(_ value: JSONValue) {
    switch value {
    case .null: self = .null
    case .bool(let value): self = .bool(value)
    case .number(let digits): self = .number(digits)
    case .string(let text): self = .text(text)
    case .array, .object: return nil
    }
  }
}
