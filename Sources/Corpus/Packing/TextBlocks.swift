import Files

/// A place between two lines of the sources of a language.
struct TextPosition: Equatable, Codable {
  /// The source, from 0.
  var source = 0
  /// The bytes of its text before the place.
  var offset = 0
  /// The lines of its text before the place.
  var line = 0
  /// The lines of all sources before the place.
  var ordinal = 0
}

/// Whole lines of one source.
struct TextBlock: Sendable {
  /// Where the first of the lines begins.
  var start: TextPosition
  var path: String
  /// The lines with their ends; only the last of a source may have none.
  var bytes: [UInt8]
  /// Whether the source ends behind the block.
  var endsSource: Bool
  /// The lines, blank ones too.
  var lineCount: Int
}

/// The lines of the sources of a language, in blocks: memory does not grow with the text.
struct TextBlocks {
  private let paths: [String]
  private let blockBytes: Int
  /// Where the next block begins.
  private(set) var position: TextPosition
  private var stream: TextStream?
  private var rest: [UInt8] = []

  init(_ paths: [String], from position: TextPosition = .init(), blockBytes: Int) {
    self.paths = paths
    self.position = position
    self.blockBytes = blockBytes
  }

  /// The bytes of the source's file that were read.
  var fileBytesRead: Int { stream?.fileBytesRead ?? 0 }

  /// The next block; nil after the last source.
  ///
  /// - Throws: ``FileError`` as ``TextStream`` does, and for a line that is too long.
  mutating func next() throws(FileError) -> TextBlock? {
    guard position.source < paths.count else { return nil }
    let path = paths[position.source]
    if stream == nil { stream = try TextStream(path, from: position.offset) }
    var end: Int?
    var searched = 0
    var isAtEnd = false
    while end == nil {
      while rest.count < max(blockBytes, searched + 1), !isAtEnd {
        let before = rest.count
        try stream?.read(into: &rest)
        isAtEnd = rest.count == before
      }
      if isAtEnd { break }
      end = TextBlocks.lastLineEnd(in: rest.span, from: searched)
      searched = rest.count
      guard end != nil || searched <= TextStream.lineByteLimit else {
        throw TextBlocks.longLine(path, position.line + 1)
      }
    }
    let count = end ?? rest.count
    let bytes = Array(rest[..<count])
    rest.removeSubrange(..<count)
    var lineCount = TextBlocks.lineFeeds(in: bytes.span)
    if let last = bytes.last, last != UInt8(ascii: "\n") { lineCount += 1 }
    let block = TextBlock(
      start: position, path: path, bytes: bytes, endsSource: isAtEnd, lineCount: lineCount)
    position.offset += count
    position.line += lineCount
    position.ordinal += lineCount
    if isAtEnd {
      position = TextPosition(source: position.source + 1, ordinal: position.ordinal)
      stream = nil
    }
    return block
  }

  static func longLine(_ path: String, _ line: Int) -> FileError {
    FileError(
      .data, path, line: line,
      "has more than \(TextStream.lineByteLimit >> 20) MiB; break the line")
  }

  /// The place behind the last line feed; nil if there is none.
  private static func lastLineEnd(in bytes: Span<UInt8>, from start: Int) -> Int? {
    var index = bytes.count
    while index > start {
      index -= 1
      if bytes[index] == UInt8(ascii: "\n") { return index + 1 }
    }
    return nil
  }

  private static func lineFeeds(in bytes: Span<UInt8>) -> Int {
    var count = 0
    for index in bytes.indices where bytes[index] == UInt8(ascii: "\n") { count &+= 1 }
    return count
  }
}
