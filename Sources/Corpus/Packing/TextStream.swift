import Glibc

/// The bytes of a text file from its start or a place in it on: plain, gzip or Zstandard, told by its
/// first bytes.
final class TextStream {
  private let file: OpenedFile
  /// Nil for plain text.
  private let inflater: (any Inflater)?
  private var input: [UInt8] = []
  private var inputStart = 0
  /// Where the next bytes of the file are read.
  private var place = 0
  private(set) var isAtEnd = false
  private static let chunkBytes = 1 << 18

  var path: String { file.path }
  /// The bytes of the file that were read.
  var fileBytesRead: Int { place - (input.count - inputStart) }

  /// - Parameter offset: The bytes of the text that are left out. A plain file is not read up to there.
  /// - Throws: ``CorpusError``, `missing` if the file cannot be opened.
  init(_ path: String, from offset: Int) throws(CorpusError) {
    file = try OpenedFile(path)
    _ = try file.byteCount()
    let opening = try file.bytes(0, 4)
    if opening.starts(with: [0x1F, 0x8B]) {
      inflater = GzipInflater()
    } else if TextStream.opensZstd(opening) {
      inflater = ZstdInflater()
    } else {
      inflater = nil
      place = offset
      return
    }
    var skipped = 0
    var part: [UInt8] = []
    while skipped < offset {
      part.removeAll(keepingCapacity: true)
      try read(into: &part)
      guard !part.isEmpty else {
        throw CorpusError(
          .data, path, "ends after \(skipped) bytes of text where \(offset) were read before")
      }
      skipped += part.count
    }
    excess = Array(part.suffix(skipped - offset))
  }

  /// Text behind the offset that was inflated with the text before it.
  private var excess: [UInt8] = []

  /// A frame, or a frame that is to be stepped over.
  private static func opensZstd(_ bytes: [UInt8]) -> Bool {
    bytes.count == 4 && bytes[1...] == [0xB5, 0x2F, 0xFD] && bytes[0] == 0x28
      || bytes.count == 4 && bytes[1...] == [0x2A, 0x4D, 0x18] && bytes[0] & 0xF0 == 0x50
  }

  /// Appends some bytes of text, none only at the end.
  ///
  /// - Throws: ``CorpusError``, `data` if the file is damaged or cut short, `io` if reading fails.
  func read(into text: inout [UInt8]) throws(CorpusError) {
    if !excess.isEmpty {
      text += excess
      excess = []
      return
    }
    let before = text.count
    while text.count == before, !isAtEnd {
      if inputStart == input.count { try fill() }
      let taken: Int
      do throws(InflaterError) {
        taken = try inflate(into: &text)
      } catch {
        throw CorpusError(
          .data, path, "\(error.message) at byte \(fileBytesRead); fetch it again")
      }
      inputStart += taken
      if input.isEmpty, text.count == before {
        isAtEnd = true
        guard inflater?.isBetween ?? true else {
          throw CorpusError(
            .data, path, "the compressed file is cut short at byte \(place); fetch it again")
        }
      }
    }
  }

  /// Reads the next bytes of the file; none at its end.
  private func fill() throws(CorpusError) {
    input = try file.bytes(place, TextStream.chunkBytes)
    inputStart = 0
    place += input.count
  }

  private func inflate(into text: inout [UInt8]) throws(InflaterError) -> Int {
    guard let inflater else {
      text += input[inputStart...]
      return input.count - inputStart
    }
    let input = input
    return try inflater.inflate(input.span.extracting(inputStart...), into: &text)
  }
}
