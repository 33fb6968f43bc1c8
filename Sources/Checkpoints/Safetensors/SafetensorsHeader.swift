import Files

/// A tensor of a safetensors file: what it is, and where its bytes are.
public struct TensorEntry: Sendable, Equatable {
  public var name: String
  public var elementType: ElementType
  /// The lengths of the dimensions, outermost first; empty for a single number.
  public var shape: [Int]
  /// The number of elements: the product of `shape`.
  public var count: Int
  /// The bytes of the file that hold the elements, row-major.
  public var byteRange: Range<Int>
}

/// The checked header of a safetensors file.
///
/// A file is 8 bytes of header length, the header (a JSON object of tensors by name, each with `dtype`,
/// `shape` and `data_offsets`), and data that the tensors cover without overlap or gap. Reading takes
/// memory proportional to the header's bytes, at most some twenty times as much.
struct SafetensorsHeader {
  /// The tensors in the order of their data.
  var tensors: [TensorEntry] = []
  var metadata: [String: String] = [:]

  static let byteLimit = 100_000_000
  static let rankLimit = 32

  /// The length of the header from the first 8 bytes of a file, checked against the file's length.
  static func length(
    from prefix: [UInt8], fileLength: Int, path: String
  ) throws(FileError) -> Int {
    let field = "header length"
    guard fileLength >= 8, prefix.count == 8 else {
      throw FileError(
        .data, path, field: field,
        "the file has \(fileLength) bytes, fewer than the 8 of the header length; fetch it again")
    }
    let length = prefix.reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
    guard length <= UInt64(byteLimit) else {
      throw FileError(
        .data, path, field: field,
        "\(length) bytes is over the limit of \(byteLimit); this is no safetensors file")
    }
    guard length <= UInt64(fileLength - 8) else {
      throw FileError(
        .data, path, field: field,
        "\(length) bytes, but only \(fileLength - 8) follow; the file is cut short, fetch it again")
    }
    return Int(length)
  }

  /// Reads and checks the header of an open file of `fileLength` bytes. Cost: the header.
  init(of file: borrowing OpenFile, fileLength: Int) throws(FileError) {
    let length = try Self.length(
      from: file.read(8, at: 0), fileLength: fileLength, path: file.path)
    try self.init(
      parsing: file.read(length, at: 8), dataLength: fileLength - 8 - length, path: file.path)
  }

  /// Parses and checks the header `bytes` of a file with `dataLength` bytes of data behind it.
  init(parsing bytes: [UInt8], dataLength: Int, path: String) throws(FileError) {
    do throws(JSONError) {
      var scanner = JSONScanner(bytes)
      guard bytes.first == UInt8(ascii: "{") else {
        throw JSONError(field: "header", message: "does not begin with ‘{’")
      }
      var list: [TensorEntry] = []
      var strings: [String: String] = [:]
      try scanner.members { (scanner, name) throws(JSONError) in
        do throws(JSONError) {
          if name == "__metadata__" {
            try Self.readMetadata(&scanner, into: &strings)
          } else {
            list.append(try Self.readEntry(&scanner, name))
          }
        } catch {
          var error = error
          error.field = name
          throw error
        }
      }
      try scanner.finish()
      list.sort {
        ($0.byteRange.lowerBound, $0.byteRange.upperBound) < (
          $1.byteRange.lowerBound, $1.byteRange.upperBound
        )
      }
      try Self.checkCoverage(list, dataLength: dataLength)
      let dataStart = 8 + bytes.count
      for index in list.indices {
        let range = list[index].byteRange
        list[index].byteRange = range.lowerBound + dataStart..<range.upperBound + dataStart
      }
      tensors = list
      metadata = strings
    } catch {
      throw error.inFile(path, field: "header")
    }
  }

  private static func readMetadata(
    _ scanner: inout JSONScanner, into metadata: inout [String: String]
  ) throws(JSONError) {
    try scanner.members { (scanner, name) throws(JSONError) in
      guard scanner.peek() == UInt8(ascii: "\"") else {
        let key = printable(name, limit: 80)
        throw JSONError(field: "__metadata__", message: "the value of ‘\(key)’ is not a string")
      }
      metadata[name] = try scanner.string()
    }
  }

