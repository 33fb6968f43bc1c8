public import Files
import Foundation

/// The weights of a Hugging Face directory as one map from names to tensors.
///
/// They are `model.safetensors`, or the shards that `model.safetensors.index.json` names.
public struct CheckpointWeights: Sendable {
  /// The path of `model.safetensors` or of the index.
  public let path: String
  /// The files, in the order of their names.
  public let files: [SafetensorsFile]
  /// The tensors in the order of the files and of their data.
  public let tensors: [TensorEntry]
  private let places: [String: Place]

  private struct Place {
    var file: Int
    var tensor: Int
  }

  package static let fileName = "model.safetensors"
  package static let indexName = "model.safetensors.index.json"
  private static let indexByteLimit = 32 << 20

  /// Opens and checks the weights in `directory`.
  ///
  /// - Throws: ``FileError``: `missing` when there are none or a shard is absent, `data` with
  ///   the tensor whose entry is wrong.
  public init(directory: String) throws(FileError) {
    let single = directory + "/" + Self.fileName
    let index = directory + "/" + Self.indexName
    let manager = FileManager.default
    if manager.fileExists(atPath: single) {
      let file = try SafetensorsFile(single)
      self.init(single, [file]) { _, _ in true }
    } else if manager.fileExists(atPath: index) {
      try self.init(directory: directory, index: index)
    } else {
      throw FileError(
        .missing, directory, "has neither \(Self.fileName) nor \(Self.indexName)")
    }
  }

  private init(directory: String, index: String) throws(FileError) {
    let root = try JSONValue(
      parsing: WholeFile.read(index, limit: Self.indexByteLimit), path: index)
    guard let map = root["weight_map"]?.object else {
      throw FileError(.data, index, field: "weight_map", "is missing or not an object")
    }
    var shardOf: [String: String] = [:]
    for member in map.members {
      guard let shard = member.value.string else {
        throw FileError(.data, index, field: member.name, "its file is not a string")
      }
      shardOf[member.name] = shard
    }
    var files: [SafetensorsFile] = []
    var positions: [String: Int] = [:]
    for shard in Set(shardOf.values).sorted() {
      let path = try Self.shardPath(shard, in: directory, index: index)
      positions[shard] = files.count
      files.append(try SafetensorsFile(path))
    }
    for member in map.members {
      guard let shard = shardOf[member.name], let position = positions[shard] else { continue }
      guard files[position][member.name] != nil else {
        throw FileError(
          .data, index, field: member.name, "is not in \(shard), where the index puts it")
      }
    }
    self.init(index, files) { name, file in shardOf[name].flatMap { positions[$0] } == file }
  }

  private init(_ path: String, _ files: [SafetensorsFile], where holds: (String, Int) -> Bool) {
    var tensors: [TensorEntry] = []
    var places: [String: Place] = [:]
    for (index, file) in files.enumerated() {
      for tensor in file.tensors where holds(tensor.name, index) {
        places[tensor.name] = Place(file: index, tensor: tensors.count)
        tensors.append(tensor)
      }
    }
    self.path = path
    self.files = files
    self.tensors = tensors
    self.places = places
  }

  /// The path of a shard, which must be a plain name of a file within the directory.
  private static func shardPath(
    _ name: String, in directory: String, index: String
  ) throws(FileError) -> String {
    let shown = printable(name, limit: 80)
    guard PlainPath.isName(name)
    else {
      throw FileError(
        .data, index, field: "weight_map", "‘\(shown)’ is not the plain name of a file")
    }
    let path = directory + "/" + name
    guard FileManager.default.fileExists(atPath: path) else {
      throw FileError(.missing, path, "the index \(indexName) needs this shard; fetch it")
    }
    guard try PlainPath.isWithin(path, directory) else {
      throw FileError(
        .data, index, field: "weight_map",
        "‘\(shown)’ is a link that leaves the directory; copy the file in its place")
    }
    return path
  }

  // MARK: Writing

  /// Writes weights as `transformers` does: `model.safetensors`, or `model-00001-of-0000N.safetensors` with an index.
  ///
  /// - Parameters:
  ///   - tensors: All tensors, in the order in which they fill the files.
  ///   - shardBytes: The bytes of the tensors of a file at most, where it holds more than one; nil for one file.
  ///   - append: Appends all elements of the tensor of an index.
  public static func write(
    _ tensors: [SafetensorsWriter.Declaration], into directory: String, shardBytes: Int? = nil,
    _ append: (Int, inout SafetensorsWriter) throws(FileError) -> Void
  ) throws(FileError) {
    var shards: [[Int]] = [[]]
    var (filled, total) = (0, 0)
    for (index, tensor) in tensors.enumerated() {
      let bytes = tensor.shape.reduce(tensor.elementType.size, *)
      if let shardBytes, filled + bytes > shardBytes, shards[shards.count - 1].isEmpty == false {
        shards.append([])
        filled = 0
      }
      shards[shards.count - 1].append(index)
      filled += bytes
      total += bytes
    }
    func number(_ value: Int) -> String {
      String(repeating: "0", count: max(0, 5 - String(value).count)) + String(value)
    }
    var map = JSONObject()
    for (place, shard) in shards.enumerated() {
      let name =
        shards.count == 1
        ? fileName : "model-\(number(place + 1))-of-\(number(shards.count)).safetensors"
      try SafetensorsWriter.write(to: directory + "/" + name, shard.map { tensors[$0] }) {
        (writer) throws(FileError) in
        for index in shard { try append(index, &writer) }
      }
      for index in shard { map.append(unique: tensors[index].name, .string(name)) }
    }
    guard shards.count > 1 else { return }
    let index: JSONValue = [
      "metadata": ["total_size": JSONValue(total)], "weight_map": .object(map.sorted()),
    ]
    try WholeFile.write(index.text, to: directory + "/" + indexName)
  }

  // MARK: Reading

  /// The tensor `name`; nil when the checkpoint has none.
  public subscript(name: String) -> TensorEntry? { places[name].map { tensors[$0.tensor] } }

  /// The file that holds the tensor `name`.
  ///
  /// - Throws: ``FileError`` of code `data` when there is no such tensor.
  public func file(of name: String) throws(FileError) -> SafetensorsFile {
    guard let place = places[name] else {
      throw FileError(.data, path, field: name, "no such tensor in the checkpoint")
    }
    return files[place.file]
  }

  /// Reads the tensor `name` as `Float`; see ``SafetensorsFile/read(_:shape:into:)``.
  public func read(
    _ name: String, shape: [Int]? = nil, into destination: inout MutableSpan<Float>
  ) throws(FileError) {
    try file(of: name).read(name, shape: shape, into: &destination)
  }

  /// Gives the bytes of the tensor `name`; see ``SafetensorsFile/withBytes(of:_:)``.
  public func withBytes<Result>(
    of name: String, _ body: (RawSpan) throws(FileError) -> Result
  ) throws(FileError) -> Result {
    try file(of: name).withBytes(of: name, body)
  }
}
