/// The bytes of a text file from its start or a place in it on: plain, gzip or Zstandard, told by its
/// first bytes.
///
/// Memory does not grow with the file.
package final class TextStream {
  /// No line is longer where texts are read line by line.
  package static let lineByteLimit = 16 << 20

  private let file: OpenFile
  /// Nil for plain text.
  private let inflater: (any Inflater)?
  private var input: [UInt8] = []
  private var inputStart = 0
  /// Where the next bytes of the file are read.
  private var place = 0
  private var isAtEnd = false
  /// Text behind the offset that was inflated with the text before it.
  private var excess: [UInt8] = []
  private static let chunkBytes = 1 << 18

  package var path: String { file.path }
  /// The bytes of the file that were read.
  package var fileBytesRead: Int { place - (input.count - inputStart) }

  /// - Parameters:
  ///   - offset: The bytes of the text that are left out. A plain file is not read up to there.
  ///   - allowsPipes: Whether all but directories are read; `offset` is then 0.
  /// - Throws: ``FileError``, `missing` if the file cannot be opened or is of another kind, and as ``read(into:)``.
  package init(
    _ path: String, from offset: Int = 0, allowsPipes: Bool = false
  ) throws(FileError) {
    precondition(offset == 0 || !allowsPipes, "a pipe is read from its start")
    file = try OpenFile(input: path, allowsPipes: allowsPipes)
    input = try file.readOn(TextStream.chunkBytes)
    place = input.count
    inflater = Compression(of: input)?.inflater()
    if offset == 0 { return }
    if inflater == nil {
      try file.readOn(from: offset)
      input = []
      place = offset
      return
    }
    var skipped = 0
    var part: [UInt8] = []
    while skipped < offset {
      part.removeAll(keepingCapacity: true)
      try read(into: &part)
      guard !part.isEmpty else {
        throw FileError(
          .data, path, "ends after \(skipped) bytes of text where \(offset) were read before")
      }
      skipped += part.count
    }
    excess = Array(part.suffix(skipped - offset))
  }

  /// Appends some bytes of text, none only at the end.
  ///
  /// - Throws: ``FileError``, `data` if the file is damaged or cut short, `io` if reading fails.
  package func read(into text: inout [UInt8]) throws(FileError) {
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
        throw FileError(
          .data, path, "\(error.message) at byte \(fileBytesRead); fetch it again")
      }
      inputStart += taken
      if input.isEmpty, text.count == before {
        isAtEnd = true
        guard inflater?.isBetween ?? true else {
          throw FileError(
            .data, path, "the compressed file is cut short at byte \(place); fetch it again")
        }
      }
    }
  }

  /// Reads the next bytes of the file; none at its end.
  private func fill() throws(FileError) {
    input = try file.readOn(TextStream.chunkBytes)
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
