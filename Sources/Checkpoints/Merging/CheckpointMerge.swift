public import Files
import Foundation

/// Several checkpoints of one shape made into one, number by number.
///
/// A part of a tensor at a time: memory does not grow with the models.
public struct CheckpointMerge {
  public enum Method: Sendable, Equatable {
    /// The mean of the models, each with its weight, over the sum of the weights (Wortsman et al. 2022, "Model soups").
    case average
    /// base + Σ weight · (model − base) (Ilharco et al. 2023, "Editing models with task arithmetic").
    case taskArithmetic(base: String)
  }

  public struct Part: Sendable, Equatable {
    public var directory: String
    public var weight: Double

    public init(directory: String, weight: Double) {
      self.directory = directory
      self.weight = weight
    }
  }

  private static let elementsPerPart = 1 << 18
  /// Files that are made anew, or tell of the training of one of the models.
  private static let leftOut: Set<String> = [
    CheckpointWeights.fileName, CheckpointWeights.indexName, "README.md", "trainer_state.json",
    "optimizer.safetensors",
  ]

  private let method: Method
  private let parts: [Part]
  private let weights: [CheckpointWeights]
  private let base: CheckpointWeights?
  /// The model whose heads are taken as they are; nil if heads are merged like all else.
  private let headSource: Int?

  /// Opens all models and compares them.
  ///
  /// - Parameters:
  ///   - parts: The models, one at least.
  ///   - headsFrom: The directory, one of `parts`, whose heads, labels and language heads the result has; nil if all
  ///     have the same, which are then merged too. A head that the base does not have is averaged.
  /// - Throws: ``FileError`` of code `data` with the tensor, label or file in which two of them differ.
  public init(
    _ method: Method, of parts: [Part], headsFrom: String? = nil
  ) throws(FileError) {
    precondition(!parts.isEmpty, "a merge of nothing")
    self.method = method
    self.parts = parts
    var weights: [CheckpointWeights] = []
    for part in parts { weights.append(try CheckpointWeights(directory: part.directory)) }
    self.weights = weights
    if case .taskArithmetic(let directory) = method {
      base = try CheckpointWeights(directory: directory)
    } else {
      base = nil
      guard parts.reduce(0, { $0 + $1.weight }).magnitude > 1e-9 else {
        throw FileError(.data, parts[0].directory, "weights that add up to 0 make no average")
      }
    }
    if let headsFrom {
      let place = URL(fileURLWithPath: headsFrom).resolvingSymlinksInPath().path
      headSource = parts.firstIndex {
        URL(fileURLWithPath: $0.directory).resolvingSymlinksInPath().path == place
      }
      guard headSource != nil else {
        throw FileError(.data, headsFrom, "is not among the models that are merged")
      }
    } else {
      headSource = nil
    }
    for index in parts.indices.dropFirst() { try compare(index) }
    try compareBase()
  }

  /// Whether a tensor is of the encoder, and not of a head.
  static func isBody(_ name: String) -> Bool {
    ["bert.", "roberta.", "embeddings.", "encoder."].contains { name.hasPrefix($0) }
      && !name.contains("pooler.")
  }

  private var source: Int { headSource ?? 0 }

  // MARK: Comparing

  private func compare(_ index: Int) throws(FileError) {
    let (first, other) = (parts[0].directory, parts[index].directory)
    for tensor in weights[0].tensors where Self.isBody(tensor.name) || headSource == nil {
      try check(tensor, in: weights[index], against: first)
    }
    for tensor in weights[index].tensors
    where weights[0][tensor.name] == nil && (Self.isBody(tensor.name) || headSource == nil) {
      throw FileError(
        .data, weights[index].path, field: tensor.name,
        "is not in \(first)" + headAdvice(tensor.name))
    }
    if headSource == nil, try labels(of: first) != labels(of: other) {
      throw FileError(
        .data, other + "/config.json", field: "id2label",
        "names other labels than \(first); say whose heads to keep")
    }
    try compareTokenizers(first, other)
  }

