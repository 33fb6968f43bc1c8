/// How the text of a file is compressed, told by the file's first bytes.
package enum Compression: Sendable {
  /// One or more gzip members, one after the other.
  case gzip
  /// One or more Zstandard frames, one after the other.
  case zstandard

  /// The compression of a file that begins with `bytes`, of which four are looked at; nil for plain text.
  package init?(of bytes: some Collection<UInt8>) {
    let opening = Array(bytes.prefix(4))
    switch (opening.first, opening.dropFirst()) {
    case (0x1F, let rest) where rest.first == 0x8B: self = .gzip
    case (0x28, [0xB5, 0x2F, 0xFD]): self = .zstandard
    // A frame that is to be stepped over.
    case (let first?, [0x2A, 0x4D, 0x18]) where first & 0xF0 == 0x50: self = .zstandard
    default: return nil
    }
  }

  var name: String {
    switch self {
    case .gzip: "gzip"
    case .zstandard: "Zstandard"
    }
  }

  func inflater() -> any Inflater {
    switch self {
    case .gzip: GzipInflater()
    case .zstandard: ZstandardInflater()
    }
  }

  // MARK: Whole files

  /// How far a file may grow: what is larger than `free` bytes must also be at most `ratio` times
  /// its compressed size and at most `ceiling` bytes.
  ///
  /// Text shrinks three to ten times, deflate at most about a thousand times, Zstandard still more; a file far beyond
  /// the first is made to fill the memory.
  package struct Bound: Sendable {
    package var free = 64 << 20
    package var ratio = 200
    package var ceiling = 16 << 30

    package init() {}

    func bytes(from compressed: Int) -> Int {
      let (product, overflows) = compressed.multipliedReportingOverflow(by: ratio)
      return min(ceiling, max(free, overflows ? .max : product))
    }
  }

  /// The content of all members or frames of a compressed file.
  ///
  /// Zero bytes after the last gzip member are padding and ignored.
  ///
  /// - Throws: ``FileError`` of code `data` if the file ends too early, is damaged (checksums are
  ///   checked), has other bytes after its end, or grows beyond `bound`.
  package func inflate(
    _ bytes: [UInt8], path: String, bound: Bound = Bound()
  ) throws(FileError) -> [UInt8] {
    let inflater = inflater()
    var output: [UInt8] = []
    var consumed = 0
    while true {
      if inflater.isBetween, consumed > 0 {
        let rest = bytes[consumed...]
        if rest.isEmpty || self == .gzip && rest.allSatisfy({ $0 == 0 }) { return output }
        guard Compression(of: rest) == self else {
          throw FileError(
            .data, path,
            "has \(rest.count) bytes that are not \(name) after its end; fetch it again")
        }
      }
      let before = output.count
      let taken: Int
      do throws(InflaterError) {
        taken = try inflater.inflate(bytes.span.extracting(consumed...), into: &output)
      } catch {
        throw FileError(
          .data, path, "\(error.message) after \(output.count) bytes; fetch it again")
      }
      consumed += taken
      let allowed = bound.bytes(from: consumed)
      guard output.count <= allowed else {
        throw FileError(
          .data, path,
          "grows from \(consumed) to more than \(allowed) bytes, which no text does; inflate it yourself if it is right"
        )
      }
      if taken == 0, output.count == before {
        throw FileError(.data, path, "the \(name) file is cut short; fetch it again")
      }
    }
  }
}
