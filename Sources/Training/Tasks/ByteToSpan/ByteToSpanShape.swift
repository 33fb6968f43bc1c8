import Corpus
import Files

/// What the `config.json` of a Byte-to-Span says: all that its weights are read by.
struct ByteToSpanShape: Equatable {
  static let modelType = "isogloss-byte-to-span"

  var options: ByteToSpanOptions
  var types: [String]

  init(_ options: ByteToSpanOptions, types: [String]) {
    self.options = options
    self.types = types
  }

  var vocabulary: SpanVocabulary { SpanVocabulary(types: types, window: options.window) }

  private typealias Size = (
    name: String, path: WritableKeyPath<ByteToSpanOptions, Int>, range: ClosedRange<Int>
  )
  private static var sizes: [Size] {
    [
      ("window", \.window, 1...4096), ("test_stride", \.testStride, 1...4096),
      ("embedding_size", \.embeddingSize, 1...4096),
      ("output_embedding_size", \.outputEmbeddingSize, 1...4096), ("layers", \.layers, 1...8),
      ("units", \.units, 1...4096),
    ]
  }
  private static var rates: [(name: String, path: WritableKeyPath<ByteToSpanOptions, Double>)] {
    [("byte_dropout", \.byteDropout), ("dropout", \.dropout)]
  }
  private static let typeLimit = 10_000

  var json: JSONValue {
    var object = JSONObject()
    object["model_type"] = .init(Self.modelType)
    for (name, path, _) in Self.sizes { object[name] = .init(options[keyPath: path]) }
    for (name, path) in Self.rates { object[name] = .init(options[keyPath: path]) }
    object["types"] = .array(types.map { .init($0) })
    return .object(object)
  }

  /// - Throws: ``FileError`` where the file does not describe a Byte-to-Span.
  init(directory: String) throws(FileError) {
    let path = directory + "/config.json"
    let config = try JSONValue(parsing: try WholeFile.read(path, limit: 64 << 20), path: path)
    func wrong(_ field: String, _ message: String) -> FileError {
      FileError(.data, path, field: field, message)
    }
    guard config["model_type"]?.string == Self.modelType else {
      throw wrong("model_type", "is not '\(Self.modelType)'")
    }
    options = ByteToSpanOptions()
    for (name, keyPath, range) in Self.sizes {
      guard let value = config[name]?.int, range.contains(value) else {
        throw wrong(name, "is no number from \(range.lowerBound) to \(range.upperBound)")
      }
      options[keyPath: keyPath] = value
    }
    guard options.testStride <= options.window else {
      throw wrong("test_stride", "is more than the window of \(options.window) bytes")
    }
    for (name, keyPath) in Self.rates {
      guard let rate = config[name]?.double, (0..<1).contains(rate) else {
        throw wrong(name, "is no number from 0 to 1")
      }
      options[keyPath: keyPath] = rate
    }
    guard let names = config["types"]?.array?.map({ $0.string ?? "" }),
      names.count <= Self.typeLimit, Set(names).count == names.count,
      names.allSatisfy({ !$0.isEmpty && printable($0, limit: 1000) == $0 })
    else { throw wrong("types", "is not a list of types") }
    types = names
  }
}
