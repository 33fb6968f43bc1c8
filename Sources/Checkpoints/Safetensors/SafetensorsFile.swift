public import Files
import Foundation

/// A safetensors file, mapped read-only: named tensors whose bytes are read from where they lie.
///
/// The file stays open and must not be shortened meanwhile: touching a page that is no longer there
/// ends the process. ``confirmUnchanged()`` tells whether it is still the same file.
@safe public final class SafetensorsFile: Sendable {
  public let path: String
  /// The tensors in the order of their data.
  public let tensors: [TensorEntry]
  /// The header's `__metadata__`.
  public let metadata: [String: String]
  private let indices: [String: Int]
  private let file: OpenFile
  private let identity: FileIdentity
  private nonisolated(unsafe) let map: UnsafeRawBufferPointer

  /// Opens, checks the whole header, and maps. Cost: the header; data are read when used.
  ///
  /// - Throws: ``FileError`` with the tensor or header field that is wrong.
  public init(_ path: String) throws(FileError) {
    let file = try OpenFile(reading: path)
    let information = try file.information()
    let length = Int(information.st_size)
    let header = try SafetensorsHeader(of: file, fileLength: length)

    let address = unsafe mmap(nil, length, PROT_READ, MAP_PRIVATE, file.descriptor, 0)
    guard let address = unsafe address, unsafe address != MAP_FAILED else {
      throw .system("mapping", path)
    }
    unsafe map = UnsafeRawBufferPointer(start: address, count: length)
    var indices: [String: Int] = [:]
    for (index, tensor) in header.tensors.enumerated() { indices[tensor.name] = index }
    self.indices = indices
    self.path = path
    self.file = file
    tensors = header.tensors
    metadata = header.metadata
    identity = FileIdentity(information)
  }

  deinit {
    unsafe munmap(UnsafeMutableRawPointer(mutating: map.baseAddress), map.count)
  }

  /// The tensor `name`; nil when the file has none.
  public subscript(name: String) -> TensorEntry? { indices[name].map { tensors[$0] } }

  /// Checks by inode, size and time that `path` still names the file that was mapped, unmodified.
  public func confirmUnchanged() throws(FileError) {
    let current = try OpenFile(reading: path)
    let found = FileIdentity(try current.information())
    guard found == identity, FileIdentity(try file.information()) == identity else {
      throw FileError(.data, path, "was changed or replaced while it was in use")
    }
  }

  /// Checks by size and time that nobody has written to the file since it was opened, whatever its path
  /// names by now.
  public func confirmUnwritten() throws(FileError) {
    guard FileIdentity(try file.information()) == identity else {
      throw FileError(.data, path, "was written to while it was in use")
    }
  }

  /// Where the tensor `name` lies, for mapping: a descriptor that is open while this object lives, and the
  /// byte. Nil if it is not stored as F32.
  public func place(of name: String) -> (descriptor: Int32, offset: Int)? {
    guard let tensor = self[name], tensor.elementType == .f32 else { return nil }
    return (file.descriptor, tensor.byteRange.lowerBound)
  }

  // MARK: Reading

  /// Gives the bytes of the tensor `name`, row-major and little-endian, without copying.
  public func withBytes<Result>(
    of name: String, _ body: (RawSpan) throws(FileError) -> Result
  ) throws(FileError) -> Result {
    let tensor = try entry(name)
    let bytes = unsafe UnsafeRawBufferPointer(rebasing: map[tensor.byteRange])
    return try body(unsafe RawSpan(_unsafeBytes: bytes))
  }

  /// The bytes of the tensor `name` where they are mapped: valid, read-only, while this object lives.
  @unsafe public func mappedBytes(of name: String) throws(FileError) -> UnsafeRawBufferPointer {
    let tensor = try entry(name)
    return unsafe UnsafeRawBufferPointer(rebasing: map[tensor.byteRange])
  }

  /// Lets the kernel fetch the pages of the tensor `name`, which will all be read. Those in the page cache cost some
  /// microseconds a megabyte here, where each would be a fault of its own when it is read.
  public func prepareToRead(_ name: String) throws(FileError) {
    let tensor = try entry(name)
    let first = tensor.byteRange.lowerBound / 4096 * 4096
    let address = unsafe UnsafeMutableRawPointer(mutating: map.baseAddress).map {
      unsafe $0 + first
    }
    // MADV_POPULATE_READ, or MADV_WILLNEED on kernels before Linux 5.14: hints, both of them.
    if unsafe madvise(address, tensor.byteRange.upperBound - first, 22) != 0 {
      _ = unsafe madvise(address, tensor.byteRange.upperBound - first, 3)
    }
  }

