import Files
import Tokenizers

/// A line of a block and what became of it.
struct BlockLine {
  enum Kind {
    /// Nothing but ASCII white space: ends a document.
    case blank
    /// Was there before.
    case duplicate
    case text
  }

  var kind: Kind
  /// Where the line begins, in bytes of the block.
  var start: Int
  /// What is told of a line of text; of others, where the ids of the lines before end.
  var encoded: EncodedLine
}

/// A block and the ids of its lines.
struct EncodedBlock: Sendable {
  var start: TextPosition
  var endsSource: Bool
  var byteCount: Int
  var lines: [BlockLine] = []
  var ids: [Int32] = []
}

/// Cuts blocks into lines; for one thread.
struct BlockEncoder {
  private var encoder: any LineEncoder
  private let unknown: Int32

  init(_ tokenizer: any Tokenizer) {
    encoder = tokenizer.lineEncoder()
    unknown = tokenizer.specials.unknown
  }

  /// Encodes the lines of a block.
  ///
  /// - Parameter duplicates: The ordinals of lines to leave out, in order.
  /// - Throws: ``FileError`` of code `data` that names file and line, for text that is not UTF-8 and for
  ///   a line that is too long.
  mutating func encode(_ block: TextBlock, without duplicates: [Int]) throws(FileError)
    -> EncodedBlock
  {
    try block.validate()
    var result = EncodedBlock(
      start: block.start, endsSource: block.endsSource, byteCount: block.bytes.count)
    result.lines.reserveCapacity(block.lineCount)
    result.ids.reserveCapacity(block.bytes.count / 2)
    var duplicates = duplicates[...]
    var lines = LinesOfBlock(block)
    while let line = lines.next() {
      var encoded = EncodedLine(idsEnd: result.ids.count)
      if line.isBlank(in: block.bytes.span) {
        result.lines.append(BlockLine(kind: .blank, start: line.start, encoded: encoded))
        continue
      }
      if duplicates.first == line.ordinal {
        duplicates.removeFirst()
        result.lines.append(BlockLine(kind: .duplicate, start: line.start, encoded: encoded))
        continue
      }
      let before = result.ids.count
      encoder.encode(block.bytes[line.text], into: &result.ids)
      encoded.idsEnd = result.ids.count
      encoded.words = line.wordCount(in: block.bytes.span)
      encoded.bytes = line.text.count
      for id in result.ids[before...] where id == unknown { encoded.unknownTokens += 1 }
      result.lines.append(BlockLine(kind: .text, start: line.start, encoded: encoded))
    }
    return result
  }
}

/// A line of a block.
struct LineOfBlock {
  /// Where it begins in the block.
  var start: Int
  /// Its bytes without its end, and without a byte order mark.
  var text: Range<Int>
  var ordinal: Int

  func isBlank(in bytes: Span<UInt8>) -> Bool {
    for index in text where !LineOfBlock.isSpace(bytes[index]) { return false }
    return true
  }

  /// The runs of bytes between ASCII white space.
  func wordCount(in bytes: Span<UInt8>) -> Int {
    var count = 0
    var isInWord = false
    for index in text {
      let isSpace = LineOfBlock.isSpace(bytes[index])
      if !isSpace, !isInWord { count += 1 }
      isInWord = !isSpace
    }
    return count
  }

  @inline(__always) private static func isSpace(_ byte: UInt8) -> Bool {
    byte == 0x20 || (byte >= 0x09 && byte <= 0x0D)
  }
}

/// The lines of a block, in order.
struct LinesOfBlock {
  private let block: TextBlock
  private var place = 0
  private var ordinal: Int

  init(_ block: TextBlock) {
    self.block = block
    ordinal = block.start.ordinal
  }

  mutating func next() -> LineOfBlock? {
    let bytes = block.bytes
    guard place < bytes.count else { return nil }
    var end = place
    while end < bytes.count, bytes[end] != UInt8(ascii: "\n") { end += 1 }
    var first = place
    let mark: [UInt8] = [0xEF, 0xBB, 0xBF]
    if place == 0, block.start.offset == 0, block.bytes.starts(with: mark) { first = mark.count }
    let last = end > first && bytes[end - 1] == UInt8(ascii: "\r") ? end - 1 : end
    let line = LineOfBlock(start: place, text: first..<last, ordinal: ordinal)
    place = end + 1
    ordinal += 1
    return line
  }
}

extension TextBlock {
  /// Sees to it that the text is UTF-8 and no line too long.
  func validate() throws(FileError) {
    do throws(UTF8.ValidationError) {
      _ = try UTF8Span(validating: bytes.span)
    } catch {
      let offset = error.byteOffsets.lowerBound
      let lines = bytes[..<offset].reduce(0) { $0 + ($1 == UInt8(ascii: "\n") ? 1 : 0) }
      let byte = String(bytes[offset], radix: 16, uppercase: true)
      throw FileError(
        .data, path, line: start.line + lines + 1,
        "byte 0x\(byte) at offset \(start.offset + offset) of the text is not UTF-8; convert the file to UTF-8, for example with iconv"
      )
    }
    guard bytes.count > TextStream.lineByteLimit else { return }
    var lines = LinesOfBlock(self)
    while let line = lines.next() {
      guard line.text.count > TextStream.lineByteLimit else { continue }
      throw TextBlocks.longLine(path, start.line + line.ordinal - start.ordinal + 1)
    }
  }
}
