public import Files
import Foundation

/// Writes a safetensors file piece by piece, so that no tensor is held twice.
///
/// ```swift
/// try SafetensorsWriter.write(to: path, [.init("weight", [768, 768])]) { writer throws(FileError) in
///   try writer.append("weight", weight.span)
/// }
/// ```
public struct SafetensorsWriter: ~Copyable {
  /// A tensor that the file will hold.
  public struct Declaration: Sendable {
    public var name: String
    public var shape: [Int]
    public var elementType: ElementType

    public init(_ name: String, _ shape: [Int], _ elementType: ElementType = .f32) {
      self.name = name
      self.shape = shape
      self.elementType = elementType
    }
  }

  private let file: OpenFile
  private let header: [UInt8]
  private let entries: [TensorEntry]
  private let indices: [String: Int]
  /// The elements of each entry written so far.
  private var progress: [Int]

  /// Writes the file at `path`: whole and on the disk when this returns, or, after an error, not at all.
  ///
  /// The file is written beside `path` under a hidden name and renamed, over an older file if there is one.
  ///
  /// - Parameters:
  ///   - tensors: All tensors of the file, of distinct names. Data lie in the order of element size,
  ///     largest first, then in this order.
  ///   - metadata: Strings for the header. `transformers` loads a file whose `format` is `pt`.
  ///   - body: Appends every element of every tensor, in any order of tensors.
  /// - Throws: ``FileError`` of code `io`, or what `body` throws.
  public static func write(
    to path: String, _ tensors: [Declaration], metadata: [String: String] = ["format": "pt"],
    _ body: (inout SafetensorsWriter) throws(FileError) -> Void
  ) throws(FileError) {
    let partial = SiblingName.partial(of: path)
    do throws(FileError) {
      var writer = try SafetensorsWriter(partial, tensors, metadata)
      try writer.file.write(unsafe writer.header.span.bytes, at: 0)
      try body(&writer)
      writer.checkComplete()
      try writer.file.sync()
      guard unsafe rename(partial, path) == 0 else { throw .system("writing", path) }
    } catch {
      unsafe unlink(partial)
      throw error
    }
  }

  private init(
    _ path: String, _ tensors: [Declaration], _ metadata: [String: String]
  ) throws(FileError) {
    (header, entries) = Self.layOut(tensors, metadata)
    var indices: [String: Int] = [:]
    for (index, entry) in entries.enumerated() {
      let previous = indices.updateValue(index, forKey: entry.name)
      precondition(previous == nil, "two tensors are named \(entry.name)")
    }
    self.indices = indices
    progress = [Int](repeating: 0, count: entries.count)
    file = try OpenFile(creating: path)
  }

  /// The bytes that a file of `tensors` takes.
  public static func byteCount(
    _ tensors: [Declaration], metadata: [String: String] = ["format": "pt"]
  ) -> Int {
    let (header, entries) = layOut(tensors, metadata)
    return entries.last?.byteRange.upperBound ?? header.count
  }

  // MARK: Appending

  /// Writes the next elements of the float tensor `name`, stored as it was declared.
  ///
  /// F16 and BF16 round to nearest, ties to even; F64 is exact.
  ///
  /// - Precondition: `name` is declared with a floating-point type and has as many elements left.
  public mutating func append(_ name: String, _ values: Span<Float>) throws(FileError) {
    let (index, offset) = advance(name, values.count)
    switch entries[index].elementType {
    case .f32: try file.write(unsafe values.bytes, at: offset)
    case .f16: try convert(values, at: offset) { HalfPrecision.f16($0) }
    case .bf16: try convert(values, at: offset) { HalfPrecision.bf16($0) }
    case .f64: try convert(values, at: offset) { Double($0) }
    default: preconditionFailure("\(name) is \(entries[index].elementType.rawValue), not floats")
    }
  }

  /// Writes the next elements of the tensor `name`, declared as `Element`, bit by bit.
  ///
  /// - Precondition: `name` is declared as `Element` and has as many elements left.
  public mutating func appendExactly<Element: SafetensorsElement>(
    _ name: String, _ values: Span<Element>
  ) throws(FileError) {
    let (index, offset) = advance(name, values.count)
    let declared = entries[index].elementType
    precondition(
      declared == Element.elementType,
      "\(name) is \(declared.rawValue), not \(Element.elementType.rawValue)")
    try file.write(unsafe values.bytes, at: offset)
  }

