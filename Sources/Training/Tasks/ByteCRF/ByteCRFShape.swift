import Corpus
import Files

/// What a Byte-CRF's `config.json` says: all that its weights are read by.
struct ByteCRFShape: Equatable {
  static let modelType = "isogloss-byte-crf"

  var options: ByteCRFOptions
  var characters: [UInt32]
  var labels: [String]

  init(_ options: ByteCRFOptions, characters: [UInt32], labels: [String]) {
    self.options = options
    self.characters = characters
    self.labels = labels
  }

  private typealias Size = (
    name: String, path: WritableKeyPath<ByteCRFOptions, Int>, range: ClosedRange<Int>
  )
  private static var sizes: [Size] {
    [
      ("word_length", \.wordLength, 1...4096), ("embedding_size", \.embeddingSize, 1...4096),
      ("word_layers", \.wordLayers, 1...8), ("word_units", \.wordUnits, 1...4096),
      ("sentence_layers", \.sentenceLayers, 1...8),
      ("sentence_units", \.sentenceUnits, 1...4096),
    ]
  }
  private static let labelLimit = 10_000

  var json: JSONValue {
    var object = JSONObject()
    object["model_type"] = .init(Self.modelType)
    object["units"] = .init(options.units.rawValue)
    if options.units == .characters {
      object["characters"] = .array(characters.map { .init(Int($0)) })
    }
    for (name, path, _) in Self.sizes { object[name] = .init(options[keyPath: path]) }
    object["dropout"] = .init(options.dropout)
    object["chain_ends"] = .init(options.chainEnds)
    object["labels"] = .array(labels.map { .init($0) })
    return .object(object)
  }

  /// - Throws: ``FileError`` where the file does not describe a Byte-CRF.
  init(directory: String) throws(FileError) {
    let path = directory + "/config.json"
    let config = try JSONValue(parsing: try WholeFile.read(path, limit: 64 << 20), path: path)
    func wrong(_ field: String, _ message: String) -> FileError {
      FileError(.data, path, field: field, message)
    }
    guard config["model_type"]?.string == Self.modelType else {
      throw wrong("model_type", "is not '\(Self.modelType)'")
    }
    options = ByteCRFOptions()
    guard let units = config["units"]?.string.flatMap(WordUnits.init(rawValue:)) else {
      throw wrong("units", "is neither bytes nor characters")
    }
    options.units = units
    for (name, keyPath, range) in Self.sizes {
      guard let value = config[name]?.int, range.contains(value) else {
        throw wrong(name, "is no number from \(range.lowerBound) to \(range.upperBound)")
      }
      options[keyPath: keyPath] = value
    }
    guard let dropout = config["dropout"]?.double, (0..<1).contains(dropout) else {
      throw wrong("dropout", "is no number from 0 to 1")
    }
    options.dropout = dropout
    guard let ends = config["chain_ends"]?.bool else {
      throw wrong("chain_ends", "is not a truth value")
    }
    options.chainEnds = ends
    let characters = (config["characters"]?.array ?? []).map { $0.int ?? -1 }
    guard characters.allSatisfy({ (0...0x10FFFF).contains($0) }),
      zip(characters, characters.dropFirst()).allSatisfy({ $0 < $1 }),
      units == .characters || characters.isEmpty
    else { throw wrong("characters", "are not ascending code points") }
    self.characters = characters.map { UInt32($0) }
    let labels = (config["labels"]?.array ?? []).map { $0.string ?? "" }
    guard !labels.isEmpty, labels.count <= Self.labelLimit, Set(labels).count == labels.count,
      labels.allSatisfy({ !$0.isEmpty && printable($0, limit: 1000) == $0 })
    else { throw wrong("labels", "is not a list of labels") }
    self.labels = labels
  }
}