  /// Reads the tensor `name` of any floating-point type as `Float`.
  ///
  /// F32, F16 and BF16 are exact; F64 is rounded to nearest, ties to even.
  ///
  /// - Parameters:
  ///   - shape: The shape that the tensor must have; nil for any of as many elements.
  ///   - destination: As many elements as the tensor has.
  /// - Throws: ``FileError`` of code `data` when the tensor is absent or not as wanted.
  public func read(
    _ name: String, shape: [Int]? = nil, into destination: inout MutableSpan<Float>
  ) throws(FileError) {
    let tensor = try entry(name, shape: shape, count: destination.count)
    try read(tensor, 0..<tensor.count, into: &destination)
  }

  /// Reads the elements `part` of the tensor `name`, counted row-major, as `Float`.
  ///
  /// - Precondition: The tensor has them, and `destination` takes as many.
  public func read(
    _ name: String, part: Range<Int>, into destination: inout MutableSpan<Float>
  ) throws(FileError) {
    let tensor = try entry(name)
    precondition(
      part.lowerBound >= 0 && part.upperBound <= tensor.count && part.count == destination.count,
      "elements \(part) of \(name), which has \(tensor.count)")
    try read(tensor, part, into: &destination)
  }

  private func read(
    _ tensor: TensorEntry, _ part: Range<Int>, into destination: inout MutableSpan<Float>
  ) throws(FileError) {
    guard tensor.elementType.isFloatingPoint else {
      throw FileError(
        .data, path, field: tensor.name,
        "holds \(tensor.elementType.rawValue), where a floating-point type is needed")
    }
    let start = tensor.byteRange.lowerBound + part.lowerBound * tensor.elementType.size
    let bytes = unsafe UnsafeRawBufferPointer(
      rebasing: map[start..<start + part.count * tensor.elementType.size])
    unsafe destination.withUnsafeMutableBufferPointer { floats in
      switch tensor.elementType {
      case .f16:
        for index in floats.indices {
          let bits = unsafe bytes.loadUnaligned(fromByteOffset: index * 2, as: UInt16.self)
          unsafe floats[index] = HalfPrecision.float(f16: bits)
        }
      case .bf16:
        for index in floats.indices {
          let bits = unsafe bytes.loadUnaligned(fromByteOffset: index * 2, as: UInt16.self)
          unsafe floats[index] = HalfPrecision.float(bf16: bits)
        }
      case .f64:
        for index in floats.indices {
          let value = unsafe bytes.loadUnaligned(fromByteOffset: index * 8, as: Double.self)
          unsafe floats[index] = Float(value)
        }
      default: unsafe UnsafeMutableRawBufferPointer(floats).copyMemory(from: bytes)
      }
    }
  }

  /// Reads the tensor `name`, whose elements must be stored as `Element`, bit by bit.
  ///
  /// - Throws: ``FileError`` of code `data` when the tensor is absent or not as wanted.
  public func readExactly<Element: SafetensorsElement>(
    _ name: String, shape: [Int]? = nil, into destination: inout MutableSpan<Element>
  ) throws(FileError) {
    let tensor = try entry(name, shape: shape, count: destination.count)
    guard tensor.elementType == Element.elementType else {
      throw FileError(
        .data, path, field: name,
        "holds \(tensor.elementType.rawValue), where \(Element.elementType.rawValue) is needed")
    }
    let bytes = unsafe UnsafeRawBufferPointer(rebasing: map[tensor.byteRange])
    unsafe destination.withUnsafeMutableBytes { unsafe $0.copyMemory(from: bytes) }
  }

  private func entry(_ name: String) throws(FileError) -> TensorEntry {
    guard let tensor = self[name] else {
      throw FileError(.data, path, field: name, "no such tensor in the file")
    }
    return tensor
  }

  private func entry(
    _ name: String, shape: [Int]?, count: Int
  ) throws(FileError) -> TensorEntry {
    let tensor = try entry(name)
    if let shape, tensor.shape != shape {
      throw FileError(
        .data, path, field: name, "has shape \(tensor.shape), where \(shape) is needed")
    }
    guard tensor.count == count else {
      throw FileError(
        .data, path, field: name,
        "has shape \(tensor.shape), \(tensor.count) elements, where \(count) are needed")
    }
    return tensor
  }
}

/// What tells a file from another, and from itself after a change.
private struct FileIdentity: Equatable, Sendable {
  var device: UInt64
  var inode: UInt64
  var size: Int
  var seconds: Int
  var nanoseconds: Int

  init(_ information: stat) {
    device = UInt64(information.st_dev)
    inode = UInt64(information.st_ino)
    size = Int(information.st_size)
    seconds = information.st_mtim.tv_sec
    nanoseconds = information.st_mtim.tv_nsec
  }
}