  /// Writes the next bytes of the tensor `name` as they are.
  ///
  /// - Precondition: They are whole elements, and `name` has as many left.
  public mutating func appendBytes(_ name: String, _ bytes: RawSpan) throws(FileError) {
    let size = indices[name].map { entries[$0].elementType.size } ?? 1
    precondition(bytes.byteCount % size == 0, "\(bytes.byteCount) bytes for \(name)")
    let (_, offset) = advance(name, bytes.byteCount / size)
    try file.write(bytes, at: offset)
  }

  /// Counts `count` elements of `name` as written; returns its entry and where in the file they go.
  private mutating func advance(_ name: String, _ count: Int) -> (index: Int, offset: Int) {
    guard let index = indices[name] else { preconditionFailure("no tensor \(name) is declared") }
    let entry = entries[index]
    precondition(
      count <= entry.count - progress[index],
      "\(count) elements for \(name), which has \(entry.count - progress[index]) left")
    defer { progress[index] += count }
    return (index, entry.byteRange.lowerBound + progress[index] * entry.elementType.size)
  }

  private func convert<Stored: BitwiseCopyable>(
    _ values: Span<Float>, at offset: Int, _ store: (Float) -> Stored
  ) throws(FileError) {
    let chunk = 1 << 18
    var start = 0
    while start < values.count {
      let end = min(start + chunk, values.count)
      let stored = unsafe [Stored](unsafeUninitializedCapacity: end - start) { buffer, count in
        for index in start..<end {
          unsafe buffer.initializeElement(at: index - start, to: store(values[index]))
        }
        count = end - start
      }
      try file.write(unsafe stored.span.bytes, at: offset + start * MemoryLayout<Stored>.stride)
      start = end
    }
  }

  private func checkComplete() {
    for (entry, written) in zip(entries, progress) {
      precondition(
        written == entry.count, "\(entry.name) has \(written) of its \(entry.count) elements")
    }
  }

  // MARK: Header

  /// The length, the header padded with spaces to 8 bytes, and where each tensor goes.
  private static func layOut(
    _ tensors: [Declaration], _ metadata: [String: String]
  ) -> (header: [UInt8], entries: [TensorEntry]) {
    var entries: [TensorEntry] = []
    var end = 0
    for size in [8, 4, 2, 1] {
      for tensor in tensors where tensor.elementType.size == size {
        guard tensor.shape.allSatisfy({ $0 >= 0 }), tensor.name != "__metadata__",
          tensor.shape.count <= SafetensorsHeader.rankLimit,
          let bytes = SafetensorsHeader.byteCount(tensor.shape, tensor.elementType)
        else { preconditionFailure("a tensor \(tensor.name) of shape \(tensor.shape)") }
        entries.append(
          TensorEntry(
            name: tensor.name, elementType: tensor.elementType, shape: tensor.shape,
            count: bytes / size, byteRange: end..<end + bytes))
        end += bytes
      }
    }
    var object = JSONObject()
    var strings = JSONObject()
    for (key, value) in metadata { strings.append(unique: key, .string(value)) }
    object.append(unique: "__metadata__", .object(strings.sorted()))
    for entry in entries {
      let range = entry.byteRange
      object.append(
        unique: entry.name,
        [
          "dtype": .string(entry.elementType.rawValue),
          "shape": .array(entry.shape.map { JSONValue($0) }),
          "data_offsets": [JSONValue(range.lowerBound), JSONValue(range.upperBound)],
        ])
    }
    var text = Array(JSONValue.object(object).compactText.utf8)
    while text.count % 8 != 0 { text.append(UInt8(ascii: " ")) }
    let length = UInt64(text.count)
    let prefix = (0..<8).map { UInt8(truncatingIfNeeded: length >> (8 * $0)) }
    let header = prefix + text
    for index in entries.indices {
      let range = entries[index].byteRange
      entries[index].byteRange = range.lowerBound + header.count..<range.upperBound + header.count
    }
    return (header, entries)
  }
}