  private func compareTokenizers(_ first: String, _ other: String) throws(FileError) {
    for name in try FileTree(first, allowingLinks: true, skippingHidden: true).files
    where isTokenizer(name) {
      guard FileKind.of(other + "/" + name, followingLinks: true) == .file,
        try SHA256.digest(ofFile: first + "/" + name)
          == SHA256.digest(ofFile: other + "/" + name)
      else {
        throw FileError(
          .data, other, field: name, "is not that of \(first): they do not share a vocabulary")
      }
    }
  }

  private func compareBase() throws(FileError) {
    guard case .taskArithmetic(let directory) = method, let base else { return }
    for tensor in weights[0].tensors
    where Self.isBody(tensor.name) || (headSource == nil && base[tensor.name] != nil) {
      try check(tensor, in: base, against: parts[0].directory)
    }
    let hasOwnHead = weights[source].tensors.contains { base[$0.name] == nil }
    guard headSource != nil || !hasOwnHead || sum.magnitude > 1e-9 else {
      throw FileError(
        .data, directory, "has no heads, and weights that add up to 0 make none; say whose to keep")
    }
    try compareTokenizers(parts[0].directory, directory)
  }

  private var sum: Double { parts.reduce(0) { $0 + $1.weight } }

  private func check(
    _ tensor: TensorEntry, in other: CheckpointWeights, against first: String
  ) throws(FileError) {
    guard let found = other[tensor.name] else {
      throw FileError(
        .data, other.path, field: tensor.name,
        "is missing, though \(first) has it" + headAdvice(tensor.name))
    }
    guard found.shape == tensor.shape else {
      throw FileError(
        .data, other.path, field: tensor.name,
        "has shape \(found.shape), in \(first) it has \(tensor.shape)" + headAdvice(tensor.name))
    }
  }

  private func headAdvice(_ name: String) -> String {
    Self.isBody(name) ? "; models of one shape are needed" : "; say whose heads to keep"
  }

  /// The labels by their ids, and those of each head where the manifest has them.
  private func labels(of directory: String) throws(FileError) -> [JSONValue] {
    let config = try HuggingFaceConfig(directory: directory)
    var labels: [JSONValue] = [.array((config.labels ?? []).map { .string($0) })]
    if FileKind.of(directory + "/" + CheckpointManifest.fileName) == .file {
      let facts = try CheckpointManifest(directory: directory).facts
      labels += ["labels", "head_languages"].map { facts[$0] ?? .null }
    }
    return labels
  }

  private func isTokenizer(_ name: String) -> Bool {
    [
      "tokenizer.json", "vocab.txt", "sentencepiece.bpe.model", "spiece.model",
      "tokenizer.model",
    ].contains(name)
  }

  // MARK: Writing

  /// Writes the merged checkpoint: its weights in one file, and the other files of the model whose heads it has.
  ///
  /// - Throws: ``FileError`` of code `io`, or `data` where a number of a model is not finite.
  public func write(to path: String, programVersion: String) throws(FileError) {
    let tensors = try storedTensors()
    let declarations = tensors.map {
      SafetensorsWriter.Declaration($0.name, $0.shape, $0.elementType)
    }
    let needed = SafetensorsWriter.byteCount(declarations)
    try CheckpointDirectory.write(
      to: path, neededBytes: needed, programVersion: programVersion, facts: try facts()
    ) { (partial) throws(FileError) in
      let directory = parts[source].directory
      for name in try FileTree(directory, allowingLinks: true, skippingHidden: true).files {
        guard !name.hasSuffix(".safetensors"), !Self.leftOut.contains(name),
          !CheckpointManifest.ownFiles.contains(name), !name.contains("/")
        else { continue }
        try WholeFile.copy(directory + "/" + name, to: partial + "/" + name)
      }
      try SafetensorsWriter.write(to: partial + "/" + CheckpointWeights.fileName, declarations) {
        (writer) throws(FileError) in
        for tensor in tensors { try merge(tensor, &writer) }
      }
    }
  }

