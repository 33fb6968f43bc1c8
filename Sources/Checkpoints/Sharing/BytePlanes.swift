package import Files

/// How the elements of a piece lie in its bytes.
package struct ElementKind: Sendable, Equatable {
  /// The bytes of an element: 1, 2, 4 or 8.
  package var width: Int
  /// Whether they are a sign and a magnitude, as those of floating-point numbers are.
  package var isFloat: Bool

  static let bytes = ElementKind(width: 1, isFloat: false)

  package init(width: Int, isFloat: Bool) {
    self.width = width
    self.isFloat = isFloat
  }

  package init(_ type: ElementType) {
    self.init(width: type.size, isFloat: type.isFloatingPoint && type.size > 1)
  }
}

/// Lossless compression of a block of numbers, beside another block if there is one like it.
///
/// Of each number the difference to its neighbour in the other block is taken, as integers in the order of the numbers
/// themselves, so that a small change is a small integer whatever its sign and exponent. The first bytes of all
/// differences, then the second ones, and so on, are compressed with Zstandard; those of a fine-tuned model's changes
/// are mostly zero from the third on.
package enum BytePlanes {
  private enum Mode: UInt8 {
    case zero, stored, compressed
  }

  /// - Parameters:
  ///   - block: The numbers, as bytes. What is left over behind the last whole number is kept as it is.
  ///   - base: As many bytes, or none.
  /// - Returns: Nothing if the blocks are equal.
  package static func encode(_ block: [UInt8], over base: [UInt8]?, _ kind: ElementKind) -> [UInt8]
  {
    precondition(base == nil || base?.count == block.count, "blocks of two lengths")
    if let base, base == block { return [] }
    let count = block.count / kind.width
    var encoded: [UInt8] = []
    for plane in planes(of: block, over: base, kind, count) { pack(plane, into: &encoded) }
    pack(Array(block[(count * kind.width)...]), into: &encoded)
    return encoded
  }

  /// Undoes ``encode(_:over:_:)``.
  ///
  /// - Throws: ``FileError`` of code `data` where `encoded` does not stand for `count` bytes.
  package static func decode(
    _ encoded: ArraySlice<UInt8>, count byteCount: Int, over base: [UInt8]?, _ kind: ElementKind,
    path: String
  ) throws(FileError) -> [UInt8] {
    if encoded.isEmpty {
      guard let base else {
        throw FileError(.data, path, "a block is empty that has no base")
      }
      return base
    }
    let count = byteCount / kind.width
    var rest = encoded
    var planes: [[UInt8]] = []
    for _ in 0..<kind.width { planes.append(try unpack(&rest, count, path)) }
    let tail = try unpack(&rest, byteCount - count * kind.width, path)
    guard rest.isEmpty else { throw FileError(.data, path, "a block has bytes left over") }
    var block = [UInt8](repeating: 0, count: byteCount)
    switch kind.width {
    case 1 where base == nil: block = planes[0]
    case 1: join(planes, over: base, kind.isFloat, UInt8.self, into: &block)
    case 2: join(planes, over: base, kind.isFloat, UInt16.self, into: &block)
    case 4: join(planes, over: base, kind.isFloat, UInt32.self, into: &block)
    default: join(planes, over: base, kind.isFloat, UInt64.self, into: &block)
    }
    block.replaceSubrange((count * kind.width)..., with: tail)
    return block
  }

  // MARK: Differences

  private static func planes(
    of block: [UInt8], over base: [UInt8]?, _ kind: ElementKind, _ count: Int
  ) -> [[UInt8]] {
    switch kind.width {
    case 1: base == nil ? [block] : cut(block, base, kind.isFloat, count, UInt8.self)
    case 2: cut(block, base, kind.isFloat, count, UInt16.self)
    case 4: cut(block, base, kind.isFloat, count, UInt32.self)
    default: cut(block, base, kind.isFloat, count, UInt64.self)
    }
  }

  /// The bytes of each place of all differences.
  private static func cut<Word: FixedWidthInteger & UnsignedInteger>(
    _ block: [UInt8], _ base: [UInt8]?, _ isFloat: Bool, _ count: Int, _: Word.Type
  ) -> [[UInt8]] {
    let width = MemoryLayout<Word>.size
    var joined = [UInt8](repeating: 0, count: count * width)
    unsafe joined.withUnsafeMutableBufferPointer { planes in
      unsafe block.withUnsafeBytes { block in
        unsafe (base ?? []).withUnsafeBytes { base in
          for index in 0..<count {
            var word = unsafe ordered(
              block.loadUnaligned(fromByteOffset: index * width, as: Word.self), isFloat)
            if base.count > 0 {
              word &-= unsafe ordered(
                base.loadUnaligned(fromByteOffset: index * width, as: Word.self), isFloat)
            }
            word = folded(word)
            for place in 0..<width {
              unsafe planes[place * count + index] = UInt8(truncatingIfNeeded: word >> (8 * place))
            }
          }
        }
      }
    }
    return (0..<width).map { Array(joined[($0 * count)..<(($0 + 1) * count)]) }
  }

  private static func join<Word: FixedWidthInteger & UnsignedInteger>(
    _ planes: [[UInt8]], over base: [UInt8]?, _ isFloat: Bool, _: Word.Type,
    into block: inout [UInt8]
  ) {
    let width = MemoryLayout<Word>.size
    let count = planes[0].count
    let joined = Array(planes.joined())
    unsafe block.withUnsafeMutableBytes { block in
      unsafe joined.withUnsafeBufferPointer { planes in
        unsafe (base ?? []).withUnsafeBytes { base in
          for index in 0..<count {
            var word: Word = 0
            for place in 0..<width {
              word |= unsafe Word(truncatingIfNeeded: planes[place * count + index]) << (8 * place)
            }
            word = unfolded(word)
            if base.count > 0 {
              word &+= unsafe ordered(
                base.loadUnaligned(fromByteOffset: index * width, as: Word.self), isFloat)
            }
            unsafe block.storeBytes(
              of: disordered(word, isFloat), toByteOffset: index * width, as: Word.self)
          }
        }
      }
    }
  }

  /// The bits of a number as an integer that grows with the number.
  @inline(__always)
  private static func ordered<Word: FixedWidthInteger & UnsignedInteger>(
    _ bits: Word, _ isFloat: Bool
  ) -> Word {
    let sign: Word = 1 << (Word.bitWidth - 1)
    if !isFloat { return bits }
    return bits & sign == 0 ? bits | sign : ~bits
  }

  @inline(__always)
  private static func disordered<Word: FixedWidthInteger & UnsignedInteger>(
    _ word: Word, _ isFloat: Bool
  ) -> Word {
    let sign: Word = 1 << (Word.bitWidth - 1)
    if !isFloat { return word }
    return word & sign == 0 ? ~word : word & ~sign
  }

  /// Small differences of either sign as small numbers: 0, −1, 1, −2, …
  @inline(__always)
  private static func folded<Word: FixedWidthInteger & UnsignedInteger>(_ word: Word) -> Word {
    (word << 1) ^ (0 &- (word >> (Word.bitWidth - 1)))
  }

  @inline(__always)
  private static func unfolded<Word: FixedWidthInteger & UnsignedInteger>(_ word: Word) -> Word {
    (word >> 1) ^ (0 &- (word & 1))
  }

  // MARK: Planes

  /// Appends a plane: how it is kept, in how many bytes, and these.
  private static func pack(_ plane: [UInt8], into encoded: inout [UInt8]) {
    if plane.allSatisfy({ $0 == 0 }) {
      append(.zero, [], into: &encoded)
      return
    }
    let compressed = Zstandard.compress(plane, level: 3)
    if compressed.count < plane.count {
      append(.compressed, compressed[...], into: &encoded)
    } else {
      append(.stored, plane[...], into: &encoded)
    }
  }

  private static func append(_ mode: Mode, _ bytes: ArraySlice<UInt8>, into encoded: inout [UInt8])
  {
    encoded.append(mode.rawValue)
    for place in 0..<4 { encoded.append(UInt8(truncatingIfNeeded: bytes.count >> (8 * place))) }
    encoded.append(contentsOf: bytes)
  }

  /// Takes a plane of `count` bytes off `rest`.
  private static func unpack(
    _ rest: inout ArraySlice<UInt8>, _ count: Int, _ path: String
  ) throws(FileError) -> [UInt8] {
    guard rest.count >= 5, let mode = Mode(rawValue: rest.removeFirst()) else {
      throw FileError(.data, path, "a block is cut short or of an unknown form")
    }
    let size = rest.prefix(4).reversed().reduce(0) { $0 << 8 | Int($1) }
    rest = rest.dropFirst(4)
    guard size <= rest.count else { throw FileError(.data, path, "a block is cut short") }
    let bytes = Array(rest.prefix(size))
    rest = rest.dropFirst(size)
    switch mode {
    case .zero:
      guard size == 0 else { break }
      return [UInt8](repeating: 0, count: count)
    case .stored:
      guard size == count else { break }
      return bytes
    case .compressed:
      guard let plane = Zstandard.decompress(bytes, count: count) else { break }
      return plane
    }
    throw FileError(.data, path, "a block does not hold the \(count) bytes it should")
  }
}