  /// Reads one tensor; its byte range counts from the start of the data.
  private static func readEntry(
    _ scanner: inout JSONScanner, _ name: String
  ) throws(JSONError) -> TensorEntry {
    var type: ElementType?
    var shape: [Int]?
    var offsets: [Int]?
    try scanner.members { (scanner, key) throws(JSONError) in
      switch key {
      case "dtype":
        let text = try scanner.string()
        type = ElementType(rawValue: text)
        if type == nil {
          let known = ElementType.allCases.map(\.rawValue).joined(separator: ", ")
          let text = printable(text, limit: 32)
          throw JSONError(field: name, message: "dtype ‘\(text)’ is none of \(known)")
        }
      case "shape": shape = try counts(&scanner, limit: rankLimit, key)
      case "data_offsets": offsets = try counts(&scanner, limit: 2, key)
      default:
        let key = printable(key, limit: 32)
        throw JSONError(
          field: name, message: "‘\(key)’ is none of dtype, shape and data_offsets")
      }
    }
    guard let type else { throw JSONError(field: name, message: "dtype is missing") }
    guard let shape else { throw JSONError(field: name, message: "shape is missing") }
    guard let offsets else { throw JSONError(field: name, message: "data_offsets is missing") }
    guard offsets.count == 2, offsets[0] <= offsets[1] else {
      throw JSONError(
        field: name, message: "data_offsets \(offsets) are not a begin and an end behind it")
    }
    guard let bytes = byteCount(shape, type) else {
      throw JSONError(field: name, message: "shape \(shape) of \(type.rawValue) overflows 63 bits")
    }
    guard offsets[1] - offsets[0] == bytes else {
      throw JSONError(
        field: name,
        message: "data_offsets \(offsets) hold \(offsets[1] - offsets[0]) bytes, but shape "
          + "\(shape) of \(type.rawValue) takes \(bytes)")
    }
    return TensorEntry(
      name: name, elementType: type, shape: shape, count: bytes / type.size,
      byteRange: offsets[0]..<offsets[1])
  }

  private static func counts(
    _ scanner: inout JSONScanner, limit: Int, _ key: String
  ) throws(JSONError) -> [Int] {
    var counts: [Int] = []
    do throws(JSONError) {
      try scanner.elements { (scanner) throws(JSONError) in
        guard counts.count < limit else { throw scanner.wrong("more than \(limit) numbers") }
        counts.append(try scanner.count())
      }
    } catch {
      var error = error
      error.message = "\(key): \(error.message)"
      throw error
    }
    return counts
  }

  /// The bytes of a tensor; nil when they, or any product on the way, do not fit in 63 bits.
  static func byteCount(_ shape: [Int], _ type: ElementType) -> Int? {
    var product = type.size
    for length in shape {
      let (next, overflow) = product.multipliedReportingOverflow(by: length)
      if overflow { return nil }
      product = next
    }
    return product
  }

  private static func checkCoverage(
    _ tensors: [TensorEntry], dataLength: Int
  ) throws(JSONError) {
    var end = 0
    for tensor in tensors {
      let range = tensor.byteRange
      guard range.upperBound <= dataLength else {
        throw JSONError(
          field: tensor.name,
          message: "data_offsets end at byte \(range.upperBound) of \(dataLength) bytes of data; "
            + "the file is cut short or its header lies")
      }
      guard range.lowerBound == end else {
        let fault = range.lowerBound < end ? "overlap the tensor before" : "leave a gap before them"
        throw JSONError(
          field: tensor.name,
          message: "data_offsets begin at byte \(range.lowerBound), not at \(end): they \(fault)")
      }
      end = range.upperBound
    }
    guard end == dataLength else {
      throw JSONError(
        field: "header", message: "\(dataLength - end) bytes after the last tensor belong to none")
    }
  }
}