  /// The tensors of the merged model: those of the one whose heads it has, but for a decoder that is its word table, which is
  /// written once.
  private func storedTensors() throws(FileError) -> [TensorEntry] {
    let weights = weights[source]
    let table = weights.tensors.first { $0.name.hasSuffix("embeddings.word_embeddings.weight") }
    var tensors: [TensorEntry] = []
    for tensor in weights.tensors {
      if let table, tensor.name.hasSuffix("decoder.weight"), tensor.shape == table.shape,
        tensor.elementType == table.elementType,
        try hash(tensor, in: weights) == hash(table, in: weights)
      {
        continue
      }
      tensors.append(tensor)
    }
    return tensors
  }

  private func hash(
    _ tensor: TensorEntry, in weights: CheckpointWeights
  ) throws(FileError) -> String {
    try weights.withBytes(of: tensor.name) { bytes in
      var hash = SHA256()
      hash.update(bytes)
      return hash.finish()
    }
  }

  private func merge(
    _ tensor: TensorEntry, _ writer: inout SafetensorsWriter
  ) throws(FileError) {
    let isMerged =
      tensor.elementType.isFloatingPoint
      && (Self.isBody(tensor.name) || headSource == nil)
    guard isMerged else {
      try weights[source].withBytes(of: tensor.name) { (bytes) throws(FileError) in
        try writer.appendBytes(tensor.name, bytes)
      }
      return
    }
    let base = base.flatMap { $0[tensor.name]?.shape == tensor.shape ? $0 : nil }
    let limit: Float =
      switch tensor.elementType {
      case .f16: 65504
      case .bf16: Float(bitPattern: 0x7F7F_0000)
      default: .greatestFiniteMagnitude
      }
    var start = 0
    while start < tensor.count {
      let part = start..<min(start + Self.elementsPerPart, tensor.count)
      var total = [Double](repeating: 0, count: part.count)
      var values = [Float](repeating: 0, count: part.count)
      func add(_ weights: CheckpointWeights, _ factor: Double) throws(FileError) {
        var span = values.mutableSpan
        try weights.file(of: tensor.name).read(tensor.name, part: part, into: &span)
        for index in total.indices { total[index] += factor * Double(values[index]) }
      }
      if let base { try add(base, 1 - sum) }
      for (weights, model) in zip(weights, parts) {
        try add(weights, base == nil ? model.weight / sum : model.weight)
      }
      for index in total.indices {
        values[index] = Float(total[index])
        guard values[index].magnitude <= limit else {
          throw FileError(
            .data, weights[source].path, field: tensor.name,
            "element \(start + index) of the merged tensor is not finite")
        }
      }
      try writer.append(tensor.name, values.span)
      start = part.upperBound
    }
  }

  private func facts() throws(FileError) -> JSONValue {
    let directory = parts[source].directory
    var facts = JSONObject()
    if FileKind.of(directory + "/" + CheckpointManifest.fileName) == .file {
      let old = try CheckpointManifest(directory: directory).facts
      for key in ["labels", "head", "head_languages", "languages", "config", "kernels"] {
        if let value = old[key] { facts[key] = value }
      }
    }
    var merge = JSONObject()
    var directories = parts.map(\.directory)
    switch method {
    case .average: merge["method"] = "average"
    case .taskArithmetic(let base):
      merge["method"] = "task-arithmetic"
      merge["base"] = .string(SiblingName.name(ofDirectory: base))
      directories.append(base)
    }
    merge["models"] = .array(
      parts.map {
        [
          "name": .string(SiblingName.name(ofDirectory: $0.directory)),
          "weight": JSONValue($0.weight),
        ]
      })
    if headSource != nil { merge["heads"] = .string(SiblingName.name(ofDirectory: directory)) }
    facts["merge"] = .object(merge)
    try CheckpointLineage(of: directories).write(into: &facts)
    return .object(facts)
  }
}
