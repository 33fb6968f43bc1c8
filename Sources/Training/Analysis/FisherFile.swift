import Checkpoints
public import Files
package import Tensors

/// A Fisher diagonal on disk: a safetensors file with a tensor for each parameter under its name, of its shape, in fp32, and
/// what it is of in its metadata.
public struct FisherFile: Sendable {
  /// The version of the format that is written, and the only one that is read.
  private static let format = "isogloss-fisher 1"

  public let path: String
  public let model: String
  public let language: String
  public let sentences: Int
  public let samples: Int
  /// What the bits follow from; see ``FisherEstimate``.
  let identity: String
  /// The layers in their order, and the tensors of each.
  public let layers: [(name: String, tensors: [String])]
  private let file: SafetensorsFile

  /// - Throws: ``FileError`` where it is no such file.
  public init(_ path: String) throws(FileError) {
    let file = try SafetensorsFile(path)
    self.path = path
    self.file = file
    func text(_ key: String) throws(FileError) -> String {
      guard let value = file.metadata[key] else {
        throw FileError(.data, path, field: key, "is not in the metadata")
      }
      return value
    }
    guard file.metadata["format"] == Self.format else {
      throw FileError(.data, path, field: "format", "is not '\(Self.format)'")
    }
    model = try text("model")
    language = try text("language")
    identity = try text("identity")
    sentences = Int(try text("sentences")) ?? 0
    samples = Int(try text("samples")) ?? 0
    let json = try JSONValue(parsing: Array(try text("layers").utf8), path: path)
    layers = (json.object?.members ?? []).map { member in
      (member.name, (member.value.array ?? []).compactMap(\.string))
    }
    let named = layers.flatMap(\.tensors)
    guard !named.isEmpty, Set(named).count == named.count,
      named.sorted() == file.tensors.map(\.name).sorted()
    else { throw FileError(.data, path, field: "layers", "do not have each tensor once") }
  }

  /// The values of a layer, one tensor after the other.
  public func values(ofLayer layer: Int) throws(FileError) -> [Float] {
    var values: [Float] = []
    for name in layers[layer].tensors {
      var part = [Float](repeating: 0, count: file[name]?.count ?? 0)
      var span = part.mutableSpan
      try file.read(name, into: &span)
      values += part
    }
    return values
  }

  /// Whether both are of models of one shape.
  public func hasShape(of other: FisherFile) -> Bool {
    file.tensors.map { "\($0.name) \($0.shape)" }
      == other.file.tensors.map { "\($0.name) \($0.shape)" }
  }

  package static func write(
    _ values: [Float], _ layout: ParameterLayout, to path: String, _ facts: [String: String]
  ) throws(FileError) {
    var layers = JSONObject()
    for layer in ModelLayer.all(of: layout) {
      layers[layer.name] = .array(layer.entries.map { .init(layout.entries[$0].name) })
    }
    var metadata = facts
    metadata["format"] = format
    metadata["layers"] = JSONValue.object(layers).compactText
    try SafetensorsWriter.write(
      to: path, layout.entries.map { .init($0.name, $0.shape) }, metadata: metadata
    ) { (writer) throws(FileError) in
      for entry in layout.entries {
        try writer.append(
          entry.name, values.span.extracting(entry.offset..<entry.offset + entry.count))
      }
    }
  }
}
