import Files

/// The drawn lines of all languages, in the order of languages, files and lines, as the trainer library can take them.
///
/// The library ends the process over words of very many characters, and over text without any that it keeps; it leaves
/// out lines with U+2585, which it uses itself; and it may learn a piece that is spelt as a special token. So long lines
/// are handed out in parts, U+2585 as a blank, and the names of special tokens with a blank in them.
@safe final class TrainingFeed {
  /// The bytes of the longest part of a line.
  static let partLimit = 4096

  private let texts: [TrainingText]
  private let draw: TrainingDraw
  /// The language, the file of it, and its open lines.
  private var (language, file) = (0, 0)
  private var lines: TrainingLines?
  private var repeats: TrainingDraw.Repeats?
  /// How often lines of the language came.
  private var given = 0
  private var line: [UInt8] = []
  /// The part of `line` that was asked for last.
  private var part = 0..<0
  /// How often `line` comes after this time.
  private var left = 0
  private var hasLetters = false
  /// Where that part is kept for the library.
  private let kept: UnsafeMutablePointer<UInt8>
  private(set) var failure: FileError?

  init(_ texts: [TrainingText], _ draw: TrainingDraw) {
    self.texts = texts
    self.draw = draw
    unsafe kept = .allocate(capacity: TrainingFeed.partLimit)
  }

  deinit { unsafe kept.deallocate() }

  /// Points `bytes` at the next part of a line and returns its count; −1 after the last, −2 if reading failed.
  func point(_ bytes: inout UnsafePointer<UInt8>?) -> Int {
    do throws(FileError) {
      guard try advance() else { return -1 }
      unsafe kept.update(from: Array(line[part]), count: part.count)
      unsafe bytes = UnsafePointer(kept)
      return part.count
    } catch {
      failure = error
      return -2
    }
  }

  /// Goes to the next part of a line; false after the last.
  private func advance() throws(FileError) -> Bool {
    if part.upperBound == line.count {
      if left > 0 {
        left -= 1
      } else {
        guard try advanceLine() else { return false }
      }
      part = 0..<0
    }
    part = TrainingFeed.part(of: line, from: part.upperBound)
    return true
  }

  /// What is handed out of a line from a place on: the rest, or up to a blank, or a whole number of characters.
  static func part(of line: [UInt8], from start: Int) -> Range<Int> {
    var end = start + min(partLimit, line.count - start)
    if end == line.count { return start..<end }
    if let blank = line[start..<end].lastIndex(of: 0x20) { return start..<blank + 1 }
    while line[end] & 0xC0 == 0x80 { end -= 1 }
    return start..<end
  }

  /// Goes to the next line that comes; false after the last.
  private func advanceLine() throws(FileError) -> Bool {
    while language < texts.count {
      let text = texts[language]
      if repeats == nil { repeats = draw.repeats(ofLanguage: language, named: text.language) }
      while draw.quotas[language] > 0, file < text.files.count {
        if lines == nil { lines = try TrainingLines(text.files[file]) }
        while let next = try lines?.next() {
          let count = repeats?.next() ?? 0
          given += count
          guard count > 0 else { continue }
          take(next)
          left = count - 1
          return true
        }
        lines = nil
        file += 1
      }
      guard given == draw.quotas[language] else {
        throw FileError(
          .data, text.files[0], "has other lines than when they were counted; leave files alone")
      }
      (file, given, repeats) = (0, 0, nil)
      language += 1
    }
    guard hasLetters else {
      throw FileError(.data, texts[0].files[0], "has no letter or digit in the lines drawn")
    }
    return false
  }

  private func take(_ next: [UInt8]) {
    line = TrainingFeed.rewritten(next)
    if hasLetters { return }
    hasLetters = String(decoding: line, as: UTF8.self).unicodeScalars.contains {
      switch $0.properties.generalCategory {
      case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .otherLetter, .decimalNumber: true
      default: false
      }
    }
  }

  /// What must not reach the library, and what does in its place.
  private static let rewrites: [(from: [UInt8], to: [UInt8])] =
    [([0xE2, 0x96, 0x85], [0x20])]
    + ["<s>", "<pad>", "</s>", "<unk>", "<mask>"].map {
      (Array($0.utf8), [UInt8(ascii: "<"), 0x20] + $0.utf8.dropFirst())
    }

  static func rewritten(_ line: [UInt8]) -> [UInt8] {
    var line = line
    var start = 0
    while let place = line[start...].firstIndex(where: { $0 == 0xE2 || $0 == 0x3C }) {
      start = place + 1
      for (from, to) in rewrites where line[place...].starts(with: from) {
        line.replaceSubrange(place..<place + from.count, with: to)
        break
      }
    }
    return line
  }
}
